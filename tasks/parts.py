"""The parts of an evaluation: one policy's answers to one benchmark, each an artifact by its key.

A part is what a model was asked and what it answered, without a verdict: every evaluation makes all
of its verdicts itself. So a part's key has what decides the answers (the model, how it is asked,
the engine's code), and no rule, no judge, no name of a policy and no other benchmark. Which of its
answers count is found question by question, by the prompt (`training.evaluation.parts`): a part may
lack some. What a judge replied to these answers lies beside it, under a key with the judge.

A run that adds a benchmark, a checkpoint or a judge asks only what is new, and `revisual/evaluate`
finds what a whole run has asked.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from contracts.artifact import Artifact
from contracts.failures import is_final
from contracts.job import PART, REPLIES
from contracts.provenance import Ingredients
from infra.store import Store
from tasks.closure import answering_modules, prompt_modules, written_modules
from tasks.keys import (
    ANSWERING_FIELDS,
    ENDPOINT_FIELDS,
    Reuse,
    asked_fields,
    find_finished,
    recipe_key,
    stage_key,
)
from tasks.run import Run
from training.recipe.effects import result_fields
from training.recipe.evaluation import BenchmarkRecipe
from training.recipe.recipe import Recipe

ANSWERS_KIND, REPLIES_KIND = "answers", "replies"  # of artifacts, and of what stage they are
# As `training.evaluation.run` and `.parts` write them.
ENDPOINT_FILE = "endpoint.json"
PARTS_FOLDER, REPLIES_FOLDER = "parts", "replies"
Pair = tuple[str, str]  # a policy's name and a benchmark's


@dataclass(frozen=True)
class Part:
    """One policy's answers to one benchmark, and a judge's replies to these.

    Attributes:
        made_of: What decides an answer to a prompt.
        whole_of: And which prompts there are: who has all answers to them is found by it.
        judged_of: What decides a judge's reply to an answer; None where there is no judge.
        found: The answers that are in the store.
        is_whole: Whether that is all of them, so that the policy is not needed.
        is_of_this_code: Whether the same code drew them.
        replies: The replies that are in the store.
    """

    made_of: Ingredients
    whole_of: Ingredients
    judged_of: Ingredients | None
    found: Artifact | None
    is_whole: bool
    is_of_this_code: bool
    replies: Artifact | None

    @property
    def needs_gpus(self) -> bool:
        """Whether an engine of ours is asked: not an endpoint, whose key has no engine."""
        return not self.is_whole and "rollout" in self.made_of.recipe


@dataclass(frozen=True)
class Parts:
    """What an evaluation consists of.

    Attributes:
        policies: All policies, the base first.
        parts: By the names of policy and benchmark.
    """

    policies: dict[str, Artifact]
    parts: dict[Pair, Part]

    @property
    def found(self) -> dict[Pair, Artifact]:
        """The answers that are in the store, maybe not all of a pair's."""
        return {pair: one.found for pair, one in self.parts.items() if one.found is not None}

    def __str__(self) -> str:
        num_whole = sum(one.is_whole for one in self.parts.values())
        begun = f", {len(self.found) - num_whole} of them begun," * (len(self.found) > num_whole)
        return f"{len(self.found)} of {len(self.parts)} sets of answers{begun}"

    def needed(self, inputs: Mapping[str, Artifact]) -> dict[str, Artifact]:
        """What the stage has to read: no policy that has answered everything, and the parts."""
        asked = {policy for (policy, _), part in self.parts.items() if not part.is_whole}
        read = {n: one for n, one in inputs.items() if n not in self.policies or n in asked}
        replies = {pair: one.replies for pair, one in self.parts.items() if one.replies is not None}
        return read | _named(PART, self.found) | _named(REPLIES, replies)


def _named(kind: str, found: Mapping[Pair, Artifact]) -> dict[str, Artifact]:
    """By the names by which an evaluation knows them."""
    return {kind + "/".join(pair): one for pair, one in found.items()}


def find_parts(
    store: Store,
    recipe: Recipe,
    inputs: Mapping[str, Artifact],
    reuse: Reuse,
    *,
    salt: str = "",
) -> Parts:
    """Which answers there are already, as far as anything is reused.

    Args:
        store: Where they may be.
        recipe: The resolved recipe.
        inputs: Policies and benchmarks, by the names that the stage knows them by.
        reuse: What is taken from the store.
        salt: Of a run that reuses nothing.

    Raises:
        StoreError: A policy's manifest cannot be read.
    """
    benchmarks = {one.input_name: one for one in recipe.evaluation.benchmarks}
    policies = {name: one for name, one in inputs.items() if name not in benchmarks}
    parts: dict[Pair, Part] = {}
    for name, policy in policies.items():
        is_endpoint = any(one.path == ENDPOINT_FILE for one in store.manifest(policy).files)
        for benchmark in benchmarks.values():
            read = {n: one.sha256 for n, one in _read(policy, benchmark, inputs).items()}
            made_of = part_ingredients(recipe, benchmark, read, is_endpoint=is_endpoint, salt=salt)
            parts[name, benchmark.name] = _find(store, recipe, benchmark, made_of, reuse)
    return Parts(policies, parts)


