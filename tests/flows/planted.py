"""Secrets that tests plant around whole runs, and the search for them in all that a run leaves."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from infra.access import credential_path
from tests.flows.conftest import POCKET_BASE, Services


def planted(name: str) -> str:
    """A secret that nobody could take for something else."""
    return f"{name}-Qz7Wm3Xv9Rt"


ENDPOINT = f"http://{planted('endpoint_user')}:{planted('endpoint_password')}@127.0.0.1"
IN_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": planted("aws_key_id"),
    "AWS_SECRET_ACCESS_KEY": planted("aws_secret"),
    "AWS_ENDPOINT_URL": ENDPOINT,
    "HF_TOKEN": planted("hub_token"),
    "SOME_PASSWORD": planted("some_password"),
    # Nothing listens there: what Prefect sent this way to its own server would be lost.
    "HTTPS_PROXY": f"http://me:{planted('proxy')}@127.0.0.1:9",
}
PLANTED = (
    *("aws_key_id", "aws_secret", "endpoint_user", "endpoint_password", "hub_token"),
    *("some_password", "proxy", "in_url", "in_prompt"),
)
HUB_TOKEN = "hf_" + "aB3dE6" * 5


SECRETIVE_FIELDS = ("name", "system_prompt", "model.path", "stages.1.group_size")


def secretive(recipes: Path, folder: Path) -> str:
    """A recipe with a secret in each of the fields above, the last one's value of a wrong type."""
    text = (recipes / "tiny.toml").read_text()
    for old, new in (
        ('"tiny"', f'"{planted("hub_token")}"'),
        ("Think in", f"password={planted('in_prompt')} Think in"),
        (str(POCKET_BASE), f"https://me:{planted('in_url')}@hub.example/model"),
        ("group_size = 2", f'group_size = "{HUB_TOKEN}"'),
    ):
        assert old in text
        text = text.replace(old, new)
    path = folder / "secretive.toml"
    path.write_text(text)
    return str(path)


def require_hidden(services: Services, printed: Iterable[str]) -> None:
    """None of them is printed, in a file of the home, or in a command line of the machine."""
    secrets = [*map(planted, PLANTED), HUB_TOKEN, services.credential[1]]
    home = services.settings.home
    allowed = {credential_path(services.settings), home / "prefect" / "profiles.toml"}
    files = [path for path in home.rglob("*") if path.is_file() and path not in allowed]
    assert {"prefect.db", "worker.log"} <= {path.name for path in files}
    found = []
    for path in files:
        with suppress(FileNotFoundError):  # a temporary one
            content = path.read_bytes()
            found += [(str(path), secret) for secret in secrets if secret.encode() in content]
    assert found == []
    texts = [*printed, *command_lines()]
    assert [secret for secret in secrets for text in texts if secret in text] == []


def command_lines() -> Iterator[str]:
    """Those of every process that any user of the machine can see."""
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            yield " ".join(process.cmdline())
