"""How long an ablation will take, before it starts: what is to be made, at rates that were seen.

A rate is that of the newest stage of its kind in the store, of the grid or of its recipe, else one
of a run of the pocket's model on two slow cores; for any other model there is none then.
"""

import hashlib
import json
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from contracts.artifact import Artifact
from contracts.errors import RevisualError
from contracts.run_record import StageKind
from infra.settings import PROJECT_ROOT, Settings
from infra.store import Store
from report.evidence import read_metrics
from report.numbers import duration
from tasks.grids import ArmRun
from tasks.inputs import Inputs, resolve
from tasks.keys import (
    Reuse,
    find_finished,
    history_key,
    ingredients,
    input_digests,
    stage_key,
)
from tasks.run import Run
from training.recipe.effects import result_fields
from training.recipe.recipe import Recipe, parse_recipe
from training.recipe.stages import SftStage

POCKET = PROJECT_ROOT / "infra" / "models" / "pocket-base"
# Seconds for an answer or a trained sample, of the pocket's model on two slow cores.
STATED: Mapping[StageKind, float] = {
    "curate": 0.0052,
    "sft": 0.0135,
    "rl": 0.0125,
    "evaluate": 0.0095,
}
NEWEST = 8  # so many stages are looked at; one that only found answers has no rate
START_SECONDS = 10.0  # of a stage's processes, and of storing what they made
STATED_BASIS = "a run of the pocket recipe on two slow cores"


@dataclass(frozen=True)
class Planned:
    """One stage that an arm needs.

    Attributes:
        identity: Equal for stages that are made once.
        name: Its name.
        kind: Its kind.
        recipe: The arm's.
        is_made: Whether the store has it.
    """

    identity: str
    name: str
    kind: StageKind
    recipe: Recipe
    is_made: bool


@dataclass(frozen=True)
class Rate:
    """Seconds for a unit of work, and where that is from."""

    seconds: float
    basis: str


def work_of(recipe: Recipe, name: str, kind: StageKind) -> float | None:
    """Answers to be drawn, or samples to be trained on; None where only the files could tell."""
    if kind == "curate":
        numbers = [source.num_problems for source in recipe.sources]
        rows = _sum(numbers)
        return None if rows is None else rows * recipe.curation.samples_per_problem
    if kind == "evaluate":
        asked = recipe.evaluation
        return _sum(
            one.num_problems and one.num_problems * asked.samples_of(one)
            for one in asked.benchmarks
        )
    stage = next(one for one in recipe.stages if one.name == name)
    if isinstance(stage, SftStage):
        rows = next(one.num_problems for one in recipe.curation.sets if one.name == stage.data)
        return stage.epochs * rows
    return stage.num_steps * stage.prompts_per_step * stage.group_size


def _sum(numbers: Iterable[int | None]) -> int | None:
    given = list(numbers)
    known = [number for number in given if number is not None]
    return sum(known) if len(known) == len(given) else None


def planned_stages(
    one: ArmRun, store: Store, inputs: Inputs, reuse: Reuse = "code"
) -> Iterator[Planned]:
    """The stages that an arm with one seed needs, in their order; what they need is looked up."""
    recipe, policy = one.recipe, _Known(inputs.base, inputs.base.sha256)
    resolved = {**inputs.models, **inputs.sources, **inputs.benchmarks}
    read = {"policy": policy, **_known(resolved)}
    if one.stages:
        data, stage = _plan(store, recipe, "curate", "curate", read, reuse)
        yield stage
    for section in one.stages:
        given = {"policy": policy, "data": data}
        policy, stage = _plan(store, recipe, section.name, section.kind, given, reuse)
        yield stage
    given = {"policy": policy, **_known(inputs.benchmarks)}
    yield _plan(store, recipe, "evaluate", "evaluate", given, reuse)[1]


@dataclass(frozen=True)
class _Known:
    """What a stage reads: an artifact, or only what it will be made of."""

    artifact: Artifact | None
    identity: str


def _known(artifacts: Mapping[str, Artifact]) -> dict[str, _Known]:
    return {name: _Known(one, one.sha256) for name, one in artifacts.items()}