def _find(
    store: Store, recipe: Recipe, benchmark: BenchmarkRecipe, made_of: Ingredients, reuse: Reuse
) -> Part:
    whole_of, judged_of = _whole(recipe, benchmark, made_of), _judged(recipe, made_of)
    whole = store.find(stage_key(whole_of))
    found = whole or find_finished(store, made_of, reuse)
    return Part(
        made_of,
        whole_of,
        judged_of,
        found,
        is_whole=whole is not None,
        is_of_this_code=found is not None and found in (whole, store.find(stage_key(made_of))),
        replies=None if judged_of is None else store.find(stage_key(judged_of)),
    )


def _read(
    policy: Artifact, benchmark: BenchmarkRecipe, inputs: Mapping[str, Artifact]
) -> dict[str, Artifact]:
    """What a part is made from, by names that are the same for all."""
    read = inputs.get(benchmark.input_name)
    return {"policy": policy} | ({} if read is None else {"benchmark": read})


def part_ingredients(
    recipe: Recipe,
    benchmark: BenchmarkRecipe,
    inputs: Mapping[str, str],
    *,
    is_endpoint: bool,
    salt: str = "",
) -> Ingredients:
    """What one policy's answers to one benchmark depend on: no rule and no judge is among it."""
    fields = result_fields(recipe, "evaluate")
    names = ENDPOINT_FIELDS if is_endpoint else ANSWERING_FIELDS
    return Ingredients(
        stage=ANSWERS_KIND,
        recipe={name: fields[name] for name in names} | {"asked": asked_fields(recipe, benchmark)},
        inputs=dict(inputs),
        modules=answering_modules(None if is_endpoint else recipe.rollout.engine),
        salt=salt,
    )


def _whole(recipe: Recipe, benchmark: BenchmarkRecipe, made_of: Ingredients) -> Ingredients:
    """Of a part with all answers: whatever may change a prompt counts, and then some."""
    every = result_fields(recipe, "evaluate")["evaluation"]["benchmarks"]
    (own,) = [one for one in every if one["name"] == benchmark.name]
    modules = made_of.modules | prompt_modules()
    recipe_fields = made_of.recipe | {"benchmark": own}
    return made_of.model_copy(update={"modules": modules, "recipe": recipe_fields})


def _judged(recipe: Recipe, made_of: Ingredients) -> Ingredients | None:
    """Of the replies to a part's answers; each is found by what the judge was asked."""
    judge = recipe.evaluation.judge
    if judge is None:
        return None
    fields = {"model": judge.model, "prompt": judge.prompt, "tokens": judge.max_response_tokens}
    return made_of.model_copy(
        update={
            "stage": REPLIES_KIND,
            "recipe": made_of.recipe | {"judge": fields},
            "modules": written_modules(),
        }
    )


def publish_parts(
    run: Run, store: Store, parts: Parts, inputs: Mapping[str, Artifact], output: Path
) -> tuple[dict[str, Artifact], bool]:
    """Stores what was asked this time.

    A part in which a question stayed without an answer that may come is not whole: the next run
    asks for that answer. A prompt without room has none in any run, nor one that is refused.

    Args:
        run: The run that has asked.
        store: Where to.
        parts: What there was before.
        inputs: Policies and benchmarks, by name.
        output: What the stage has written.

    Returns:
        All parts by name, and whether nothing is missing in them.
    """
    benchmarks = {one.name: one for one in run.recipe.evaluation.benchmarks}
    answers, replies, is_whole = dict[Pair, Artifact](), dict[Pair, Artifact](), True
    for pair, part in parts.parts.items():
        policy, benchmark = pair
        folder = output / PARTS_FOLDER / policy / benchmark
        read = _read(parts.policies[policy], benchmarks[benchmark], inputs)
        answers[pair] = _publish_answers(run, store, part, folder, read)
        folder = output / REPLIES_FOLDER / policy / benchmark
        said = _publish_replies(run, store, part, folder, answers[pair])
        replies |= {} if said is None else {pair: said}
        is_whole &= _is_answered(output / PARTS_FOLDER / policy / benchmark)
        is_whole &= _is_answered(folder)
    return _named(PART, answers) | _named(REPLIES, replies), is_whole


def _publish_answers(
    run: Run, store: Store, part: Part, folder: Path, read: Mapping[str, Artifact]
) -> Artifact:
    is_by_code = part.found is None or part.is_of_this_code
    if folder.exists():
        provenance = run.provenance(ANSWERS_KIND, read, part.made_of)
        artifact = store.publish(folder, ANSWERS_KIND, provenance)
        if is_by_code:  # else a part of it is other code's
            store.append(stage_key(part.made_of), artifact)
        store.append(recipe_key(part.made_of), artifact)
    else:
        assert part.found is not None  # else everything was asked
        artifact = part.found
    if is_by_code and not part.is_whole and _is_answered(folder):
        store.claim(stage_key(part.whole_of), artifact)
    return artifact


def _publish_replies(
    run: Run, store: Store, part: Part, folder: Path, answers: Artifact
) -> Artifact | None:
    if part.judged_of is None or not folder.exists():
        return part.replies
    provenance = run.provenance(REPLIES_KIND, {"answers": answers}, part.judged_of)
    artifact = store.publish(folder, REPLIES_KIND, provenance)
    store.append(stage_key(part.judged_of), artifact)
    return artifact


def _is_answered(folder: Path) -> bool:
    """Whether every answer came that may come, of those that were asked for this time."""
    failures = (
        failure
        for path in folder.glob("*.parquet")
        for failure in pq.read_table(path, columns=["failure"])["failure"].unique().to_pylist()
    )
    return all(not failure or is_final(failure) for failure in failures)
