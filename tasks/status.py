"""What a run of a recipe would do, stage by stage, and why; answered from the store alone."""

import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Literal

from pydantic import JsonValue

from contracts.artifact import Artifact
from contracts.provenance import Ingredients
from contracts.texts import one_line
from infra.names import chunks_key
from infra.settings import Settings
from infra.store import Store
from tasks.inputs import Inputs, resolve
from tasks.keys import (
    Reuse,
    find_finished,
    history_key,
    ingredients,
    input_digests,
    responses_keys,
    stage_key,
)
from tasks.parts import find_parts
from tasks.run import Run
from training.recipe.recipe import Recipe

NUM_COMPARED = 8  # of a stage's artifacts, the newest
NUM_NAMED = 4  # differences that one line names


@dataclass(frozen=True)
class StageStatus:
    """What would become of one stage.

    Attributes:
        stage: Its name.
        state: `reused`; `resumes` after a step that is in the store; `runs` from its beginning.
        why: From which run, after which step, or what differs from the nearest artifact.
        assumes: Stages before it that must come out as the nearest artifact did.
    """

    stage: str
    state: Literal["reused", "resumes", "runs"]
    why: str
    assumes: tuple[str, ...] = ()

    def __str__(self) -> str:
        condition = f" (if {' and '.join(self.assumes)} comes out the same)" if self.assumes else ""
        return f"{self.stage:<16} {self.state:<8} {self.why}{condition}"


@dataclass
class _Known:
    """Artifacts by stage, and which of them are only assumed."""

    artifacts: dict[str, Artifact] = field(default_factory=dict)
    assumed: tuple[str, ...] = ()


def status_lines(
    recipe: Recipe, settings: Settings, reuse: Reuse, warn: Callable[[str], None]
) -> Iterator[str]:
    """What would become of each stage, in words; resolves the recipe's inputs as they are now.

    Args:
        recipe: The resolved recipe.
        settings: Where things lie on this machine.
        reuse: What the run would take from the store.
        warn: Told what a person should know of the inputs.

    Raises:
        InputError: A source or the base model cannot be found or reached.
        ModelError: The base model will not do.
        StoreError: The store cannot be reached.
    """
    asks = Run(uuid.uuid4().hex, "status", recipe, reuse, settings, datetime.now(UTC))
    try:
        inputs = resolve(asks, lambda *_: None, warn)
        for status in recipe_status(asks.store(), recipe, inputs, reuse):
            yield one_line(str(status))  # it quotes manifests
    finally:
        shutil.rmtree(asks.work, ignore_errors=True)  # there is none where no hub was asked


def recipe_status(
    store: Store, recipe: Recipe, inputs: Inputs, reuse: Reuse = "code"
) -> Iterator[StageStatus]:
    """What would become of each stage of a recipe, in their order.

    A stage that would run is assumed to come out as the nearest artifact did, so that the stages
    after it can be told of, too.

    Args:
        store: Where earlier runs' artifacts are.
        recipe: The resolved recipe.
        inputs: What the recipe's sources, benchmarks and model are now.
        reuse: What the run would take from the store.

    Raises:
        StoreError: The store cannot be reached.
    """
    known = _Known(inputs.all)
    others = (*inputs.models, *inputs.sources, *inputs.benchmarks)
    read = {"policy": "base"} | {name: name for name in others}
    yield from _stage_status(store, recipe, "curate", "curate", read, known, reuse)
    policy = "base"
    for stage in recipe.stages:
        read = {"policy": policy, "data": "curate"}
        yield from _stage_status(store, recipe, stage.name, stage.kind, read, known, reuse)
        policy = stage.name
    policies = ("base", *(stage.name for stage in recipe.stages))
    read = {name: name for name in (*policies, *inputs.benchmarks)}
    yield from _stage_status(store, recipe, "evaluate", "evaluate", read, known, reuse)


def _stage_status(
    store: Store,
    recipe: Recipe,
    stage: str,
    kind: str,
    reads: Mapping[str, str],
    known: _Known,
    reuse: Reuse,
) -> Iterator[StageStatus]:
    """One stage's status; `known` learns what it makes, or would make."""
    missing = [given for given in reads.values() if given not in known.artifacts]
    if missing:
        yield StageStatus(stage, "runs", f"after {missing[0]}, which was never made before")
        return
    given = {name: known.artifacts[source] for name, source in reads.items()}
    assumes = tuple(one for one in known.assumed if one in reads.values())
    digests = input_digests(store, recipe, stage, given)
    made_of = ingredients(recipe, stage, kind, digests)
    if reuse != "none" and (found := find_finished(store, made_of, reuse)):
        known.artifacts[stage] = found
        yield StageStatus(stage, "reused", f"made by {_maker(store, found)}", assumes)
        return
    near = nearest(store, recipe, made_of)
    if near is not None:
        known.artifacts[stage] = near[0]
    known.assumed = (*known.assumed, stage)
    if reuse == "none":
        yield StageStatus(stage, "runs", "nothing is reused")
    elif steps := store.steps(stage_key(made_of)):
        yield StageStatus(stage, "resumes", f"after step {steps[-1]}", assumes)
    elif kind == "evaluate" and store.has_entries(chunks_key(responses_keys(recipe, made_of)[0])):
        yield StageStatus(stage, "resumes", "with the responses that are in the store", assumes)
    elif kind == "evaluate" and (parts := find_parts(store, recipe, given, reuse)).found:
        yield StageStatus(stage, "runs", f"{parts} are in the store", assumes)
    elif near is None:
        yield StageStatus(stage, "runs", "this recipe never made it before")
    else:
        artifact, changes = near
        named = "; ".join(changes[:NUM_NAMED]) + ("; ..." if len(changes) > NUM_NAMED else "")
        why = f"other than {_maker(store, artifact)}: {named}" if changes else "its files are gone"
        yield StageStatus(stage, "runs", why, assumes)


def nearest(
    store: Store, recipe: Recipe, made_of: Ingredients
) -> tuple[Artifact, list[str]] | None:
    """The artifact of the same stage that differs least, the newest of several, and in what."""
    compared: list[tuple[Artifact, list[str]]] = []
    for artifact in islice(store.history(history_key(recipe, made_of.stage)), NUM_COMPARED):
        before = store.manifest(artifact).ingredients
        if before is not None:
            compared.append((artifact, explain(before, made_of)))
    return min(compared, key=lambda one: len(one[1]), default=None)


def explain(before: Ingredients, now: Ingredients) -> list[str]:
    """What differs between two stages' ingredients, in words."""
    fields = _changed(_flat(before.recipe), _flat(now.recipe))
    return [
        *(f"{name} was {old!r}, is {new!r}" for name, old, new in fields),
        *(f"input {name}" for name, _, _ in _changed(before.inputs, now.inputs)),
        *(f"module {name}" for name, _, _ in _changed(before.modules, now.modules)),
        *(["a run that reused nothing made it"] if before.salt != now.salt else []),
    ]


def _changed(
    before: Mapping[str, JsonValue], now: Mapping[str, JsonValue]
) -> Iterator[tuple[str, JsonValue, JsonValue]]:
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name), now.get(name)
        if old != new:
            yield name, old, new


def _flat(values: Mapping[str, JsonValue], prefix: str = "") -> dict[str, JsonValue]:
    """Nested values by dotted name."""
    flat: dict[str, JsonValue] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list) and any(isinstance(each, dict) for each in value):
            numbered = {str(number): each for number, each in enumerate(value)}
            flat |= _flat(numbered, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _maker(store: Store, artifact: Artifact) -> str:
    return f"run {store.manifest(artifact).producer.get('run', 'unknown')}"
