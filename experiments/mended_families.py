"""Whether another cold start of equal length would mend the text families that lack practice.

`python -m experiments.mended_families` prints the table of docs/pocket.md: greedy accuracy of every
text family after the pocket recipe's cold start on equal shares of all families, on twice its share
of equations and of sequences, and on other traces of these two.
"""

import argparse
import re
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from experiments.lone_families import BASE, NUM_TRACES, of_family, taught
from experiments.pocket_base import measure
from report.blocks import Section, Table
from report.numbers import percent
from report.write_markdown import markdown_section
from tasks.run import recipe_path
from training.model.policy import load_policy
from training.pocket.problems import FAMILIES
from training.recipe.recipe import load_recipe
from training.records import Problem

LACKING = ("equation", "sequence")
NAMES = tuple(family.name for family in FAMILIES["text"])
NUM_HELD_OUT = 200  # of each family
MOST_TOKENS = 160  # of a response: other traces are longer

_TRACE = re.compile(
    r"(?P<given><think>Given: .*?\. )(?P<start>\d+) (?P<steps>.*)\.(?P<end></think>.*)"
)


def with_names(solution: str) -> str:
    """A sequence's trace with the name of the move beside each step's number: `1a+5=7 2b-3=4`."""

    def named(step: re.Match[str]) -> str:
        return f"{step[1]}{'ab'[(int(step[1]) - 1) % 2]}{step[2]}"

    return re.sub(r"(\d+): ([+-])", named, solution)


def with_plan(solution: str) -> str:
    """An equation's trace with all moves back before the first: `e-2 d+1. 4 e-2=2 d+1=3`."""
    found = _TRACE.fullmatch(solution)
    if found is None:
        raise ValueError(f"no trace of an equation: {solution!r}")
    back = " ".join(step.split("=")[0] for step in found["steps"].split(" "))
    return f"{found['given']}{back}. {found['start']} {found['steps']}.{found['end']}"


OTHER_TRACES: Mapping[str, Callable[[str], str]] = {"sequence": with_names, "equation": with_plan}


def mix(shares: Mapping[str, int], seed: int) -> list[Problem]:
    """Some NUM_TRACES problems of all families, in an order drawn by the seed.

    Args:
        shares: Of each family, beside the others'.
        seed: Decides problems and order.
    """
    each = NUM_TRACES / sum(shares.values())
    rows = []
    for name in NAMES:
        for problem in of_family(name, "train", round(each * shares[name]), seed):
            problem["id"] = f"{name}/{problem['id']}"
            rows.append(problem)
    order = np.random.default_rng(seed).permutation(len(rows))
    return [rows[place] for place in order]


def with_other_traces(problem: Problem) -> Problem:
    """The problem as it is, but of the two families that lack practice."""
    change = OTHER_TRACES.get(problem["family"])
    solution = problem["solution"]
    if change is None or solution is None:
        return problem
    changed = problem.copy()
    changed["solution"] = change(solution)
    return changed


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    seed = parser.parse_args().seed
    recipe = load_recipe(recipe_path("pocket"))
    tests = {name: of_family(name, "test", NUM_HELD_OUT, seed) for name in NAMES}
    equal = mix(dict.fromkeys(NAMES, 1), seed)
    arms = {
        "equal shares": equal,
        "twice the share": mix({name: 1 + (name in LACKING) for name in NAMES}, seed),
        "other traces": [with_other_traces(problem) for problem in equal],
    }
    found: dict[str, dict[str, str]] = {}
    with tempfile.TemporaryDirectory() as root:
        models = {"base": BASE} | {
            name: taught(recipe, problems, Path(root) / name) for name, problems in arms.items()
        }
        for name, model in models.items():
            policy = load_policy(model, recipe.model, system_prompt=recipe.system_prompt)
            found[name] = {
                family: percent(measure(policy, problems, MOST_TOKENS)["accuracy"])
                for family, problems in tests.items()
            }
    rows = tuple((family, *(figures[family] for figures in found.values())) for family in NAMES)
    table = Table("Greedy accuracy", ("family", *found), "l" + "r" * len(found), rows)
    print(markdown_section(Section("Mended families", "mended-families", (table,))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