def _plan(
    store: Store,
    recipe: Recipe,
    name: str,
    kind: StageKind,
    reads: Mapping[str, _Known],
    reuse: Reuse,
) -> tuple[_Known, Planned]:
    given = {key: one.artifact for key, one in reads.items() if one.artifact is not None}
    found, identity = None, ""
    if len(given) == len(reads) and reuse != "none":
        made_of = ingredients(recipe, name, kind, input_digests(store, recipe, name, given))
        found, identity = find_finished(store, made_of, reuse), stage_key(made_of)
    else:
        content = [result_fields(recipe, name), {key: one.identity for key, one in reads.items()}]
        identity = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return _Known(found, identity), Planned(identity, name, kind, recipe, found is not None)


def estimate_lines(
    runs: Sequence[ArmRun], settings: Settings, reuse: Reuse, recipe_name: str
) -> Iterator[str]:
    """What an ablation will make and how long that takes, one arm at a time, in words.

    Args:
        runs: Every arm with every seed.
        settings: Where things lie on this machine.
        reuse: What is taken from the store.
        recipe_name: The name of the recipe that the grid is made of.

    Raises:
        InputError: A source or the base model cannot be found or reached.
        StoreError: The store cannot be reached.
    """
    store = settings.store()
    needed = {
        stage.identity: stage
        for one in runs
        for stage in planned_stages(one, store, _inputs(one.recipe, settings), reuse)
    }
    made = [stage for stage in needed.values() if stage.is_made]
    missing = [stage for stage in needed.values() if not stage.is_made]
    seeds = len({one.recipe.seed for one in runs})
    yield (
        f"{len(runs) // seeds} arms with {seeds} seed(s): {len(needed)} different stages, "
        f"{len(made)} of them in the store, {len(missing)} to make."
    )
    total, unknown = 0.0, 0
    for kind in STATED:
        of_kind = [stage for stage in missing if stage.kind == kind]
        if not of_kind:
            continue
        times = [_seconds(stage, rate_of(store, stage, recipe_name)) for stage in of_kind]
        known = [seconds for seconds, _ in times if seconds is not None]
        total, unknown = total + sum(known), unknown + len(times) - len(known)
        bases = "; ".join(dict.fromkeys(basis for _, basis in times))
        yield f"{kind:<9} {len(of_kind):4} stage(s)  {duration(sum(known)):>12}  by {bases}"
    if unknown:
        yield f"How long {unknown} stage(s) take is not known here: `revisual plan` has bounds."
    yield f"About {duration(total)} in all, one arm at a time, on a machine that does nothing else."


def rate_of(store: Store, stage: Planned, recipe_name: str) -> Rate | None:
    """The rate of a stage of its kind, as the store or the README has it."""
    like = [one.name for one in stage.recipe.stages if one.kind == stage.kind]
    for recipe in (stage.recipe.name, recipe_name):
        for name in dict.fromkeys([stage.name, *like]):
            named = stage.recipe.model_copy(update={"name": recipe})
            for artifact in islice(store.history(history_key(named, name)), NEWEST):
                if rate := _rate_of_artifact(store, artifact, name, stage.kind):
                    return Rate(rate, f"the newest {name} of {recipe} in the store")
    if Path(stage.recipe.model.path) == POCKET:
        return Rate(STATED[stage.kind], STATED_BASIS)
    return None


def _rate_of_artifact(store: Store, artifact: Artifact, name: str, kind: StageKind) -> float | None:
    try:
        folder = store.fetch(artifact, only=["metrics.jsonl", "recipe.json"])
        recipe = parse_recipe(
            json.loads((folder / "recipe.json").read_text(encoding="utf-8")), where=artifact.uri
        )
        lines = read_metrics(folder / "metrics.jsonl")
        seconds = lines[-1]["seconds"]
        # What an evaluation found is no work. It counts answers, from those that it found.
        drawn = lines[-1]["step"] - lines[0]["step"]
        work = drawn if kind == "evaluate" else work_of(recipe, name, kind)
    except (RevisualError, OSError, ValueError, KeyError, StopIteration):
        return None  # of another version, say: the next basis counts
    return seconds / work if work else None


def _seconds(stage: Planned, rate: Rate | None) -> tuple[float | None, str]:
    work = work_of(stage.recipe, stage.name, stage.kind)
    if rate is None or work is None:
        return None, "nothing: no such stage is in the store"
    return START_SECONDS + rate.seconds * work, rate.basis


def _inputs(recipe: Recipe, settings: Settings) -> Inputs:
    asks = Run(uuid.uuid4().hex, "estimate", recipe, "code", settings, datetime.now(UTC))
    try:
        return resolve(asks, lambda *_: None, lambda _: None)
    finally:
        shutil.rmtree(asks.work, ignore_errors=True)  # there is none where no hub was asked
