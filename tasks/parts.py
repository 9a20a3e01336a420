"""The parts of an evaluation: one policy's answers to one benchmark, each an artifact by its key.

A part's key has no name of a policy and no other benchmark in it. So a run that adds a benchmark or
a checkpoint asks only what is new, and `revisual/evaluate` finds what a whole run has asked.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from contracts.artifact import Artifact
from contracts.failures import is_final
from contracts.job import PART
from contracts.provenance import Ingredients
from infra.store import Store
from tasks.keys import Reuse, find_finished, ingredients, recipe_key, stage_key
from tasks.run import Run
from training.recipe.evaluation import BenchmarkRecipe
from training.recipe.recipe import Recipe

KIND, STAGE = "answers", "answers"
FOLDER, FILE = "parts", "answers.parquet"  # as `training.evaluation.run` writes them
Pair = tuple[str, str]  # a policy's name and a benchmark's


@dataclass(frozen=True)
class Parts:
    """What an evaluation consists of.

    Attributes:
        policies: All policies, the base first.
        made_of: The ingredients of every part.
        found: Those that are in the store.
    """

    policies: dict[str, Artifact]
    made_of: dict[Pair, Ingredients]
    found: dict[Pair, Artifact]

    def __str__(self) -> str:
        return f"{len(self.found)} of {len(self.made_of)} sets of answers"

    def needed(self, inputs: Mapping[str, Artifact]) -> dict[str, Artifact]:
        """What the stage has to read: no policy that has answered everything, and the parts."""
        asked = {policy for policy, _ in self.made_of.keys() - self.found.keys()}
        read = {n: one for n, one in inputs.items() if n not in self.policies or n in asked}
        return read | {part_name(pair): one for pair, one in self.found.items()}


def part_name(pair: Pair) -> str:
    """The name by which an evaluation knows a part."""
    return PART + "/".join(pair)


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
    """
    benchmarks = {one.input_name: one for one in recipe.evaluation.benchmarks}
    policies = {name: one for name, one in inputs.items() if name not in benchmarks}
    made_of = {
        (policy, one.name): part_ingredients(
            recipe,
            one,
            {name: read.sha256 for name, read in _read(artifact, one, inputs).items()},
            salt=salt,
        )
        for policy, artifact in policies.items()
        for one in benchmarks.values()
    }
    found = {pair: find_finished(store, one, reuse) for pair, one in made_of.items()}
    return Parts(policies, made_of, {pair: one for pair, one in found.items() if one})


def _read(
    policy: Artifact, benchmark: BenchmarkRecipe, inputs: Mapping[str, Artifact]
) -> dict[str, Artifact]:
    """What a part is made from, by names that are the same for all."""
    read = inputs.get(benchmark.input_name)
    return {"policy": policy} | ({} if read is None else {"benchmark": read})


def part_ingredients(
    recipe: Recipe, benchmark: BenchmarkRecipe, inputs: Mapping[str, str], *, salt: str = ""
) -> Ingredients:
    """What one policy's answers to one benchmark depend on: no other benchmark is among it."""
    alone = recipe.evaluation.model_copy(update={"benchmarks": (benchmark,)})
    narrowed = recipe.model_copy(update={"evaluation": alone})
    found = ingredients(narrowed, "evaluate", "evaluate", inputs, salt=salt)
    return found.model_copy(update={"stage": STAGE})


def publish_parts(
    run: Run, store: Store, parts: Parts, inputs: Mapping[str, Artifact], output: Path
) -> tuple[dict[str, Artifact], bool]:
    """Stores what was asked this time.

    A part in which a question stayed without an answer gets no key: the next run asks again. A
    prompt without room has none in any run, and keeps no key away.

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
    made, is_whole = {part_name(pair): one for pair, one in parts.found.items()}, True
    for pair, made_of in parts.made_of.items():
        if pair in parts.found:
            continue
        policy, benchmark = pair
        folder = output / FOLDER / policy / benchmark
        given = _read(parts.policies[policy], benchmarks[benchmark], inputs)
        provenance = run.provenance(STAGE, given, made_of)
        key = stage_key(made_of) if (is_answered := _is_answered(folder / FILE)) else None
        artifact = store.publish(folder, KIND, provenance, key=key)
        if is_answered:
            store.append(recipe_key(made_of), artifact)
        is_whole &= is_answered
        made[part_name(pair)] = artifact
    return made, is_whole


def _is_answered(path: Path) -> bool:
    """Whether every question has an answer that can come, of the policy and of the judge."""
    table = pq.read_table(path, columns=["failure", "judge_finding"])
    failures = [one for one in table["failure"].unique().to_pylist() if one is not None]
    findings = table["judge_finding"].unique().to_pylist()
    return all(map(is_final, failures)) and "failed" not in findings
