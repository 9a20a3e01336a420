"""The section about length: how long answers are, and how often the long ones are right."""

import math
from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import pandas as pd

from report.blocks import Beside, Block, Figure, Prose, Section, Table
from report.evidence import Evidence
from report.numbers import figure, percent, percent_tick
from report.svg import Series, line_chart

NUM_BINS = 5
COLUMNS = (
    *("answers", "mean tokens", "of right ones", "of the others", "truncated"),
    "right if truncated",
)

NOTE = (
    "Each bin holds about a fifth of a benchmark’s answers, of all policies together. Hard "
    "problems take long answers: a fall from bin to bin is no effect of the length alone. An "
    "answer that did not come has no length, and is in none of these figures."
)


def lengths(evidence: Evidence) -> Section:
    """By benchmark: how long answers are, and the share of right ones by their length."""
    title, anchor = "Length and correctness", "length"
    answers = None if evidence.predictions is None else that_came(evidence.predictions)
    if answers is None or answers["num_tokens"].isna().all():
        text = "No predictions tell the length of their answers."
        return Section(title, anchor, (Prose(text, "bad"),))
    rows, blocks = [], list[Block]()
    for benchmark in evidence.benchmarks:
        of_all = answers[answers["benchmark"] == benchmark]
        by_policy = {name: of_all[of_all["policy"] == name] for name in evidence.policies}
        rows += [(benchmark, name, *length_cells(of)) for name, of in by_policy.items() if len(of)]
        blocks.append(by_length(benchmark, by_policy))
    table = Table(
        "Answers by policy", ("benchmark", "policy", *COLUMNS), "llrrrrrr", tuple(map(tuple, rows))
    )
    return Section(title, anchor, (table, *blocks, Prose(NOTE, "muted")))


def that_came(answers: pd.DataFrame) -> pd.DataFrame:
    """Without those that did not come; predictions of older versions do not tell them apart."""
    return answers[answers["failure"].fillna("") == ""] if "failure" in answers else answers


def length_cells(answers: pd.DataFrame) -> tuple[str, ...]:
    """The cells of `COLUMNS` for one policy's answers to one benchmark, at least one."""
    right = answers["outcome"] == "right"
    cut = answers["truncated"]
    means = [answers["num_tokens"], answers["num_tokens"][right], answers["num_tokens"][~right]]
    return (
        str(len(answers)),
        *(figure(None if of.isna().all() else float(of.mean())) for of in means),
        percent(float(cut.mean())),
        percent(float(right[cut].mean())) if cut.any() else "–",
    )


def by_length(benchmark: str, by_policy: Mapping[str, pd.DataFrame]) -> Block:
    """The share of right answers in each bin; a picture too where there is more than one.

    Args:
        benchmark: Its name.
        by_policy: The answers of each, in the order of their colours.
    """
    known = [answers["num_tokens"].dropna() for answers in by_policy.values()]
    tokens = np.concatenate([*known, np.empty(0)]) if known else np.empty(0)
    shares = np.linspace(0, 1, NUM_BINS + 1)
    edges = sorted({float(edge) for edge in np.quantile(tokens, shares)}) if len(tokens) else []
    if len(edges) < 3:
        return Prose(f"{benchmark}: the answers are too much of one length for bins.", "muted")
    rows: list[tuple[str, ...]] = []
    points: dict[str, list[tuple[float, float]]] = {name: [] for name in by_policy}
    for low, high in pairwise(edges):
        cells = []
        for name, answers in by_policy.items():
            length = answers["num_tokens"]
            above = length >= low if low == edges[0] else length > low
            right = (answers["outcome"] == "right")[above & (length <= high)]
            cells.append(f"{percent(float(right.mean()))} of {len(right)}" if len(right) else "–")
            if len(right):
                points[name].append((float(high), float(right.mean())))
        rows.append((f"to {math.floor(high)}", *cells))
    columns = ("tokens", *by_policy)
    table = Table(f"{benchmark}: right by length", columns, "r" * len(columns), tuple(rows))
    title = f"{benchmark}: share of right answers by length"
    description = "Each point is a bin, placed at its longest answer; the table has the numbers."
    places = {name: place for place, name in enumerate(by_policy)}
    series = [Series(name, tuple(line), places[name]) for name, line in points.items() if line]
    svg = line_chart(
        title, description, series, x_name="tokens", write=percent_tick, y_range=(0.0, 1.0)
    )
    return Beside(Figure(title, description, svg), table)
