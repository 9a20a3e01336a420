"""Writes full-size copies of the ten benchmarks, in the layout of the hub's repositories.

`python -m experiments.synthetic_benchmarks FOLDER [--only mathverse ...]`. A folder
`FOLDER/NAME` is what a recipe's `path` may name, or what a hub of one's own may serve. So does
`FOLDER/pocket-full-size.toml`, the pocket recipe with these benchmarks behind its own:
`revisual evaluate RUN/STAGE --recipe FOLDER/pocket-full-size.toml`.
"""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from experiments.synthetic_benchmarks.files import REPOSITORIES, write_repository
from experiments.synthetic_benchmarks.pictures import figure
from infra.settings import PROJECT_ROOT
from tasks.run import recipe_path

SAMPLES = {"aime24": 32, "aime25": 32}  # as the shipped recipes ask them


def write_recipe(names: Sequence[str], folder: Path) -> None:
    """The pocket recipe, which asks the copies, too."""
    asked = [
        f'  {{ name = "{name}", path = "{(folder / name).resolve()}", '
        f"samples_per_problem = {SAMPLES.get(name, 1)} }},"
        for name in names
    ]
    text = recipe_path("pocket").read_text(encoding="utf-8")
    text = text.replace('"../models/', f'"{PROJECT_ROOT}/infra/models/')
    text = re.sub(r"(?ms)^(benchmarks = \[\n.*?)^\]", "\\1" + "\n".join([*asked, "]"]), text)
    (folder / "pocket-full-size.toml").write_text(text, encoding="utf-8")


def main() -> None:
    """Writes them, and prints how many rows and bytes there are of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+", choices=list(REPOSITORIES), default=REPOSITORIES)
    options = parser.parse_args()
    for name in options.only:
        paths = write_repository(name, options.folder / name, figure)
        tables = [path for path in paths if path.suffix == ".parquet"]
        num_rows = sum(pq.read_metadata(path).num_rows for path in tables)
        size = sum(path.stat().st_size for path in paths) / 2**20
        print(f"{name:<13} {len(tables):3} file(s) {num_rows:6} rows {size:8.1f} MiB", flush=True)
    write_recipe(options.only, options.folder)


if __name__ == "__main__":
    main()
