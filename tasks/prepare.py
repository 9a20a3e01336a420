"""Everything that can be wrong before a run starts, checked before it starts."""

from datetime import UTC, datetime

from prefect import runtime, task
from prefect.cache_policies import NO_CACHE

from infra.preflight import check_disk, needed_bytes
from infra.settings import load_settings
from infra.store import Store
from tasks.inputs import list_inputs
from tasks.keys import Reuse
from tasks.run import Run, recipe_path
from training.evaluation.registry import find_benchmark
from training.recipe.recipe import Recipe, load_recipe


@task(cache_policy=NO_CACHE, task_run_name="prepare")
def prepare(recipe: str, seed: int | None, reuse: Reuse) -> Run:
    """Resolves the recipe and checks what it needs.

    Raises:
        RecipeError: The recipe is missing or breaks a rule.
        InputError: A source or the base model cannot be found or reached.
        ModelError: The base model is no vision-language model.
        RevisualError: The store or the disk will not do.
    """
    run = Run(
        id=str(runtime.flow_run.id),
        name=str(runtime.flow_run.name),
        recipe=load_recipe(recipe_path(recipe), seed=seed),
        reuse=reuse,
        settings=load_settings(),
        created=datetime.now(UTC),
    )
    check(run.recipe)
    return run


def check(recipe: Recipe) -> None:
    """Checks that benchmarks, sources and base model are there, the store and the disk.

    Raises:
        RecipeError: A benchmark is unknown.
        InputError: A source or the base model cannot be found or reached.
        ModelError: The base model is no vision-language model.
        RevisualError: The store cannot be used, or the disk is too full.
    """
    settings = load_settings()
    for benchmark in recipe.evaluation.benchmarks:
        find_benchmark(benchmark.name)
    model_bytes = list_inputs(recipe, settings)
    Store(settings.store_uri, settings.home / "cache").check()
    check_disk(settings.home, needed_bytes(model_bytes, num_stages=len(recipe.stages)))
