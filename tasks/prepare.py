"""Everything that can be wrong before a run starts, checked before it starts."""

from datetime import UTC, datetime
from pathlib import Path

from prefect import runtime, task
from prefect.cache_policies import NO_CACHE

from contracts.artifact import Artifact
from contracts.errors import RecipeError
from contracts.run_record import recipe_digest
from contracts.secrets import masks_secrets
from infra.digests import content_digest, describe
from infra.preflight import check_disk, needed_bytes
from infra.settings import load_settings
from infra.store import Store
from tasks.assets import emit_asset
from tasks.keys import name_key
from tasks.run import Run, code_digest, recipe_path
from training.evaluation.registry import find_benchmark
from training.model.policy import check_model
from training.recipe.recipe import Recipe, load_recipe, resolved_toml_values


@task(cache_policy=NO_CACHE, task_run_name="prepare")
@masks_secrets
def prepare(recipe: str, seed: int | None, fresh: bool, digest: str | None) -> Run:
    """Resolves the recipe and checks what it needs.

    Raises:
        RecipeError: The recipe is missing, breaks a rule or is not the one of the digest.
        ModelError: The base model is missing or is no vision-language model.
        RevisualError: The store or the disk will not do.
    """
    run = Run(
        id=str(runtime.flow_run.id),
        name=str(runtime.flow_run.name),
        recipe=read_recipe(recipe, seed, digest),
        fresh=fresh,
        settings=load_settings(),
        created=datetime.now(UTC),
        code=code_digest(),
    )
    check(run.recipe)
    return run


def read_recipe(name: str, seed: int | None, digest: str | None) -> Recipe:
    """Reads a recipe, and refuses another one than was checked, if that one's digest is given.

    Raises:
        RecipeError: It is another one, or it is missing or breaks a rule.
    """
    recipe = load_recipe(recipe_path(name), seed=seed)
    if digest not in (None, recipe_digest(resolved_toml_values(recipe))):
        raise RecipeError(
            "The recipe is not the one that was checked when the run was asked for.",
            where=name,
            rule=f"the resolved recipe's digest is {digest}",
            fix="start the run again, with the recipe as it is now",
        )
    return recipe


@task(cache_policy=NO_CACHE, task_run_name="store-base")
@masks_secrets
def store_base(run: Run) -> Artifact:
    """Puts the base policy into the store, once, so that its bytes are known from then on."""
    folder = base_folder(run.recipe.model.path)
    key = name_key("base", content_digest(describe(folder)))
    store = run.store()
    found = store.find(key)
    artifact = found or store.publish(
        folder,
        "model",
        producer=run.producer("base"),
        inputs={},
        recipe_digest=run.recipe_digest,
        key=key,
    )
    emit_asset(store, artifact, reused=found is not None)
    return artifact


def check(recipe: Recipe) -> None:
    """Checks the benchmarks' names, the base model, the store and the disk.

    Raises:
        RecipeError: A benchmark is unknown.
        ModelError: The base model is missing or is no vision-language model.
        RevisualError: The store cannot be used, or the disk is too full.
    """
    settings = load_settings()
    for benchmark in recipe.evaluation.benchmarks:
        find_benchmark(benchmark.name)
    check_model(recipe.model.path)
    Store(settings.store_uri, settings.home / "cache").check()
    check_disk(
        settings.home, needed_bytes(base_folder(recipe.model.path), num_stages=len(recipe.stages))
    )


def base_folder(path: str) -> Path:
    """The base policy's folder; a hub's model is downloaded, or found in the hub's own cache."""
    if Path(path).is_dir():
        return Path(path)
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(path, ignore_patterns=["*.bin", "*.pt", "*.pth"]))
