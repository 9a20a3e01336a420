"""A run: what every task needs to know about it, and the diary it keeps for the report."""

import shutil
import subprocess
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

from contracts.artifact import Artifact
from contracts.provenance import Ingredients, Provenance
from contracts.run_record import (
    GateRecord,
    RunRecord,
    StageKind,
    StageRecord,
    recipe_digest,
)
from infra.settings import PROJECT_ROOT, Settings
from infra.store import Store
from tasks.keys import Reuse, library_versions
from training.recipe.recipe import Recipe, resolved_toml_values

# The sections of a recipe that an evaluation by itself reads, and its report shows.
EVALUATED_BY = ("name", "seed", "system_prompt", "model", "rollout", "answers", "evaluation")
RECIPES = PROJECT_ROOT / "infra" / "recipes"


@dataclass(frozen=True)
class Run:
    """One execution of a recipe.

    Attributes:
        id: The flow run's id.
        name: The flow run's name.
        recipe: The resolved recipe.
        reuse: What it takes from the store of what earlier runs finished.
        settings: Where things lie on this machine.
        created: When the run was created.
        model: What a run that only evaluates was asked to evaluate; None for a whole run.
        family: Id of the run that asked for this one and others, as an ablation does for its arms:
            they share their stages even if they reuse nothing else. None for a run by itself.
    """

    id: str
    name: str
    recipe: Recipe
    reuse: Reuse
    settings: Settings
    created: datetime
    model: str | None = None
    family: str | None = None

    @property
    def salt(self) -> str:
        """What keeps the stages of a run that reuses nothing apart from everybody else's."""
        return (self.family or self.id) if self.reuse == "none" else ""

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
        return self.settings.store()

    def provenance(
        self,
        stage: str,
        inputs: Mapping[str, Artifact],
        made_of: Ingredients | None = None,
    ) -> Provenance:
        """Where an artifact of this run comes from, for its manifest."""
        return Provenance(
            producer={
                "run": self.name,
                "run_id": self.id,
                "stage": stage,
                "version": code_version(),
                "hardware": self.recipe.hardware.of(stage).model_dump_json(),
            },
            inputs=dict(inputs),
            recipe_digest=self.recipe_digest,
            ingredients=made_of,
            libraries=library_versions(),
        )

    def note_stage(
        self,
        name: str,
        kind: StageKind,
        *,
        seconds: float,
        reused: bool,
        artifact: Artifact,
        inputs: Sequence[Artifact],
        remarks: Sequence[str] = (),
    ) -> None:
        """Enters a finished stage in the run's diary."""
        record = StageRecord(
            name=name,
            kind=kind,
            seconds=seconds,
            reused=reused,
            artifact=artifact,
            inputs=tuple(inputs),
            remarks=tuple(remarks),
        )
        self._note("stages", name, record.model_dump_json())

    def note_gate(self, record: GateRecord) -> None:
        """Enters a gate's result in the run's diary."""
        self._note("gates", record.name, record.model_dump_json())

    def gate(self, name: str) -> GateRecord | None:
        """What the diary says of a gate, if it says anything yet."""
        path = self._page("gates", name)
        return GateRecord.model_validate_json(path.read_text()) if path.is_file() else None

    def keep_docs(self, gate: str, page: str) -> Path:
        """Puts a gate's Data Docs beside the report, with which they are stored."""
        path = self.settings.reports / self.name / "gates" / f"{gate}.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")
        return path

    def record(self, code_version: str) -> RunRecord:
        """The diary as the record that the report is made of."""
        recipe = resolved_toml_values(self.recipe)
        if self.model is not None:
            recipe = {name: recipe[name] for name in EVALUATED_BY}
            recipe["model"] |= {"path": self.model, "revision": None}
        order = ["curate", *(stage.name for stage in self.recipe.stages), "evaluate"]
        stages = [StageRecord.model_validate_json(text) for text in self._notes("stages")]
        gates = [GateRecord.model_validate_json(text) for text in self._notes("gates")]
        passed = [f"{gate}-{name}" for name in order for gate in ("checkpoint", "rollouts")]
        passed = ["curation", *passed, "evaluation"]
        return RunRecord(
            name=self.name,
            seed=self.recipe.seed,
            recipe=recipe,
            code_version=code_version,
            created=self.created,
            stages=tuple(sorted(stages, key=lambda stage: order.index(stage.name))),
            gates=tuple(sorted(gates, key=lambda gate: passed.index(gate.name))),
        )

    def _page(self, chapter: str, name: str) -> Path:
        return self.work / "diary" / chapter / f"{name}.json"

    def _note(self, chapter: str, name: str, text: str) -> None:
        path = self._page(chapter, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def _notes(self, chapter: str) -> list[str]:
        return [path.read_text() for path in sorted((self.work / "diary" / chapter).glob("*.json"))]


def recipe_path(name: str) -> Path:
    """A shipped recipe by its name, or a recipe file by its path."""
    return RECIPES / f"{name}.toml" if name in shipped_recipes() else Path(name)


def shipped_recipes() -> list[str]:
    """The names of the recipes that come with the project."""
    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def absolute_name(name: str) -> str:
    """The recipe's name for a process in another folder, such as the worker's."""
    path = recipe_path(name)
    return name if path.parent == RECIPES else str(path.resolve())


@cache
def code_version() -> str:
    """The project's version, with the commit where the sources are a git checkout."""
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    version, git = str(project["project"]["version"]), shutil.which("git")
    if git is None:  # in a container, say
        return version
    commit = subprocess.run(
        [git, "rev-parse", "--short", "HEAD"],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return f"{version}+{commit.stdout.strip()}" if commit.returncode == 0 else version
