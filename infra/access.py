"""Who may use the Prefect API of this machine: whoever can read one file of the home.

Everybody on a machine reaches its loopback addresses, and so does every page in a browser there.
The server therefore asks each request for a random credential. `make up` makes it once, and only
its owner can read it: the file, and the home around it.
"""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.errors import ServiceError
from infra.settings import Settings

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

USER = "revisual"
NUM_RANDOM_BYTES = 32
PRIVATE_UMASK = 0o077
# A socket's whole path has at most 107 bytes (unix(7)); what Python's and vLLM's have below the
# folder for temporary files has less than 48.
MAX_TEMPORARY_PATH_BYTES = 107 - 48


def make_private(folder: Path) -> None:
    """Makes a folder that only its owner may enter, or takes everybody else's rights to it.

    Raises:
        ServiceError: It belongs to somebody else.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # `lstat`: in a folder that all may write to, somebody else's link could lead anywhere.
    if folder.lstat().st_uid != os.getuid():
        raise ServiceError(
            f"{folder} belongs to another user.",
            where=str(folder),
            rule="what a run keeps on this machine is its owner's alone",
            fix="set REVISUAL_HOME to a folder of your own",
        )
    folder.chmod(0o700)


def write_private(path: Path, text: str) -> None:
    """Writes a file that only its owner may read, whatever was there."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(file, "w", encoding="utf-8") as opened:
        os.fchmod(file, 0o600)
        opened.write(text)


def credential_path(settings: Settings) -> Path:
    """Where the credential lies."""
    return settings.home / "credential"


def make_credential(settings: Settings) -> None:
    """Makes the credential, if there is none yet."""
    path = credential_path(settings)
    if not path.exists():
        write_private(path, f"{USER}:{secrets.token_urlsafe(NUM_RANDOM_BYTES)}\n")


def credential(settings: Settings) -> str:
    """User and password, with a colon between them, as Prefect's settings want them.

    Raises:
        ServiceError: There is none: nothing was started here.
    """
    path = credential_path(settings)
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError as error:
        raise ServiceError(
            "There is no credential for the Prefect server.",
            where=str(path),
            rule="the server answers those that know its credential; make up makes one",
            fix="make down, then make up",
        ) from error


def api_client(settings: Settings) -> "SyncPrefectClient":
    """A client of this machine's server; a context manager."""
    from prefect.client.orchestration import SyncPrefectClient  # takes seconds

    return SyncPrefectClient(
        settings.api_url,
        auth_string=credential(settings),
        httpx_settings={"trust_env": False},  # no proxy hears of the credential
    )


def without_proxy(environment: Mapping[str, str]) -> dict[str, str]:
    """What keeps a proxy of the environment from what goes to this machine itself."""
    names = [environment.get("NO_PROXY"), environment.get("no_proxy"), "127.0.0.1,localhost"]
    listed = ",".join(name for name in names if name)
    return {"NO_PROXY": listed, "no_proxy": listed}


def temporary_folder(settings: Settings) -> Path:
    """Where the server, the worker and their runs keep temporary files: nobody else may look.

    Inside the home; a home whose path leaves no room for the names of sockets has one beside
    the machine's other temporary files.
    """
    inside = settings.home / "tmp"
    if len(os.fsencode(inside)) <= MAX_TEMPORARY_PATH_BYTES:
        return inside
    return Path("/tmp") / f"revisual-{os.getuid()}"  # noqa: S108 - `make_private` looks who made it
