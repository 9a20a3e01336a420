"""The store's bytes in a local folder, under the contract of `infra.backends.Backend`."""

import errno
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from contracts.errors import StoreError

MIB = 2**20


class LocalBackend:
    """A folder. Files reach the disk before anybody can see them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.root = f"file://{folder}"

    def reach(self) -> None:
        """Makes the folder."""
        with self._clear_errors():
            self._folder.mkdir(parents=True, exist_ok=True)

    def create(self, name: str, data: bytes) -> bool:
        """Makes a file under another name and links it into place: all of it, or nothing."""
        path = self._folder / name
        with self._clear_errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f".{uuid.uuid4().hex}")
            try:
                with temporary.open("xb") as file:
                    file.write(data)
                    _sync(file.fileno())
                os.link(temporary, path)
            except FileExistsError:
                return False
            finally:
                temporary.unlink(missing_ok=True)
            _sync_folder(path.parent)
        return True

    def read(self, name: str) -> bytes | None:
        """A file's bytes, or None."""
        with self._clear_errors():
            try:
                return (self._folder / name).read_bytes()
            except FileNotFoundError:
                return None

    def sizes(self, prefix: str) -> dict[str, int]:
        """Sizes of the files below a folder, half-made ones left out."""
        return {name: status.st_size for name, status in self._list(prefix).items()}

    def times(self, prefix: str) -> dict[str, float]:
        """When the files below a folder were written."""
        return {name: status.st_mtime for name, status in self._list(prefix).items()}

    def unfinished(self) -> dict[str, float]:
        """What `create` had not yet linked into place."""
        found: dict[str, float] = {}
        with self._clear_errors():
            for top in ("artifacts", "keys", "probes"):
                for path in (self._folder / top).rglob(".*"):
                    with suppress(FileNotFoundError):  # it was linked at this moment
                        found[path.relative_to(self._folder).as_posix()] = path.stat().st_mtime
        return found

    def _list(self, prefix: str) -> dict[str, os.stat_result]:
        base = self._folder / prefix
        found: dict[str, os.stat_result] = {}
        with self._clear_errors():
            for path in base.rglob("*"):
                with suppress(FileNotFoundError):  # somebody removes it at this moment
                    if path.is_file() and path.name[0] != ".":
                        found[path.relative_to(base).as_posix()] = path.stat()
        return found

    def upload(self, folder: Path, names: Sequence[str], prefix: str) -> None:
        """Copies, never links: the folder's owner may write to his files again."""
        with self._clear_errors():
            for name in names:
                target = self._folder / prefix / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with (folder / name).open("rb") as source, target.open("xb") as copy:
                    shutil.copyfileobj(source, copy, 4 * MIB)
                    _sync(copy.fileno())
                # Readers get links to this file: writing to one would damage the store.
                target.chmod(0o444)
                _sync_folder(target.parent)

    def download(self, prefix: str, names: Sequence[str], folder: Path) -> None:
        """Links where the file systems allow it, else copies."""
        with self._clear_errors():
            for name in names:
                source, target = self._folder / prefix / name, folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                try:
                    os.link(source, target)
                except OSError as error:
                    if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK):
                        raise
                    shutil.copyfile(source, target)

    def remove(self, prefix: str) -> None:
        """Removes a folder or a file of the store; none is fine."""
        with self._clear_errors():
            path = self._folder / prefix
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(
                f"The store {self._folder} cannot be used: {error.strerror or error}.",
                where=str(error.filename or self._folder),
                rule="the store is a folder that this user may create and write, with space left",
                fix="make room, correct the permissions, or set REVISUAL_STORE to another folder",
            ) from error


def _sync(descriptor: int) -> None:
    # The data must be on the disk before the manifest that vouches for it.
    os.fsync(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
