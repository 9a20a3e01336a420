"""The table over seeds: `python -m report.seeds FOLDER...`, one evaluation per seed.

Each folder holds the scores.json of one run. The interval is the 95 % t-interval of the mean over
seeds: mean +- t(0.975, n - 1) s / sqrt(n), s being the sample standard deviation over n seeds.
"""

import argparse
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean, stdev

from pydantic import ValidationError
from scipy.stats import t as student_t

from contracts.errors import DataError
from contracts.scores import Score, Scores
from report.blocks import Block, Cell, Prose, Section, Table
from report.evidence import read_scores
from report.gains import incomplete, other_verdicts
from report.numbers import percent, points
from report.write_markdown import markdown_section

Seed = dict[tuple[str, str], Score]  # (benchmark, policy) -> its score
EASY_LEVELS = ("1", "2")


def seeds_table(folders: Sequence[Path]) -> str:
    """Markdown: means over seeds of each policy's accuracy, gains, easy levels and reading.

    Gains are paired by seed: the difference is taken within a run before it is averaged.

    Args:
        folders: One per seed, each with a scores.json of the same benchmarks and policies.

    Raises:
        DataError: A file is missing or broken, or the runs did not evaluate the same things.
    """
    seeds: list[Seed] = [
        {(one.benchmark, one.policy): one for one in _scores(folder).scores} for folder in folders
    ]
    for folder, seed in zip(folders, seeds, strict=True):
        if seed.keys() != seeds[0].keys():
            raise DataError(
                f"{folder} and {folders[0]} did not evaluate the same things.",
                where=str(folder / "scores.json"),
                rule="every seed has the same benchmarks and policies",
                fix="give evaluations of one recipe that differ in the seed only",
            )
    tables = (
        _table("Accuracy", seeds, lambda score: score.value),
        _gains(seeds),
        _table("Accuracy on levels 1 and 2", seeds, _easy),
        _table("Reading (perception scored alone)", seeds, lambda score: score.reading),
    )
    note = (
        "Means over seeds with 95 % t-intervals over seeds; gains are in points, paired by seed."
        if len(seeds) > 1
        else "One seed only: there is no interval over seeds."
    )
    if not any(_say_who_judged(seed.values()) for seed in seeds):
        note += " By which code and rules the answers were judged these files do not say."
    blocks: tuple[Block, ...] = (*(one for one in tables if one.rows), Prose(note))
    return markdown_section(Section(f"Over {len(seeds)} seed(s)", "seeds", blocks))


def _table(caption: str, seeds: list[Seed], measure: Callable[[Score], float | None]) -> Table:
    """One row per benchmark where every seed has the measure, one column per policy."""
    policies = _policies(seeds)
    rows = list[tuple[str | Cell, ...]]()
    for benchmark in _benchmarks(seeds):
        measured = [[measure(seed[benchmark, one]) for seed in seeds] for one in policies]
        values = [[value for value in column if value is not None] for column in measured]
        if all(len(column) == len(seeds) for column in values):
            cells = (
                _lacking(seeds, benchmark, (policy,)) or _accuracy(column)
                for policy, column in zip(policies, values, strict=True)
            )
            rows.append((benchmark, *cells))
    return Table(caption, ("benchmark", *policies), "l" + "r" * len(policies), tuple(rows))


def _gains(seeds: list[Seed]) -> Table:
    """Each policy against the one before it, and the last against the first."""
    policies = _policies(seeds)
    steps = (*pairwise(policies), (policies[0], policies[-1]))
    rows = tuple(
        (
            benchmark,
            *(
                _lacking(seeds, benchmark, (start, end))
                or _gain(
                    [seed[benchmark, end].value - seed[benchmark, start].value for seed in seeds]
                )
                for start, end in steps
            ),
        )
        for benchmark in _benchmarks(seeds)
    )
    columns = ("benchmark", *policies[1:], f"{policies[-1]} − {policies[0]}")
    return Table("Gain over the policy before", columns, "l" + "r" * len(steps), rows)


def _lacking(seeds: list[Seed], benchmark: str, policies: Sequence[str]) -> Cell | None:
    """What stands in place of a mean of seeds that were not scored in full, or not alike."""
    names = {
        f"{policy} of folder {number}": seed[benchmark, policy]
        for number, seed in enumerate(seeds, start=1)
        for policy in policies
    }
    if reason := incomplete(names):
        return Cell(f"no mean: {reason}", "bad")
    reason = other_verdicts(names) if _say_who_judged(names.values()) else None
    return Cell(f"no mean: {reason}", "bad") if reason else None


def _say_who_judged(scores: Iterable[Score]) -> bool:
    return any(one.verdicts or one.judge for one in scores)


def _policies(seeds: list[Seed]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(policy for _, policy in seeds[0]))


def _benchmarks(seeds: list[Seed]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(benchmark for benchmark, _ in seeds[0]))


def _easy(score: Score) -> float | None:
    """Accuracy over all problems of the easy levels."""
    parts = [score.by_level[level] for level in EASY_LEVELS if level in score.by_level]
    number = sum(part.n for part in parts)
    return sum(part.value * part.n for part in parts) / number if number else None


def _accuracy(values: Sequence[float]) -> str:
    return percent(fmean(values)) + _half_width(values)


def _gain(values: Sequence[float]) -> str:
    return points(fmean(values)) + _half_width(values)


def _half_width(values: Sequence[float]) -> str:
    """Half the 95 % t-interval of the mean, in percent or points; empty for one seed."""
    number = len(values)
    if number < 2:
        return ""
    quantile = float(student_t.ppf(0.975, number - 1))
    return f" ± {100 * quantile * stdev(values) / math.sqrt(number):.1f}"


def _scores(folder: Path) -> Scores:
    path = folder / "scores.json"
    try:
        return read_scores(path)
    except (OSError, ValidationError) as error:
        raise DataError(
            f"{path} cannot be read: {str(error).splitlines()[0]}.",
            where=str(path),
            rule="each folder holds the scores.json of one evaluation",
            fix="give the folder that the evaluation stage wrote",
        ) from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table; returns 1 with a message when it cannot be made."""
    parser = argparse.ArgumentParser(prog="python -m report.seeds", description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    try:
        sys.stdout.write(seeds_table(parser.parse_args(arguments).folders))
    except DataError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
