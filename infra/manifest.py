"""What lies beside an artifact's files and tells of them."""

from pathlib import PurePosixPath
from typing import Annotated

from pydantic import FailFast, model_validator

from contracts.places import Place
from contracts.provenance import Provenance
from infra.digests import FileEntry

MANIFEST = "manifest.json"
# The first fault will do: millions of them, each with its message, would take gigabytes.
Files = Annotated[tuple[FileEntry, ...], FailFast()]


class Manifest(Provenance):
    """What an artifact holds and where it comes from.

    Attributes:
        kind: What it is.
        files: Its results, sorted by path; the artifact's digest covers them.
        attachments: Logs, figures and times that lie beside them; another run may leave others.
        place: Where the files lie, if not in the store.
    """

    kind: str
    files: Files
    attachments: Files = ()
    place: Place | None = None

    @property
    def all_files(self) -> tuple[FileEntry, ...]:
        """Results and attachments."""
        return self.files + self.attachments

    @model_validator(mode="after")
    def _files_fit_into_one_folder(self) -> "Manifest":
        paths = {file.path for file in self.all_files}
        folders = {str(parent) for path in paths for parent in PurePosixPath(path).parents}
        if len(paths) != len(self.all_files) or paths & folders:
            raise ValueError("two files have one name, or one lies below the other")
        return self
