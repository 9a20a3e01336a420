"""Whether a text family that stays weak lacks practice, or the policy lacks what it takes.

`python -m experiments.lone_families [--families equation sets]` prints the table of docs/pocket.md:
the cold start of the pocket recipe on its own mix of families, and on as many problems of one
family alone. A family that is strong by itself lacks its share of the mix; one that stays weak asks
for more than the base has learnt to do, or than its traces show.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.pocket_base import measure
from infra.settings import PROJECT_ROOT
from report.blocks import Section, Table
from report.numbers import percent
from report.write_markdown import markdown_section
from tasks.run import recipe_path
from training.model.policy import load_policy
from training.pocket.family import NUM_LEVELS, Split
from training.pocket.problems import FAMILIES, as_problem, generate, sketch
from training.recipe.recipe import Recipe, load_recipe
from training.recipe.stages import SftStage
from training.records import Problem, write_problems
from training.sft.train import train

BASE = PROJECT_ROOT / "infra" / "models" / "pocket-base"
WEAK = ("comparison", "equation", "sequence", "sets")
NUM_TRACES, NUM_HELD_OUT = 1700, 200  # the recipe's cold start; problems of each family


def of_family(name: str, split: Split, num_problems: int, seed: int) -> list[Problem]:
    """Problems of one text family, levels drawn uniformly; same arguments, same bytes."""
    (family,) = (one for one in FAMILIES["text"] if one.name == name)
    rng = np.random.default_rng(np.random.SeedSequence((seed, *name.encode(), *split.encode())))
    return [
        as_problem(sketch(family, int(rng.integers(1, NUM_LEVELS + 1)), split, rng), f"{number}")
        for number in range(num_problems)
    ]


def taught(recipe: Recipe, problems: Sequence[Problem], folder: Path) -> Path:
    """The model folder of a cold start on these problems."""
    (stage,) = (one for one in recipe.stages if isinstance(one, SftStage))
    write_problems(problems, folder / f"{stage.data}.parquet")
    train(recipe, stage, BASE, folder, folder)
    return folder / "model"


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = [one.name for one in FAMILIES["text"]]
    parser.add_argument("--families", nargs="+", default=list(WEAK), choices=names)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    recipe = load_recipe(recipe_path("pocket"))
    tests = {name: of_family(name, "test", NUM_HELD_OUT, options.seed) for name in options.families}

    def figures(model: Path, name: str) -> dict[str, Any]:
        policy = load_policy(model, recipe.model, system_prompt=recipe.system_prompt)
        return measure(policy, tests[name])

    rows = []
    with tempfile.TemporaryDirectory() as root:
        mix = generate("text", "train", NUM_TRACES, options.seed)
        mixed = taught(recipe, mix, Path(root) / "mix")
        for name in options.families:
            alone = taught(
                recipe, of_family(name, "train", NUM_TRACES, options.seed), Path(root) / name
            )
            found = [figures(model, name) for model in (BASE, mixed, alone)]
            cells = (f"{percent(one['accuracy'])} ({percent(one['reading'])})" for one in found)
            rows.append((name, *cells))
    columns = ("family", "base", f"{NUM_TRACES:,} of all families", f"{NUM_TRACES:,} of it alone")
    table = Table("Greedy accuracy (givens read rightly)", columns, "lrrr", tuple(rows))
    print(markdown_section(Section("Families alone", "lone-families", (table,))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
