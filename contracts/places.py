"""Where the bytes of an input lie: a folder, a prefix of a bucket, or a repository of a model hub.

A recipe writes a place as one text, and its form alone decides which of the three it is: what lies
on the machine that reads it does not.
"""

import re
from typing import Annotated, Literal

from pydantic import Field

from contracts.artifact import Record, Text
from contracts.formats import ALL_ROW_SUFFIXES

PlaceKind = Literal["local", "s3", "hub"]
RepoType = Literal["model", "dataset"]
PLACE_RULE = (
    "a path is local (it begins with `/`, `./` or `../`), a bucket's (`s3://bucket/prefix/...`), "
    "or a hub's repository (`owner/name`)"
)
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.ASCII)  # some have no owner
_S3 = re.compile(r"s3://[A-Za-z0-9][A-Za-z0-9.-]+/[^/]+(/[^/]+)*/?")
_COMMIT = r"[0-9a-f]{40}"


class LocalPlace(Record):
    """A folder of the machine that resolved the input."""

    kind: Literal["local"] = "local"
    folder: Text

    def __str__(self) -> str:
        return self.folder


class BucketPlace(Record):
    """A prefix of an S3 bucket, `s3://bucket/prefix`, at the endpoint of the environment."""

    kind: Literal["s3"] = "s3"
    prefix: Text

    def __str__(self) -> str:
        return self.prefix


class HubPlace(Record):
    """A repository of a model hub at one commit.

    Attributes:
        repo: `owner/name`.
        repo_type: `model` or `dataset`.
        commit: The commit, which never changes.
        revision: The branch, tag or commit that was asked for.
    """

    kind: Literal["hub"] = "hub"
    repo: Text
    repo_type: RepoType
    commit: Annotated[str, Field(pattern=rf"^{_COMMIT}$")]
    revision: Text

    def __str__(self) -> str:
        asked = "" if self.revision == self.commit else f" ({self.revision})"
        return f"hub {self.repo_type} {self.repo} at {self.commit}{asked}"


Place = Annotated[LocalPlace | BucketPlace | HubPlace, Field(discriminator="kind")]


def place_kind(path: str) -> PlaceKind:
    """Which kind of place a recipe's path names.

    Raises:
        ValueError: It is none; the text is the rule.
    """
    if path.startswith(("/", "./", "../")):
        return "local"
    if _S3.fullmatch(path):
        return "s3"
    if _HUB_ID.fullmatch(path) and not path.lower().endswith(ALL_ROW_SUFFIXES):
        return "hub"
    raise ValueError(PLACE_RULE)


def is_commit(revision: str) -> bool:
    """Whether a revision is a whole commit, which always means the same."""
    return re.fullmatch(_COMMIT, revision) is not None
