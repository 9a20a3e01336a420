"""What holds the pocket world's policies back: reading the givens, or reasoning over them.

`python -m experiments.skills FOLDER...` prints the table of docs/pocket.md, and so does `make
seeds`. Each folder is the evaluation of one seed. The answers of all seeds are counted together.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from report.blocks import Section, Table
from report.numbers import percent
from report.write_markdown import markdown_section

ALL = "all"


def skills_table(folders: Sequence[Path]) -> str:
    """Markdown: a row per benchmark and family, a cell per policy.

    A cell holds the accuracy, how often the givens were transcribed rightly, and the accuracy of
    the answers whose givens were: `40.0 % (50.0 %, 68.0 %)`.

    Args:
        folders: Each holds a predictions.parquet of problems that have a reading.
    """
    rows = pd.concat([pd.read_parquet(folder / "predictions.parquet") for folder in folders])
    rows = rows.assign(
        right=rows["outcome"] == "right", read=rows["reading_right"].fillna(False).astype(bool)
    )
    policies = tuple(rows["policy"].drop_duplicates())
    rows = pd.concat([rows.assign(family=ALL), rows])
    cells = [
        (*map(str, names), *(_cell(group[group["policy"] == policy]) for policy in policies))
        for names, group in rows.groupby(["benchmark", "family"], sort=True)
    ]
    table = Table(
        "Accuracy (givens read rightly, accuracy where they are)",
        ("benchmark", "family", *policies),
        "ll" + "r" * len(policies),
        tuple(cells),
    )
    return markdown_section(Section("Reading and reasoning", "skills", (table,)))


def _cell(answers: pd.DataFrame) -> str:
    read = answers[answers["read"]]
    solved = percent(float(read["right"].mean())) if len(read) else "none"
    return f"{percent(answers['right'].mean())} ({percent(answers['read'].mean())}, {solved})"


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    print(skills_table(parser.parse_args().folders))
    return 0


if __name__ == "__main__":
    sys.exit(main())
