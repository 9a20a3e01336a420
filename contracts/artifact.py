"""A reference to what lies in the store; the only thing that tasks hand to each other."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=0, lt=2**63)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Record(BaseModel):
    """Base of what is kept as JSON: unknown keys fail, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Artifact(Record):
    """A reference to a folder in the store.

    Attributes:
        uri: Where it lies.
        sha256: Digest of its files' names, sizes and digests: equal content, equal digest.
        kind: What it is: `model`, `dataset`, `evaluation`, `run`.
    """

    uri: Text
    sha256: Sha256
    kind: Text
