"""The store's bytes in a local folder, under the contract of `infra.backends.Backend`."""

import errno
import os
import shutil
import stat
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from contracts.errors import StoreError
from contracts.paths import is_inner_path
from infra.limits import MAX_METADATA_BYTES, too_large
from infra.names import inner, outside

MIB = 2**20
NUM_TRIES = 5


class LocalBackend:
    """A folder. Files reach the disk before anybody can see them.

    What lies there may be somebody else's work: no name leads out of the folder, links included.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.root = f"file://{folder}"

    def reach(self) -> None:
        """Makes the folder."""
        with self._clear_errors():
            self._folder.mkdir(parents=True, exist_ok=True)

    def create(self, name: str, data: bytes) -> bool:
        """Makes a file under another name and links it into place: all of it, or nothing."""
        with self._clear_errors():
            path = self._path(name)
            for _ in range(NUM_TRIES - 1):
                with suppress(FileNotFoundError):  # a collector of garbage took the folder away
                    return _create(path, data)
            return _create(path, data)

    def read(self, name: str) -> bytes | None:
        """A file's bytes, or None."""
        with self._clear_errors():
            path = self._path(name)
            try:
                if not path.is_file():
                    return None
                with path.open("rb") as file:
                    data = file.read(MAX_METADATA_BYTES + 1)
            except FileNotFoundError:
                return None
        if len(data) > MAX_METADATA_BYTES:
            raise too_large(name, self.root)
        return data

    def sizes(self, prefix: str) -> dict[str, int]:
        """Sizes of the files below a folder, half-made ones left out."""
        return {name: status.st_size for name, status in self._list(prefix).items()}

    def times(self, prefix: str) -> dict[str, float]:
        """When the files below a folder were written."""
        return {name: status.st_mtime for name, status in self._list(prefix).items()}

    def unfinished(self) -> dict[str, float]:
        """What `create` had not yet linked into place."""
        return {
            f"{top}/{name}": status.st_mtime
            for top in ("artifacts", "keys", "probes")
            for name, status in self._files(top).items()
            if _is_hidden(name)
        }

    def _list(self, prefix: str) -> dict[str, os.stat_result]:
        files = self._files(prefix).items()
        return {name: status for name, status in files if not _is_hidden(name)}

    def _files(self, prefix: str) -> dict[str, os.stat_result]:
        """Regular files below a folder, by their names relative to it; links are not followed."""
        found: dict[str, os.stat_result] = {}
        with self._clear_errors():
            base = self._path(prefix)
            for folder, _, names in os.walk(base, onerror=_unless_gone):
                for path in (Path(folder) / name for name in names):
                    with suppress(FileNotFoundError):  # removed, or linked into place, just now
                        if stat.S_ISREG((status := path.lstat()).st_mode):
                            found[path.relative_to(base).as_posix()] = status
        return {name: status for name, status in found.items() if is_inner_path(name)}

    def _path(self, name: str) -> Path:
        """Where a name leads.

        Raises:
            StoreError: Not to something in the folder, or by way of a link.
        """
        path = self._folder / inner(name, self.root)
        # Path.resolve would end at a link to itself.
        if os.path.realpath(path) != str(Path(os.path.realpath(self._folder)) / name):
            raise outside(name, self.root)
        return path

    def upload(self, folder: Path, names: Sequence[str], prefix: str) -> None:
        """Copies, never links: the folder's owner may write to his files again."""
        with self._clear_errors():
            filled = set[Path]()
            for name in names:
                target = self._path(f"{prefix}/{name}")
                target.parent.mkdir(parents=True, exist_ok=True)
                filled.add(target.parent)
                with (folder / name).open("rb") as source, target.open("xb") as copy:
                    shutil.copyfileobj(source, copy, 4 * MIB)
                    _sync(copy.fileno())
                # Readers get links to this file: writing to one would damage the store.
                target.chmod(0o444)
            for each in filled:  # once: a report may have a picture an item
                _sync_folder(each)

    def download(self, prefix: str, names: Sequence[str], folder: Path) -> None:
        """Links where the file systems allow it, else copies."""
        with self._clear_errors():
            for name in names:
                source, target = self._path(f"{prefix}/{name}"), folder / inner(name, self.root)
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
            path = self._path(prefix)
            try:
                path.unlink(missing_ok=True)
            except IsADirectoryError:
                # Two may remove it at once, and a writer may still put something there.
                shutil.rmtree(path, onerror=lambda _, __, error: _unless_gone(error[1]))

    def abandon(self, name: str) -> None:
        """Removes a file that `create` had not yet linked into place."""
        with self._clear_errors():
            if _is_hidden(name):
                self._path(name).unlink(missing_ok=True)

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


def _create(path: Path, data: bytes) -> bool:
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


def _is_hidden(name: str) -> bool:
    return name.rpartition("/")[2].startswith(".")


def _unless_gone(error: BaseException) -> None:
    """Passes over what a folder raises that somebody else removes, remakes or fills just now."""
    # Without a number: `rmtree` has found another folder of that name than a moment ago.
    filled = isinstance(error, OSError) and error.errno in (errno.ENOTEMPTY, None)
    if not filled and not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error


def _sync(descriptor: int) -> None:
    # The data must be on the disk before the manifest that vouches for it.
    os.fsync(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
