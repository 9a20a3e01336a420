"""Where the store's bytes lie: a local folder or an S3 bucket, with one contract.

Names are relative, with `/` between their parts, and lead nowhere else: a backend refuses others,
and its listings leave them out (`infra.names`). Nothing is ever overwritten: `create` makes an
object only if there is none of that name, which is all the locking the store needs.
"""

import logging
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from contracts.errors import StoreError
from contracts.paths import is_inner_path
from contracts.secrets import without_secrets
from infra.limits import MAX_METADATA_BYTES, too_large
from infra.local_backend import LocalBackend
from infra.names import inner

MIB = 2**20
# The limit of a whole request as well as of a read: an upload that waits to be told to go on
# (Expect: 100-continue) reads nothing, and would wait for ever.
TIMEOUT_SECONDS = 60.0
SLOWEST_BYTES_PER_SECOND = MIB
PATIENCE_SECONDS = 180.0
# How often an operation's patience begins anew after an attempt that worked for longer than it.
LONG_ATTEMPTS = 5
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 10.0
RANGE_NOT_SATISFIABLE = 416
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
        """An object's bytes; None if there is none of that name.

        Raises:
            DamagedError: There are more than `MAX_METADATA_BYTES`.
        """
        ...

    def sizes(self, prefix: str) -> dict[str, int]:
        """Bytes of every object under `prefix/`, by its name relative to it."""
        ...

    def times(self, prefix: str) -> dict[str, float]:
        """When every object under `prefix/` was made, by the store's clock, seconds."""
        ...

    def unfinished(self) -> dict[str, float]:
        """Names that a writer began and nobody can read yet, and when, by the store's clock.

        Those of a crashed one stay until they are removed.
        """
        ...

    def upload(self, folder: Path, names: Sequence[str], prefix: str) -> None:
        """Copies files of a folder to `prefix/`."""
        ...

    def download(self, prefix: str, names: Sequence[str], folder: Path) -> None:
        """Copies objects under `prefix/` into a folder."""
        ...

    def remove(self, prefix: str) -> None:
        """Removes whatever lies under `prefix/`, and an object of that name, unfinished or not."""
        ...

    def abandon(self, name: str) -> None:
        """Removes what `unfinished` lists under a name; what others can read stays."""
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


