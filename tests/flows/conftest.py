import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts.artifact import Artifact
from infra.access import credential
from infra.seaweed import free_ports
from infra.settings import Settings

ROOT = Path(__file__).parents[2]
POCKET_BASE = ROOT / "infra" / "models" / "pocket-base"

RECIPE = """
name = "tiny"
system_prompt = "Think in <think></think>, then answer in \\\\boxed{}."
model = { path = "POCKET_BASE" }
hardware = { threads_per_process = 1 }
sources = [
  { name = "words", kind = "pocket", modality = "text", num_problems = 16 },
  { name = "images", kind = "pocket", modality = "multimodal", num_problems = 16 },
]

[curation]
samples_per_problem = 2
max_response_tokens = 4
sets = [
  { name = "cold_start", modality = "text", num_problems = 8, needs_solution = true },
  { name = "rl", modality = "multimodal", num_problems = 8 },
]

[[stages]]
kind = "sft"
name = "cold_start"
data = "cold_start"
epochs = EPOCHS
batch_size = 8
max_length_tokens = 512
optimizer = { learning_rate = 1e-3 }

[[stages]]
kind = "rl"
name = "multimodal_rl"
data = "rl"
num_steps = 2
prompts_per_step = 2
group_size = 2
max_response_tokens = 4
rewards = [{ kind = "accuracy" }, { kind = "efficient_length", budget_tokens = 4 }]
optimizer = { learning_rate = 1e-3 }

[evaluation]
benchmarks = [{ name = "pocket_multimodal", num_problems = 4 }]
max_response_tokens = 4

[gates.evaluation]
severity = "warning"

[checkpoints]
every_steps = 1000000
"""


@pytest.fixture(scope="session")
def recipes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two recipes for the shipped base: tiny.toml, and endless.toml."""
    folder = tmp_path_factory.mktemp("recipes")
    recipe = RECIPE.replace("POCKET_BASE", str(POCKET_BASE))
    (folder / "tiny.toml").write_text(recipe.replace("EPOCHS", "1"))
    # Its cold start would take days: made to be stopped. Its curation is tiny.toml's.
    (folder / "endless.toml").write_text(recipe.replace("EPOCHS", "10000"))
    return folder


@dataclass(frozen=True)
class Services:
    """A Prefect server and a worker of their own."""

    settings: Settings
    environment: dict[str, str]

    @property
    def credential(self) -> tuple[str, str]:
        user, _, password = credential(self.settings).partition(":")
        return user, password

    def cli(self, *arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
        return self.run("-m", "flows.cli", *arguments, cwd=cwd)

    def prefect(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("-m", "prefect", "--no-prompt", *arguments)

    def weights(self, record: dict[str, Any]) -> dict[str, str]:
        """Digests of the weights that a run's stages made, as the store's manifests say."""
        store = self.settings.store()
        return {
            stage["name"]: file.sha256
            for stage in record["stages"]
            for file in store.manifest(Artifact(**stage["artifact"])).files
            if file.path == "model/model.safetensors"
        }

    def assets(self, event: str, uris: list[str]) -> dict[str, dict[str, Any]]:
        """The Prefect server's last event of this name about each of these assets."""
        wanted = {"event": {"name": [event]}, "resource": {"id": uris}, "order": "ASC"}
        found: dict[str, dict[str, Any]] = {}
        deadline = time.monotonic() + 120
        while len(found) < len(uris) and time.monotonic() < deadline:
            address = f"{self.settings.api_url}/events/filter"
            answer = httpx.post(
                address, json={"filter": wanted}, timeout=60, auth=self.credential
            ).raise_for_status()
            events = answer.json()["events"]
            found = {one["resource"]["prefect.resource.id"]: one for one in events}
            time.sleep(0.5)
        return found

    def run(self, *arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=cwd,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=1700,
            check=False,
        )


def isolated(home: Path, port: int) -> Services:
    """Settings that share nothing with anybody else on this machine."""
    clean = {
        name: v for name, v in os.environ.items() if not name.startswith(("PREFECT_", "REVIS"))
    }
    environment = clean | {
        "REVISUAL_HOME": str(home),
        "REVISUAL_PORT": str(port),
        "PREFECT_PROFILES_PATH": str(home / "prefect" / "profiles.toml"),
        "COLUMNS": "200",
    }
    return Services(Settings(home=home, store_uri=str(home / "store"), port=port), environment)


@pytest.fixture(scope="session")
def started_services():
    """Starts a server and a worker for as long as a `with` lasts."""

    @contextmanager
    def start(home: Path, **variables: str) -> Iterator[Services]:
        services = isolated(home, free_ports(1)[0])
        services.environment.update(variables)
        up = services.cli("up")
        try:
            assert up.returncode == 0, up.stderr
            yield services
        finally:
            services.cli("down")

    return start


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[Services]:
    """Nothing is up yet; whatever the test starts is stopped."""
    services = isolated(tmp_path / "home", free_ports(1)[0])
    yield services
    down = services.cli("down")
    assert down.returncode == 0, down.stderr
