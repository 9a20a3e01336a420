"""Whether the disks have room for what a run's stages write, before it starts."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

from contracts.errors import DamagedError, PreflightError
from contracts.provenance import Ingredients
from infra.preflight import GIB, check_disk, is_same_disk
from infra.settings import Settings
from infra.store import Store
from tasks.keys import ingredients
from tasks.scratch import find_scratch
from tasks.uploads import KIND as CHECKPOINT
from training.plan.plan import StagePlan
from training.recipe.recipe import Recipe


def check_room(
    recipe: Recipe, stages: Sequence[StagePlan], settings: Settings, salt: str = ""
) -> None:
    """Checks that the fullest stage's scratch fits, and what it stores where that is a folder.

    Beside its own, a stage finds the best checkpoints of those before. A run that goes on has
    filled a part of the store: the step checkpoints of these very stages are not asked for again.
    Models of stages before and copies of published ones are not asked for at all.

    Args:
        recipe: The resolved recipe.
        stages: The plans of those that are to run, in their order.
        settings: Where scratch and store are.
        salt: Of a run that reuses nothing.

    Raises:
        PreflightError: A disk has no room; it tells what may go.
        StoreError: The store's folder cannot be read.
        RecipeError: A reward of the user's own has no module.
    """
    try:
        _check_room(recipe, stages, settings, salt)
    except PreflightError as error:
        gone = sum(one.num_bytes for one in find_scratch(settings.home, min_age_seconds=0.0))
        what = f"{error.what} Scratch that nobody uses: {gone / GIB:.1f} GiB."
        raise PreflightError(what, where=error.where, rule=error.rule, fix=error.fix) from error


def _check_room(recipe: Recipe, stages: Sequence[StagePlan], settings: Settings, salt: str) -> None:
    works = [one.work for one in stages]
    fullest = max((work.scratch for work in works), default=0)
    if "://" in settings.store_uri:
        check_disk(settings.home, fullest)
        return
    made_of = [ingredients(recipe, s.stage.name, s.stage.kind, {}, salt=salt) for s in stages]
    there = stored_steps(settings.store(), made_of)
    before = accumulate((work.best for work in works), initial=-there)
    stored = [max(best + work.stored, 0) for best, work in zip(before, works, strict=False)]
    folder = Path(settings.store_uri)
    if is_same_disk(settings.home, folder):
        needs = zip((work.scratch for work in works), stored, strict=True)
        scratch, of_store = max(needs, key=sum, default=(0, 0))
        made = f"{scratch / GIB:.1f} GiB of scratch, {of_store / GIB:.1f} GiB of the store"
        check_disk(settings.home, scratch + of_store, made)
    else:
        check_disk(settings.home, fullest)
        check_disk(folder, max(stored, default=0))


def stored_steps(store: Store, stages: Sequence[Ingredients]) -> int:
    """Bytes of the step checkpoints of some stages.

    Args:
        store: Where they lie.
        stages: Their ingredients. What they read is not known before a run, and not compared.

    Raises:
        StoreError: The store cannot be read.
    """
    num_bytes = defaultdict[str, int](int)
    for name, size in store.backend.sizes(f"artifacts/{CHECKPOINT}").items():
        num_bytes[name.partition("/")[0]] += size
    wanted = [one.model_copy(update={"inputs": {}}) for one in stages]
    return sum(
        size
        for name, size in num_bytes.items()
        if _ingredients(store, f"{store.root}/artifacts/{CHECKPOINT}/{name}") in wanted
    )


def _ingredients(store: Store, uri: str) -> Ingredients | None:
    """What an artifact was made of, but for what it read; None where its manifest is missing."""
    try:
        made_of = store.manifest(store.at(uri)).ingredients
    except DamagedError:  # an upload that never ended
        return None
    return None if made_of is None else made_of.model_copy(update={"inputs": {}})
