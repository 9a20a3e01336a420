"""Where the store's bytes lie: a local folder or an S3 bucket, with one contract.

Names are relative, with `/` between their parts. Nothing is ever overwritten: `create` makes an
object only if there is none of that name, which is all the locking the store needs.
"""

import errno
import logging
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar

from infra.errors import StoreError

MIB = 2**20
# Of a whole request as well as of a read: an upload that waits to be told to go on (Expect:
# 100-continue) reads nothing, and would wait for ever.
TIMEOUT_SECONDS = 60.0
SLOWEST_BYTES_PER_SECOND = MIB
PATIENCE_SECONDS = 180.0
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 10.0
Result = TypeVar("Result")
log = logging.getLogger(__name__)


class Backend(Protocol):
    """Objects under a root address."""

    root: str

    def reach(self) -> None:
        """Proves that the root is there, or makes it where that is harmless."""
        ...

    def create(self, name: str, data: bytes) -> bool:
        """Makes an object; False, and no change, if there is one of that name."""
        ...

    def read(self, name: str) -> bytes | None:
        """An object's bytes; None if there is none of that name."""
        ...

    def sizes(self, prefix: str) -> dict[str, int]:
        """Bytes of every object under `prefix/`, by its name relative to it."""
        ...

    def times(self, prefix: str) -> dict[str, float]:
        """When every object under `prefix/` was made, by the store's clock, seconds."""
        ...

    def upload(self, folder: Path, names: Sequence[str], prefix: str) -> None:
        """Copies files of a folder to `prefix/`."""
        ...

    def download(self, prefix: str, names: Sequence[str], folder: Path) -> None:
        """Copies objects under `prefix/` into a folder."""
        ...

    def remove(self, prefix: str) -> None:
        """Removes whatever lies under `prefix/`, and an object of that name."""
        ...


def open_backend(uri: str) -> Backend:
    """Opens the backend for a store's address.

    Raises:
        StoreError: The address is of neither kind.
    """
    if "://" not in uri:
        return LocalBackend(Path(uri).resolve())
    scheme, _, rest = uri.partition("://")
    bucket = rest.partition("/")[0]
    if scheme == "file" and rest.startswith("/"):
        return LocalBackend(Path(rest).resolve())
    if scheme == "s3" and bucket and "@" not in bucket and ":" not in bucket:
        return S3Backend(rest.strip("/"))
    raise StoreError(
        # The address may hold a password where one does not belong: only its scheme is shown.
        f"A store's address cannot look like this: {scheme}://...",
        where="environment variable REVISUAL_STORE",
        rule="the store is a local folder or s3://bucket/prefix, without credentials",
        fix="set it to such an address, and give credentials as AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY",
    )


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


