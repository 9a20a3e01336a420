"""What `revisual/evaluate` is asked to evaluate: any checkpoint, or a model behind an endpoint.

One text names it: a run of this store (`RUN`, its last policy, or `RUN/STAGE`), an artifact's URI,
a folder, a bucket's prefix, a hub's id, or `http://host:port/v1#MODEL`.
"""

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from prefect import runtime, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger
from pydantic import JsonValue, ValidationError

from contracts.artifact import Artifact
from contracts.errors import InputError, RecipeError, StoreError
from contracts.places import place_kind
from contracts.run_record import RunRecord
from contracts.secrets import find_secrets, masks_secrets
from infra.alive import hold
from infra.inputs.folder import list_files, local_folder
from infra.preflight import check_disk, check_run_name, check_store, needed_bytes
from infra.settings import Settings, load_settings
from infra.store import Store
from tasks.assets import emit_asset
from tasks.inputs import (
    KIND,
    Inputs,
    Resolver,
    Tell,
    check_base,
    check_files,
    describe,
    table,
    wanted_benchmark,
    wanted_model,
)
from tasks.keys import Reuse, name_key
from tasks.parts import ENDPOINT_FILE
from tasks.plan import check_machine
from tasks.pools import check_pools, check_store_is_shared, pools_of
from tasks.prepare import check_endpoint, check_judge, read_recipe
from tasks.report import find_run
from tasks.run import Run, recipe_path, shipped_recipes
from tasks.scratch import note_inputs
from training.evaluation.registry import check_benchmark
from training.recipe.endpoint import EndpointRecipe
from training.recipe.evaluation import BenchmarkRecipe, EvaluationRecipe
from training.recipe.model import ModelRecipe
from training.recipe.recipe import Recipe, load_recipe, resolved_toml_values

ASKING = ("system_prompt", "evaluation")  # fields of a recipe that say how a model is asked
MODEL_RULE = (
    "a model is RUN or RUN/STAGE of this store, an artifact's URI, a folder (`/...`, `./...`), "
    "s3://bucket/prefix, a hub's owner/name, or an endpoint with its model, http://host/v1#MODEL"
)


@dataclass(frozen=True)
class Candidate:
    """What a text names.

    Attributes:
        name: By which scores and report know it.
        source: An artifact of the store, a model's place, or an endpoint.
    """

    name: str
    source: Artifact | ModelRecipe | EndpointRecipe


@task(cache_policy=NO_CACHE, task_run_name="prepare")
@masks_secrets
def prepare_evaluation(
    model: str,
    recipe: str | None,
    benchmarks: Sequence[str] | None,
    seed: int | None,
    reuse: Reuse,
    digest: str | None,
) -> Run:
    """Resolves the recipe and checks what an evaluation needs.

    Raises:
        RecipeError: The recipe, a benchmark or the model's name is missing or breaks a rule.
        InputError: The model, the endpoint or a benchmark cannot be found or reached.
        ModelError: The model is no vision-language model.
        RevisualError: The store or the disk will not do.
    """
    check_run_name(str(runtime.flow_run.name))
    settings = load_settings()
    named = recipe or recipe_for(model, settings)
    read = narrowed(read_recipe(named, seed, digest), benchmarks)
    candidate = check_evaluation(model, read, settings)
    if isinstance(candidate.source, ModelRecipe):
        read = read.model_copy(update={"model": candidate.source})
    run = Run(
        id=str(runtime.flow_run.id),
        name=str(runtime.flow_run.name),
        recipe=read,
        reuse=reuse,
        settings=settings,
        created=datetime.now(UTC),
        model=model,
    )
    for remark in check_pools(run.recipe):
        get_run_logger().warning(remark)
    hold(run.work)
    return run


@task(cache_policy=NO_CACHE, task_run_name="resolve-inputs")
@masks_secrets
def resolve_candidate(run: Run) -> tuple[str, Inputs]:
    """The model and the benchmarks as artifacts, and the model's name.

    Raises:
        InputError: One of them cannot be found, reached or read.
        ModelError: The model is no vision-language model.
    """
    store, log = run.store(), get_run_logger()

    def tell(name: str, artifact: Artifact, reused: bool) -> None:
        log.info("%s: %s", name, describe(store, artifact))
        emit_asset(store, artifact, reused=reused)

    candidate = find_candidate(run.model or "", run.recipe, run.settings)
    resolver = Resolver(run, tell, log.warning)
    policy = _artifact(run, store, candidate, resolver, tell)
    inputs = Inputs(policy, {}, resolver.benchmarks(run.recipe))
    if not isinstance(candidate.source, EndpointRecipe):
        check_files(_model_folder(store, policy, run.settings))
    note_inputs(run.work, inputs.all.values())
    create_markdown_artifact(table(store, inputs), key="inputs")
    return candidate.name, inputs


