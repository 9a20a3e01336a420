"""What the environment decides, as opposed to the recipe: where things lie and which port is used.

Nothing needs to be set. Credentials are not settings: the S3 client reads them itself from the
usual `AWS_*` variables, and they are never written anywhere.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from contracts.errors import SettingsError
from contracts.secrets import without_secrets
from infra.store import Store

PROJECT_ROOT = Path(__file__).resolve().parents[1]
DEFAULT_PORT = 4200
POOL = "revisual"  # Prefect's work pool
DEPLOYMENT = "revisual/full"
CURATION = "revisual/curate"
EVALUATION = "revisual/evaluate"
ABLATION = "revisual/ablation"


def stage_deployment(pool: str) -> str:
    """The deployment by which a work pool runs single stages."""
    return f"revisual-stage/{pool}"


@dataclass(frozen=True)
class Settings:
    """Where a run keeps its things.

    Attributes:
        home: Everything the project writes on this machine (`REVISUAL_HOME`, `.revisual`).
        store_uri: The artifact store (`REVISUAL_STORE`), a folder's path or `s3://bucket/prefix`.
        port: Loopback port of the Prefect server (`REVISUAL_PORT`).
        has_shared_folder: Whether a store that is a folder is one that all machines mount at the
            same path (`REVISUAL_STORE_SHARED=1`).
    """

    home: Path
    store_uri: str
    port: int
    has_shared_folder: bool = False

    @property
    def is_store_shared(self) -> bool:
        """Whether other machines reach the store: it is a bucket, or a folder that they mount."""
        return "://" in self.store_uri or self.has_shared_folder

    @property
    def api_url(self) -> str:
        """The Prefect API of the local server."""
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def ui_url(self) -> str:
        """The Prefect UI of the local server."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def prefect_home(self) -> Path:
        """Prefect's database, profile and storage."""
        return self.home / "prefect"

    def store(self) -> Store:
        """Opens the artifact store; not fork-safe, so each task opens its own."""
        return Store(self.store_uri, self.home / "cache")

    @property
    def reports(self) -> Path:
        """One folder per finished run."""
        return self.home / "reports"


def load_settings() -> Settings:
    """Reads the environment.

    Raises:
        SettingsError: A variable holds something else than it should.
    """
    home = Path(os.environ.get("REVISUAL_HOME") or PROJECT_ROOT / ".revisual").resolve()
    return Settings(
        home=home,
        store_uri=_absolute(os.environ.get("REVISUAL_STORE") or str(home / "store")),
        port=_port(os.environ.get("REVISUAL_PORT") or str(DEFAULT_PORT)),
        has_shared_folder=_yes_or_no("REVISUAL_STORE_SHARED"),
    )


def _absolute(uri: str) -> str:
    """The worker has another current folder than the person who typed a relative path."""
    if without_secrets(uri, {}) != uri:
        raise SettingsError(
            "REVISUAL_STORE holds a password, a key or a token.",
            where="environment variable REVISUAL_STORE",
            rule="the store's address is part of every reference to what lies in it",
            fix="name the bucket alone; the S3 client reads AWS_ACCESS_KEY_ID and the like",
        )
    path = uri.removeprefix("file://") if uri.startswith("file:///") else uri
    return path if "://" in path else str(Path(path).resolve())


def _yes_or_no(variable: str) -> bool:
    text = os.environ.get(variable) or "0"
    if text in ("0", "1"):
        return text == "1"
    raise SettingsError(
        f"{variable} is {text!r}.",
        where=f"environment variable {variable}",
        rule="it is 1 for yes, and 0 or unset for no",
        fix=f"set {variable}=1, or unset it",
    )


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= int(text) <= 65535:
        return int(text)
    raise SettingsError(
        f"REVISUAL_PORT is {text!r}.",
        where="environment variable REVISUAL_PORT",
        rule="a port is a whole number from 1 to 65535",
        fix=f"unset it for port {DEFAULT_PORT}, or name a free port",
    )