class S3Backend:
    """A prefix of an S3 bucket, through s3fs.

    Not fork-safe: open it in the process that uses it. The endpoint and the credentials come from
    the usual AWS_* variables. A server that is away, slow or overloaded is asked again for
    `PATIENCE_SECONDS` after the first failure: long enough for a restart.

    Args:
        path: Bucket and prefix.
        called: What it is called in errors.
    """

    def __init__(self, path: str, called: str = "The store") -> None:
        import s3fs  # takes a second, and a local store never needs it

        self._path = path
        self._called = called
        self._bucket = path.partition("/")[0]
        self.root = f"s3://{path}"
        self._fs = s3fs.S3FileSystem(
            # With a listings cache even `exists` is stale after another writer.
            use_listings_cache=False,
            skip_instance_cache=True,
            config_kwargs={"connect_timeout": 10, "read_timeout": TIMEOUT_SECONDS},
        )

    def reach(self) -> None:
        """Asks for the bucket, once; it is never made, though some servers would with a PUT."""
        self._call(lambda: self._fs.call_s3("head_bucket", Bucket=self._bucket), patience_seconds=0)

    def create(self, name: str, data: bytes) -> bool:
        """A PUT with `If-None-Match: *`."""
        path = self._object(name)

        def put() -> bool:
            try:
                self._fs.pipe_file(path, data, mode="create", timeout=TIMEOUT_SECONDS)
            except OSError as error:
                if isinstance(error, FileExistsError) or _status(error) in (409, 412):
                    return False
                raise
            return True

        return self._call(put)

    def read(self, name: str) -> bytes | None:
        """An object's bytes, or None."""
        path = self._object(name)

        def get() -> bytes | None:
            try:
                # A range: the size that a listing tells may be another one by now.
                data: bytes = self._fs.cat_file(
                    path, start=0, end=MAX_METADATA_BYTES + 1, timeout=TIMEOUT_SECONDS
                )
            except FileNotFoundError:
                return None
            except OSError as error:
                if _status(error) == RANGE_NOT_SATISFIABLE:  # nothing has no first byte
                    return b""
                raise
            return data

        data = self._call(get)
        if data is not None and len(data) > MAX_METADATA_BYTES:
            raise too_large(name, self.root)
        return data

    def sizes(self, prefix: str) -> dict[str, int]:
        """Sizes of the objects under a prefix."""
        return {name: info["size"] for name, info in self._list(prefix).items()}

    def times(self, prefix: str) -> dict[str, float]:
        """When the objects under a prefix were written, by the server's clock."""
        return {name: info["LastModified"].timestamp() for name, info in self._list(prefix).items()}

    def states(self, prefix: str) -> dict[str, str]:
        """What changes whenever an object under a prefix is written again, by its name."""
        return {
            name: f"{info['size']} {info['ETag']} {info['LastModified'].isoformat()}"
            for name, info in self._list(prefix).items()
        }

    def unfinished(self) -> dict[str, float]:
        """Multipart uploads; of several of one name the youngest counts."""
        begun: dict[str, float] = {}
        for upload in self._multipart_uploads():
            name, seconds = upload["name"], upload["Initiated"].timestamp()
            begun[name] = max(seconds, begun.get(name, seconds))
        return begun

    def _multipart_uploads(self) -> list[dict[str, Any]]:
        """All below the root, each with its `name` relative to it."""
        root = f"{self._path}/".partition("/")[2]
        found: list[dict[str, Any]] = []
        page: dict[str, Any] = {}
        while not page or page.get("IsTruncated"):
            after = {"KeyMarker": "NextKeyMarker", "UploadIdMarker": "NextUploadIdMarker"}
            markers = {name: page[source] for name, source in after.items() if source in page}
            page = self._request("list_multipart_uploads", Prefix=root, **markers)
            found += page.get("Uploads", [])
        named = [one | {"name": one["Key"].removeprefix(root)} for one in found]
        return [one for one in named if is_inner_path(one["name"])]

    def _object(self, name: str) -> str:
        """Bucket and key of a name.

        Raises:
            StoreError: Clients and servers might take it for another one's.
        """
        return f"{self._path}/{inner(name, self.root)}"

    def _request(self, method: str, **parameters: str) -> dict[str, Any]:
        """One request of S3's own, to the bucket."""
        answer: dict[str, Any] = self._call(
            lambda: self._fs.call_s3(
                method, Bucket=self._bucket, timeout=TIMEOUT_SECONDS, **parameters
            )
        )
        return answer

    def _list(self, prefix: str) -> dict[str, dict[str, Any]]:
        base = f"{self._object(prefix)}/"
        found: dict[str, dict[str, Any]] = self._call(
            lambda: self._fs.find(base, detail=True, timeout=TIMEOUT_SECONDS)
        )
        # An emptied prefix may live on as an object of its own name.
        named = {
            name.removeprefix(base): info
            for name, info in found.items()
            if name.startswith(base) and info["type"] == "file"
        }
        return {name: info for name, info in named.items() if is_inner_path(name)}

    def upload(self, folder: Path, names: Sequence[str], prefix: str) -> None:
        """Multipart, with little memory: at most 8 parts of 8 MiB at once."""
        num_bytes = sum((folder / name).stat().st_size for name in names)
        self._call(
            lambda: self._fs.put(
                [str(folder / name) for name in names],
                [self._object(f"{prefix}/{name}") for name in names],
                chunksize=8 * MIB,
                max_concurrency=2,
                batch_size=4,
                timeout=_transfer_seconds(num_bytes),
            )
        )

    def download(self, prefix: str, names: Sequence[str], folder: Path) -> None:
        """Four files at once, each in one stream."""
        targets = [folder / inner(name, self.root) for name in names]
        for target in targets:
            target.parent.mkdir(parents=True, exist_ok=True)
        sizes = self.sizes(prefix)
        num_bytes = sum(sizes.get(name, 0) for name in names)
        self._call(
            lambda: self._fs.get(
                [self._object(f"{prefix}/{name}") for name in names],
                [str(target) for target in targets],
                max_concurrency=1,
                batch_size=4,
                timeout=_transfer_seconds(num_bytes),
            )
        )

    def remove(self, prefix: str) -> None:
        """Removes every object under a prefix, and the one of that name; none is fine.

        Uploads that never ended go, too: S3 keeps their parts, and lists them nowhere else.
        """
        itself = self._object(prefix)
        names = [f"{itself}/{name}" for name in self.sizes(prefix)]
        # S3 answers that it has removed an object that never was.
        self._call(lambda: self._fs.rm([*names, itself], timeout=TIMEOUT_SECONDS))
        self._abort(lambda name: name == prefix or name.startswith(f"{prefix}/"))

    def abandon(self, name: str) -> None:
        """Aborts the multipart uploads of a name."""
        inner(name, self.root)
        self._abort(lambda one: one == name)

    def _abort(self, is_meant: Callable[[str], bool]) -> None:
        for upload in self._multipart_uploads():
            if is_meant(upload["name"]):
                ids = {"Key": upload["Key"], "UploadId": upload["UploadId"]}
                self._request("abort_multipart_upload", **ids)

    def _call(
        self, operation: Callable[[], Result], patience_seconds: float | None = None
    ) -> Result:
        """Runs an operation, which may be run twice, until the server has had its chance.

        Raises:
            StoreError: The server refuses, or is not there for longer than the patience.
        """
        from aiohttp import ClientError as TransportError

        # botocore ships no types.
        from botocore.exceptions import BotoCoreError, ClientError

        patience = PATIENCE_SECONDS if patience_seconds is None else patience_seconds
        # From the first failure: a long transfer that breaks near its end has not waited yet. Nor
        # has one that is broken once more after it went on for long: the server was back meanwhile.
        deadline: float | None = None
        wait_seconds, long_attempts = FIRST_WAIT_SECONDS, LONG_ATTEMPTS
        while True:
            begun = time.monotonic()
            try:
                return operation()
            except (OSError, BotoCoreError, ClientError, TransportError) as error:
                now = time.monotonic()
                if deadline is None:
                    deadline = now + patience
                elif now - begun > patience and long_attempts > 0:
                    deadline, wait_seconds = now + patience, FIRST_WAIT_SECONDS
                    long_attempts -= 1
                if not _may_pass(error) or now + wait_seconds > deadline:
                    raise self._unusable(error) from error
                log.warning("%s: %s; trying again", self.root, _reason(error))
            time.sleep(wait_seconds)
            wait_seconds = min(2 * wait_seconds, LONGEST_WAIT_SECONDS)

    def _unusable(self, error: Exception) -> StoreError:
        return StoreError(
            f"{self._called} {self.root} cannot be used: {_reason(error)}.",
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
    """The error's text on one line."""
    text = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".")
    return without_secrets(text)