def narrowed(recipe: Recipe, benchmarks: Sequence[str] | None) -> Recipe:
    """A recipe with some of its benchmarks, or shipped ones beside them by their names.

    Raises:
        RecipeError: There is no such benchmark.
    """
    if not benchmarks:
        return recipe
    known = {one.name: one for one in recipe.evaluation.benchmarks}
    try:
        chosen = [known.get(name) or BenchmarkRecipe(name=name) for name in benchmarks]
        values = recipe.evaluation.model_dump() | {"benchmarks": chosen}
        evaluation = EvaluationRecipe.model_validate(values)
    except ValidationError as error:
        raise RecipeError(
            f"These benchmarks cannot be evaluated: {error.errors()[0]['msg']}",
            where=f"benchmarks {', '.join(benchmarks)}"[:500],
            rule="each is named once: one of the recipe, or a shipped one by its name",
            fix="correct the names",
        ) from error
    # What a stage reads has to be a whole recipe: others of its parts name benchmarks, too.
    gates = recipe.gates.model_copy(
        update={"evaluation": recipe.gates.evaluation.model_copy(update={"drops": ()})}
    )
    sources = tuple(one.model_copy(update={"num_planted": 0}) for one in recipe.sources)
    narrow = recipe.model_copy(
        update={"evaluation": evaluation, "gates": gates, "sources": sources}
    )
    for one in evaluation.benchmarks:
        check_benchmark(one)
    return narrow


def recipe_for(model: str, settings: Settings) -> str:
    """By which shipped recipe a model is asked where none is named: its run's, or its own.

    How many tokens an answer may have and what the system prompt says are a recipe's: another
    model's would give it a score that says nothing.

    Raises:
        RecipeError: No shipped recipe is the model's, or several are.
        StoreError: The store cannot be read.
    """
    shipped = shipped_recipes()
    store = settings.store()
    if run := _run_of(model, store):
        made_by = find_run(settings, store, run).recipe
        recipes = {one for one in shipped if _asks_as(recipe_path(one), made_by)}
    else:
        place = model.rstrip("/")
        recipes = {one for one in shipped if load_recipe(recipe_path(one)).model.path == place}
    if len(recipes) != 1:
        found = f"several: {', '.join(sorted(recipes))}" if recipes else "none"
        raise RecipeError(
            f"No recipe is named, and of the shipped ones {found} is this model's.",
            where="recipe",
            rule="a recipe says how a model is asked: system prompt, length of answers, draws",
            fix=f"name one with --recipe (or -p recipe=): {', '.join(shipped)}, or a file's path",
        )
    return recipes.pop()


def _asks_as(shipped: Path, made_by: Mapping[str, JsonValue]) -> bool:
    """Whether a run asked as a shipped recipe asks; a copy of that name may ask otherwise."""
    values = resolved_toml_values(load_recipe(shipped))
    return all(made_by.get(field) == values[field] for field in ("name", *ASKING))


def _run_of(model: str, store: Store) -> str | None:
    """The run of this store that `RUN` or `RUN/STAGE` names."""
    name = model.partition("/")[0]
    is_name = re.fullmatch(r"[\w.-]+(/[\w.-]+)?", model)
    return name if is_name and store.find(name_key("run", name)) else None


def check_evaluation(model: str, recipe: Recipe, settings: Settings) -> Candidate:
    """Checks everything that can be wrong before an evaluation starts.

    Raises:
        RevisualError: See `prepare_evaluation`.
    """
    for benchmark in recipe.evaluation.benchmarks:
        check_benchmark(benchmark)
    check_store(settings.store())
    check_store_is_shared(recipe, settings)
    candidate = find_candidate(model, recipe, settings)
    if isinstance(candidate.source, EndpointRecipe):
        check_endpoint(candidate.source, recipe.evaluation.connection)
    elif "evaluate" not in pools_of(recipe):
        is_sized = isinstance(candidate.source, ModelRecipe)  # an artifact says nothing of sizes
        asked = recipe.model_copy(update={"model": candidate.source}) if is_sized else recipe
        check_machine(asked, ["evaluate"], is_sized=is_sized)
    check_judge(recipe)
    for benchmark in recipe.evaluation.benchmarks:
        if wanted := wanted_benchmark(benchmark):
            list_files(wanted, wanted.revision, settings.home)
    if isinstance(candidate.source, ModelRecipe):
        wanted = wanted_model(candidate.source)
        num_bytes = list_files(wanted, wanted.revision, settings.home).num_bytes
        if wanted.kind == "local":
            check_base(Path(wanted.path))
        check_disk(settings.home, needed_bytes(num_bytes, num_stages=0))
    return candidate