class S3Backend:
    """A prefix of an S3 bucket, through s3fs.

    Not fork-safe: open it in the process that uses it. The endpoint and the credentials come from
    the usual AWS_* variables. A server that is away, slow or overloaded is asked again for
    `PATIENCE_SECONDS`: long enough for a restart.
    """

    def __init__(self, path: str) -> None:
        import s3fs  # takes a second, and a local store never needs it

        self._path = path
        self.root = f"s3://{path}"
        self._fs = s3fs.S3FileSystem(
            # With a listings cache even `exists` is stale after another writer.
            use_listings_cache=False,
            skip_instance_cache=True,
            config_kwargs={"connect_timeout": 10, "read_timeout": TIMEOUT_SECONDS},
        )

    def reach(self) -> None:
        """Asks for the bucket, once; it is never made, though some servers would with a PUT."""
        bucket = self._path.partition("/")[0]
        self._call(lambda: self._fs.call_s3("head_bucket", Bucket=bucket), patience_seconds=0)

    def create(self, name: str, data: bytes) -> bool:
        """A PUT with `If-None-Match: *`."""

        def put() -> bool:
            try:
                self._fs.pipe_file(
                    f"{self._path}/{name}", data, mode="create", timeout=TIMEOUT_SECONDS
                )
            except OSError as error:
                if isinstance(error, FileExistsError) or _status(error) in (409, 412):
                    return False
                raise
            return True

        return self._call(put)

    def read(self, name: str) -> bytes | None:
        """An object's bytes, or None."""

        def get() -> bytes | None:
            try:
                data: bytes = self._fs.cat_file(f"{self._path}/{name}", timeout=TIMEOUT_SECONDS)
            except FileNotFoundError:
                return None
            return data

        return self._call(get)

    def sizes(self, prefix: str) -> dict[str, int]:
        """Sizes of the objects under a prefix."""
        return {name: info["size"] for name, info in self._list(prefix).items()}

    def times(self, prefix: str) -> dict[str, float]:
        """When the objects under a prefix were written, by the server's clock."""
        return {name: info["LastModified"].timestamp() for name, info in self._list(prefix).items()}

    def _list(self, prefix: str) -> dict[str, dict[str, Any]]:
        base = f"{self._path}/{prefix}/"
        found: dict[str, dict[str, Any]] = self._call(
            lambda: self._fs.find(base, detail=True, timeout=TIMEOUT_SECONDS)
        )
        # An emptied prefix may live on as an object of its own name.
        return {
            name.removeprefix(base): info
            for name, info in found.items()
            if name.startswith(base) and info["type"] == "file"
        }

    def upload(self, folder: Path, names: Sequence[str], prefix: str) -> None:
        """Multipart, with little memory: at most 8 parts of 8 MiB at once."""
        num_bytes = sum((folder / name).stat().st_size for name in names)
        self._call(
            lambda: self._fs.put(
                [str(folder / name) for name in names],
                [f"{self._path}/{prefix}/{name}" for name in names],
                chunksize=8 * MIB,
                max_concurrency=2,
                batch_size=4,
                timeout=_transfer_seconds(num_bytes),
            )
        )

    def download(self, prefix: str, names: Sequence[str], folder: Path) -> None:
        """Four files at once, each in one stream."""
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
        sizes = self.sizes(prefix)
        num_bytes = sum(sizes.get(name, 0) for name in names)
        self._call(
            lambda: self._fs.get(
                [f"{self._path}/{prefix}/{name}" for name in names],
                [str(folder / name) for name in names],
                max_concurrency=1,
                batch_size=4,
                timeout=_transfer_seconds(num_bytes),
            )
        )

    def remove(self, prefix: str) -> None:
        """Removes every object under a prefix, and the one of that name; none is fine."""
        names = [f"{self._path}/{prefix}/{name}" for name in self.sizes(prefix)]
        # S3 answers that it has removed an object that never was.
        self._call(lambda: self._fs.rm([*names, f"{self._path}/{prefix}"], timeout=TIMEOUT_SECONDS))

    def _call(
        self, operation: Callable[[], Result], patience_seconds: float | None = None
    ) -> Result:
        """Runs an operation, which may be run twice, until the server has had its chance.

        Raises:
            StoreError: The server refuses, or is not there for longer than the patience.
        """
        from aiohttp import ClientError as TransportError

        # botocore ships no types.
        from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

        patience = PATIENCE_SECONDS if patience_seconds is None else patience_seconds
        deadline = time.monotonic() + patience
        wait_seconds = FIRST_WAIT_SECONDS
        while True:
            try:
                return operation()
            except (OSError, BotoCoreError, ClientError, TransportError) as error:
                if not _may_pass(error) or time.monotonic() + wait_seconds > deadline:
                    raise self._unusable(error) from error
                log.warning("%s: %s; trying again", self.root, _reason(error))
            time.sleep(wait_seconds)
            wait_seconds = min(2 * wait_seconds, LONGEST_WAIT_SECONDS)

    def _unusable(self, error: Exception) -> StoreError:
        return StoreError(
            f"The store {self.root} cannot be used: {_reason(error)}.",
            where=f"{self.root} at {os.environ.get('AWS_ENDPOINT_URL', 'AWS')}",
            rule="the bucket exists, answers, and these credentials may list, read and write",
            fix="check REVISUAL_STORE, AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY",
        )


def _transfer_seconds(num_bytes: int) -> float:
    """How long a transfer may take."""
    return TIMEOUT_SECONDS + num_bytes / SLOWEST_BYTES_PER_SECOND


def _may_pass(error: Exception) -> bool:
    """Whether the same request may succeed later: the server is away, slow or overloaded."""
    from aiohttp import ClientError as TransportError
    from botocore.exceptions import ConnectionError as Unreachable
    from botocore.exceptions import HTTPClientError

    status = _status(error)
    if status is not None:
        return status == 429 or status >= 500
    away = (HTTPClientError, Unreachable, TransportError, ConnectionError, TimeoutError)
    return isinstance(error, away)


def _status(error: BaseException) -> int | None:
    """The HTTP status S3 answered with; s3fs hides it in the cause."""
    answered = error if hasattr(error, "response") else error.__cause__
    response = getattr(answered, "response", None) or {}
    status: int | None = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status


def _reason(error: Exception) -> str:
    """The error's text on one line, the credentials masked should it quote them."""
    text = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".")
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID"):
        if secret := os.environ.get(name):
            text = text.replace(secret, f"<{name}>")
    return text


def _sync(descriptor: int) -> None:
    # The data must be on the disk before the manifest that vouches for it.
    os.fsync(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
