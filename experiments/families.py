"""The table of docs/models.md: which families our code computes as transformers does.

`python -m experiments.families [--only gemma3] [--output docs/models.md]`. Every family is built
tiny and random and probed as a learner and on both engines (`training.model.probe`), vLLM after
weights were handed over. Each cell has a process of its own: a vLLM engine stays until its end.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from contracts.errors import ModelError
from experiments.tiny_families import OTHERS, PROVEN, TinyFamily
from infra.settings import PROJECT_ROOT
from training.model.policy import Policy, load_policy
from training.model.probe import probe
from training.recipe.model import ModelRecipe, VllmRollout
from training.rollout.engine import open_engine
from training.rollout.transformers_engine import TransformersEngine
from training.runtime import device

_COLUMNS = ("learner", "transformers", "vllm")
_TABLE_START, _TABLE_END = "<!-- made by python -m experiments.families -->", "<!-- end -->"
_SECONDS = 300.0
_MAX_LENGTH_TOKENS = 512


def main() -> int:
    """Measures every family, prints the table and writes it into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", help="model types")
    parser.add_argument("--output", type=Path, help="a page to replace the table of")
    parser.add_argument("--cell", nargs=2, help=argparse.SUPPRESS)  # one column of one folder
    options = parser.parse_args()
    if options.cell:
        print(json.dumps(measure(Path(options.cell[0]), options.cell[1])))
        return 0
    families = [
        family
        for family in (*PROVEN, *OTHERS)
        if options.only is None or family.model_type in options.only
    ]
    with tempfile.TemporaryDirectory() as folder:
        rows = [_row(family, Path(folder) / family.model_type) for family in families]
    head = "| family | model type | learner | engine `transformers` | engine `vllm` |"
    table = "\n".join([head, "| --- | --- | --- | --- | --- |", *rows])
    print(table)
    if options.output:
        page = options.output.read_text(encoding="utf-8")
        before, rest = page.split(_TABLE_START)
        after = rest.split(_TABLE_END)[1]
        page = f"{before}{_TABLE_START}\n\n{table}\n\n{_TABLE_END}{after}"
        options.output.write_text(page, encoding="utf-8")
    return 0


def measure(folder: Path, column: str) -> str:
    """A cell: the difference from the stock forward pass in nats, or why it is refused."""
    device.start(1)
    recipe = ModelRecipe(path=str(folder))
    policy = load_policy(folder, recipe, system_prompt="Be brief.")
    try:
        return f"{_nats(policy, column):.1e}"
    except ModelError as error:
        return f"refused: {error.what}"


def _nats(policy: Policy, column: str) -> float:
    if column == "learner":
        return probe(policy).learner_nats
    if column == "transformers":
        return probe(policy, TransformersEngine(policy)).sampler_nats or 0.0
    rollout = VllmRollout(engine="vllm", max_length_tokens=_MAX_LENGTH_TOKENS)
    return probe(policy, open_engine(rollout, policy)).sampler_nats or 0.0


def _row(family: TinyFamily, folder: Path) -> str:
    family.save(folder)
    cells = [_cell(folder, column) for column in _COLUMNS]
    return f"| {family.name} | `{family.model_type}` | {' | '.join(cells)} |"


def _cell(folder: Path, column: str) -> str:
    """`measure` in a process of its own; an engine that ends it does not know the family."""
    done = subprocess.run(
        [sys.executable, "-m", "experiments.families", "--cell", str(folder), column],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    if done.returncode == 0:
        return str(json.loads(done.stdout.splitlines()[-1]))
    errors = [line for line in done.stderr.splitlines() if "Error" in line]
    reason = errors[-1].split("Error:")[-1].strip() if errors else f"exit {done.returncode}"
    print(f"{folder.name}, {column}:\n{done.stderr[-4000:]}", file=sys.stderr)
    return f"fails: {reason[:100]}"


if __name__ == "__main__":
    sys.exit(main())