def find_candidate(model: str, recipe: Recipe, settings: Settings) -> Candidate:
    """What a text names; a run is looked for before a hub is asked.

    Raises:
        RecipeError: It is of no form that names a model, or it holds a secret.
        InputError: The run has no such stage.
        StoreError: The artifact or the store cannot be read.
    """
    if list(find_secrets(model)):
        raise _no_model("The model's name holds a password, a key or a token.", "model")
    if model.startswith(("http://", "https://")):
        return _endpoint(model)
    store = settings.store()
    if model.startswith(f"{store.root}/artifacts/"):
        artifact = store.at(model)
        return Candidate(_slug(f"{artifact.kind}-{model.rpartition('/')[2][:8]}"), artifact)
    if run := _run_of(model, store):
        stage = model.partition("/")[2]
        return Candidate(_slug(model), _of_run(find_run(settings, store, run), stage))
    try:
        place_kind(model)
    except ValueError as error:
        raise _no_model(f"{model[:200]!r} names no model.", model[:200]) from error
    place = recipe.model.model_copy(update={"path": model, "revision": None})
    return Candidate(_slug(model.rstrip("/").rpartition("/")[2]), place)


def _endpoint(text: str) -> Candidate:
    address, _, model = text.partition("#")
    try:
        endpoint = EndpointRecipe(address=address, model=model)
    except ValidationError as error:
        said = error.errors()[0]
        raise _no_model(f"{text[:200]} names no endpoint: {said['msg']}", text[:200]) from error
    return Candidate(_slug(model.rstrip("/").rpartition("/")[2]), endpoint)


def _of_run(record: RunRecord, stage: str) -> Artifact:
    """The policy of a run's training stage; without a stage's name that of the last one."""
    trained = {one.name: one for one in record.stages if one.kind in ("sft", "rl")}
    policies = {name: one.artifact for name, one in trained.items()}
    if trained:
        policies["base"] = next(iter(trained.values())).inputs[0]
    name = stage or next(reversed(trained), "")
    if name not in policies:
        raise InputError(
            f"The run {record.name} has trained no policy {name!r}."
            if name
            else f"The run {record.name} has trained nothing.",
            where=f"run {record.name}",
            rule=f"a run's policies are its training stages' and the base: {sorted(policies)}",
            fix="name one of them, as RUN/STAGE",
        )
    return policies[name]


def _artifact(
    run: Run, store: Store, candidate: Candidate, resolver: Resolver, tell: Tell
) -> Artifact:
    source = candidate.source
    if isinstance(source, ModelRecipe):
        return resolver.located("model", wanted_model(source))
    if isinstance(source, EndpointRecipe):
        # What is behind it is known by its name alone: `reuse = "none"` asks it anew.
        text = source.model_dump_json(indent=2)
        key = name_key(KIND, ENDPOINT_FILE, text)
        found = store.find(key)
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / ENDPOINT_FILE).write_text(text, encoding="utf-8")
            made = run.provenance("model", {})
            artifact = found or store.publish(Path(folder), KIND, made, key=key)
        tell("model", artifact, found is not None)
        return artifact
    if source.kind not in ("model", KIND):
        raise StoreError(
            f"{source.uri} is no model.",
            where=source.uri,
            rule=f"an evaluation is of an artifact of the kind model, this one's is {source.kind}",
            fix="name a training stage's artifact, as a report lists it",
        )
    tell("model", source, True)
    return source


def _model_folder(store: Store, artifact: Artifact, settings: Settings) -> Path:
    folder = local_folder(store, artifact, settings)
    return folder / "model" if (folder / "model").is_dir() else folder


def _slug(text: str) -> str:
    """A name that may be a folder's, too."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-").lower()[:80] or "model"


def _no_model(what: str, where: str) -> RecipeError:
    return RecipeError(what, where=where, rule=MODEL_RULE, fix="name one of these")
