"""A run: what every task needs to know about it, and the diary it keeps for the report."""

import hashlib
import json
import subprocess
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

from contracts.artifact import Artifact
from contracts.run_record import (
    GateRecord,
    RunRecord,
    StageKind,
    StageRecord,
    recipe_digest,
)
from infra.settings import PROJECT_ROOT, Settings
from infra.store import Store
from training.recipe.recipe import Recipe, resolved_toml_values

RECIPES = PROJECT_ROOT / "infra" / "recipes"


@dataclass(frozen=True)
class Run:
    """One execution of a recipe.

    Attributes:
        id: The flow run's id.
        name: The flow run's name.
        recipe: The resolved recipe.
        fresh: True ignores what earlier runs finished.
        settings: Where things lie on this machine.
        created: When the run was created.
        code: Digest of the code that the stages run.
    """

    id: str
    name: str
    recipe: Recipe
    fresh: bool
    settings: Settings
    created: datetime
    code: str

    @property
    def work(self) -> Path:
        """The run's scratch folder."""
        return self.settings.home / "work" / f"{self.name}-{self.id[:8]}"

    @property
    def recipe_digest(self) -> str:
        """Digest of the resolved recipe."""
        return recipe_digest(resolved_toml_values(self.recipe))

    def store(self) -> Store:
        """Opens the store; not fork-safe, so each task opens its own."""
        return Store(self.settings.store_uri, self.settings.home / "cache")

    def producer(self, stage: str) -> dict[str, str]:
        """Who made an artifact, for its manifest."""
        return {
            "run": self.name,
            "run_id": self.id,
            "stage": stage,
            "code": self.code,
            "version": code_version(),
            "hardware": self.recipe.hardware.model_dump_json(),
        }

    def note_stage(
        self,
        name: str,
        kind: StageKind,
        *,
        seconds: float,
        reused: bool,
        artifact: Artifact,
        inputs: Sequence[Artifact],
    ) -> None:
        """Enters a finished stage in the run's diary."""
        record = StageRecord(
            name=name,
            kind=kind,
            seconds=seconds,
            reused=reused,
            artifact=artifact,
            inputs=tuple(inputs),
        )
        self._note("stages", name, record.model_dump_json())

    def note_gate(self, record: GateRecord) -> None:
        """Enters a gate's result in the run's diary."""
        self._note("gates", record.name, record.model_dump_json())

    def record(self, code_version: str) -> RunRecord:
        """The diary as the record that the report is made of."""
        recipe = resolved_toml_values(self.recipe)
        order = ["curate", *(stage.name for stage in self.recipe.stages), "evaluate"]
        stages = [StageRecord.model_validate_json(text) for text in self._notes("stages")]
        gates = [GateRecord.model_validate_json(text) for text in self._notes("gates")]
        return RunRecord(
            name=self.name,
            seed=self.recipe.seed,
            recipe=recipe,
            code_version=code_version,
            created=self.created,
            stages=tuple(sorted(stages, key=lambda stage: order.index(stage.name))),
            gates=tuple(gates),
        )

    def _note(self, chapter: str, name: str, text: str) -> None:
        folder = self.work / "diary" / chapter
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.json").write_text(text)

    def _notes(self, chapter: str) -> list[str]:
        return [path.read_text() for path in sorted((self.work / "diary" / chapter).glob("*.json"))]


def recipe_path(name: str) -> Path:
    """A shipped recipe by its name, or a recipe file by its path."""
    shipped = RECIPES / f"{name}.toml"
    return shipped if shipped.is_file() else Path(name)


def absolute_name(name: str) -> str:
    """The recipe's name for a process in another folder, such as the worker's."""
    path = recipe_path(name)
    return name if path.parent == RECIPES else str(path.resolve())


def code_digest() -> str:
    """Digest of the training package's sources: other code may give other results.

    The report is left out: it only shows what the stages made.
    """
    digest = hashlib.sha256()
    package = PROJECT_ROOT / "training"
    for path in sorted(package.rglob("*.py")):
        if path.is_relative_to(package / "report"):
            continue
        name = path.relative_to(PROJECT_ROOT).as_posix()
        digest.update(json.dumps([name, path.read_text(encoding="utf-8")]).encode())
    return digest.hexdigest()


@cache
def code_version() -> str:
    """The project's version, with the commit where the sources are a git checkout."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],  # noqa: S607 - whichever git the user has
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    suffix = f"+{commit.stdout.strip()}" if commit.returncode == 0 else ""
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return str(project["project"]["version"]) + suffix
