"""The items that several runs were asked alike, with the answers of all their final policies."""

from collections.abc import Sequence

import pandas as pd

from report.compare import Compared, benchmarks_of
from report.gains import other_verdicts
from report.items import Browsed


def paired_items(runs: Sequence[Compared], page: str) -> Browsed:
    """What the item browser shows that stands beside a comparison.

    Args:
        runs: In the order of the page, each with a name of its own.
        page: The page's name.
    """
    answers = [
        _final_answers(run).assign(policy=run.name, origin=origin)
        for origin, run in enumerate(runs)
        if run.evidence.predictions is not None
    ]
    rows, left_out = paired(answers)
    note = (
        "Items that at least two of the runs were asked alike, picture and choices included, with "
        "the answers of their final policies."
    )
    if left_out:
        note += f" Not here are {left_out} that one run alone was asked, or in its own way."
    for benchmark in benchmarks_of(runs):
        finals = {run.name: run.evidence.score(benchmark, run.final) for run in runs}
        if reason := other_verdicts(finals):
            note += f" The verdicts on {benchmark} cannot be compared: {reason}."
    names = tuple(run.name for run in runs)
    problems = tuple(run.evidence.problems for run in runs)
    return Browsed(f"Items of {len(runs)} runs", page, note, names, rows, problems)


def paired(answers: Sequence[pd.DataFrame]) -> tuple[pd.DataFrame, int]:
    """The answers, of several runs, to what at least two of them were asked alike.

    What was asked is told by `prompt_digest`. A run of an older version, which has none, pairs with
    no other, unless fewer than two have it: then question and reference answer tell.

    Args:
        answers: Of each run, under its name in `policy`.

    Returns:
        Their rows, and how many other items there are.
    """
    if not answers:
        return pd.DataFrame({"policy": []}), 0
    told = [one for one in answers if "prompt_digest" in one]
    rows = pd.concat(told if len(told) > 1 else answers, ignore_index=True)
    if len(told) < 2:
        rows = rows.assign(prompt_digest=rows["question"])
    by_item = rows.groupby(["benchmark", "problem_id", "prompt_digest", "answer"])
    is_paired = by_item["policy"].transform("nunique") > 1
    return rows[is_paired], int((by_item["policy"].nunique() < 2).sum())


def _final_answers(run: Compared) -> pd.DataFrame:
    answers = run.evidence.predictions
    assert answers is not None
    return answers[answers["policy"] == run.final]
