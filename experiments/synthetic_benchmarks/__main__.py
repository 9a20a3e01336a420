"""Writes full-size copies of the ten benchmarks, in the layout of the hub's repositories.

`python -m experiments.synthetic_benchmarks FOLDER [--only mathverse ...]`. A folder
`FOLDER/NAME` is what a recipe's `path` may name, or what a hub of one's own may serve.
"""

import argparse
from pathlib import Path

import pyarrow.parquet as pq

from experiments.synthetic_benchmarks.files import REPOSITORIES, write_repository
from experiments.synthetic_benchmarks.pictures import figure


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


if __name__ == "__main__":
    main()
