"""Everything that can be wrong before a run starts, checked before it starts."""

import asyncio
import os
from collections.abc import Collection
from datetime import UTC, datetime

from prefect import runtime, task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from contracts.errors import RecipeError
from contracts.run_record import recipe_digest
from contracts.secrets import masks_secrets
from infra.alive import hold
from infra.preflight import check_disk, check_run_name, check_store, needed_bytes
from infra.settings import load_settings
from infra.sinks.choose import check_sinks
from tasks.grids import ArmRun, arm_run
from tasks.inputs import list_inputs
from tasks.keys import Reuse
from tasks.plan import check_machine
from tasks.pools import check_pools, check_store_is_shared, pools_of
from tasks.run import Run, recipe_path
from training.curation import own_rules
from training.endpoint.client import EndpointClient
from training.evaluation.registry import check_benchmark
from training.recipe.curation import own_steps
from training.recipe.endpoint import ConnectionRecipe, EndpointRecipe
from training.recipe.grid import Asked
from training.recipe.recipe import Recipe, load_recipe, resolved_toml_values
from training.recipe.stages import custom_rewards
from training.rl import custom


@task(cache_policy=NO_CACHE, task_run_name="prepare")
@masks_secrets
def prepare(recipe: str, seed: int | None, reuse: Reuse, digest: str | None) -> Run:
    """Resolves the recipe and checks what it needs.

    Raises:
        RecipeError: The recipe is missing, breaks a rule or is not the one of the digest.
        InputError: A source or the base model cannot be found or reached.
        ModelError: The base model is no vision-language model.
        RevisualError: The store, the disk or a work pool will not do.
    """
    check_run_name(str(runtime.flow_run.name))
    return begin(read_recipe(recipe, seed, digest), reuse)


@task(cache_policy=NO_CACHE, task_run_name="prepare")
@masks_secrets
def prepare_curation(recipe: str, seed: int | None, reuse: Reuse, digest: str | None) -> Run:
    """As `prepare`, of a run that curates and does no more: nothing else of the recipe counts."""
    check_run_name(str(runtime.flow_run.name))
    return begin(read_recipe(recipe, seed, digest), reuse, stages=["curate"])


@task(cache_policy=NO_CACHE, task_run_name="prepare-{arm}")
@masks_secrets
def prepare_arm(
    grid: str, arm: str, seed: int, asked: Asked, reuse: Reuse, family: str
) -> tuple[Run, ArmRun]:
    """Resolves one arm of a grid with one seed, and checks what it needs; see `prepare`.

    `family` is the id of the ablation's run.
    """
    check_run_name(str(runtime.flow_run.name))
    one = arm_run(grid, arm, seed, asked)
    return begin(one.recipe, reuse, family), one


def begin(
    recipe: Recipe,
    reuse: Reuse,
    family: str | None = None,
    stages: Collection[str] | None = None,
) -> Run:
    """This flow run as a run of a recipe, once everything that it needs has been checked.

    Args:
        recipe: The resolved recipe.
        reuse: What it takes from the store.
        family: See `tasks.run.Run`.
        stages: Those that the run makes; all by default.
    """
    run = Run(
        id=str(runtime.flow_run.id),
        name=str(runtime.flow_run.name),
        recipe=recipe,
        reuse=reuse,
        settings=load_settings(),
        created=datetime.now(UTC),
        family=family,
    )
    check(run.recipe, stages)
    for remark in check_pools(run.recipe, stages):
        get_run_logger().warning(remark)
    hold(run.work)
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


def check(recipe: Recipe, stages: Collection[str] | None = None) -> None:
    """Checks benchmarks, sources, base model, sinks, the machine, the store and the disk.

    Args:
        recipe: The resolved recipe.
        stages: Those that the run makes; all by default. Of one that makes a part, rewards, judge
            and sinks are not asked for.

    Raises:
        RecipeError: A benchmark is unknown, a reward of the user's own does not work, or a sink is
            not installed.
        InputError: A source, the base model, the judge or who names topics cannot be found or
            reached.
        ModelError: The base model is no vision-language model.
        PlanError: This machine cannot hold a stage that is to run here.
        RevisualError: The store cannot be used or reached by the stages' machines, or the disk is
            too full.
    """
    settings = load_settings()
    check_store_is_shared(recipe, settings, stages)
    made = recipe.stage_names if stages is None else stages
    elsewhere = pools_of(recipe, made)
    check_machine(recipe, [name for name in made if name not in elsewhere])
    for benchmark in recipe.evaluation.benchmarks:
        check_benchmark(benchmark)
    check_rules(recipe)
    if stages is None:
        check_sinks(recipe.logging.sinks, os.environ)
        check_rewards(recipe)
        check_judge(recipe)
    if (naming := recipe.curation.topics.names) and naming.endpoint is not None:
        check_endpoint(naming.endpoint, naming.connection)
    model_bytes = list_inputs(recipe, settings)
    check_store(settings.store())
    num_trained = sum(stage.name in made for stage in recipe.stages)
    check_disk(settings.home, needed_bytes(model_bytes, num_stages=num_trained))


def check_judge(recipe: Recipe) -> None:
    """Asks the judge's endpoint, if there is a judge, for its models.

    Raises:
        InputError: It cannot be reached, or does not list the judge.
        SettingsError: The variable of its key is not set.
    """
    if judge := recipe.evaluation.judge:
        check_endpoint(judge, judge.connection)


def check_endpoint(endpoint: EndpointRecipe, connection: ConnectionRecipe) -> None:
    """Asks an endpoint for its models.

    Raises:
        InputError: It cannot be reached, or does not list the model.
        SettingsError: The variable of its key is not set.
    """
    asyncio.run(_list_models(EndpointClient(endpoint, connection, seed=0)))


async def _list_models(client: EndpointClient) -> None:
    async with client:
        await client.check()


def check_rules(recipe: Recipe) -> None:
    """Tries curation's rules of the user's own, before anything runs.

    Raises:
        RecipeError: One cannot be imported, takes or returns something else than it should.
    """
    for function in own_steps(recipe.curation.steps):
        own_rules.check(function)


def check_rewards(recipe: Recipe) -> None:
    """Tries the rewards of the user's own, before anything runs.

    Raises:
        RecipeError: One cannot be imported, takes or returns something else than it should.
    """
    for function in custom_rewards(recipe.stages):
        custom.check(function)
