"""Gains of benchmarks whose score is no plain mean of right answers: worked by hand."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from report.evidence import gather
from report.gains import gains
from report.render import render
from tests.training.evaluation.test_metrics import group, row
from tests.training.evaluation.test_scores import prediction
from training.evaluation.prediction import write_predictions
from training.evaluation.scores import score_of

SIX_OF_SIX = 2 / 2**6  # McNemar: six gained, none lost


def letters(right):
    """LogicVista: ten items, two of which no answer can be right to."""
    outcomes = ["right" if n < right else "wrong" for n in range(8)]
    rows = [prediction(n, one, rule="letters") for n, one in enumerate(outcomes)]
    return rows + [prediction(n, "unparseable", rule="none") for n in (8, 9)]


def versions(only, lite):
    """MathVerse: eight problems, right on `Vision Only` and on `Text Lite` where named."""
    named = (("Vision Only", only), ("Text Lite", lite))
    return [
        row(f"{n}/{part}", n in right, f"p{n}", part) for n in range(8) for part, right in named
    ]


def seeds(right):
    """DynaMath: eight seeds of two variants, the first one always right."""
    return [
        row(f"{n}/{part}", part == "1" or n < right, f"s{n}", part)
        for n in range(8)
        for part in ("1", "2")
    ]


def problems(*patterns):
    return [one for n, pattern in enumerate(patterns) for one in group(f"g{n}", pattern)]


# Name -> metric, answers before and after, gain, p.
CASES = {
    "logicvista": ("accuracy", letters(0), letters(6), 6 / 8, SIX_OF_SIX),
    # As a plain mean, the gain would be the same 6 / 8, of twelve answers in eight problems.
    "mathverse": (
        "vision_only",
        versions((), ()),
        versions(range(6), range(2, 8)),
        6 / 8,
        SIX_OF_SIX,
    ),
    "dynamath": ("worst_case", seeds(0), seeds(6), 6 / 8, SIX_OF_SIX),
    # IG to CM six times, IG to IK twice, half a point each: 2 (28 + 8 + 1) / 2^8.
    "we-math": (
        "four_way",
        problems(*["11-0"] * 8),
        problems(*["11-1"] * 6, *["10-0"] * 2),
        (6 - 2) / 2 / 8,
        74 / 256,
    ),
    # Two answers a problem, one of which becomes right in six of eight.
    "aime24": (
        "accuracy",
        [prediction(n, "wrong", sample=k) for n in range(8) for k in range(2)],
        [
            prediction(n, "right" if n < 6 and k else "wrong", sample=k)
            for n in range(8)
            for k in range(2)
        ],
        6 / 16,
        SIX_OF_SIX,
    ),
}


@pytest.fixture
def evaluated(made_up_run):
    """A run whose evaluation is of two policies on one of the cases."""
    run, folders = made_up_run

    def write(name):
        metric, *answers = CASES[name][:3]
        named = [
            [one | {"policy": policy, "benchmark": name} for one in rows]
            for policy, rows in zip(("base", "rl"), answers, strict=True)
        ]
        scores = [score_of(rows, metric, np.random.default_rng(0)) for rows in named]
        content = {"scores": [one.model_dump() for one in scores]}
        (folders["evaluate"] / "scores.json").write_text(json.dumps(content))
        file = folders["evaluate"] / "predictions.parquet"
        write_predictions([*named[0], *named[1]], file)
        return run, folders, file

    return write


@pytest.mark.parametrize("name", CASES)
def test_a_gain_is_of_the_score_with_interval_and_p(evaluated, name) -> None:
    run, folders, _ = evaluated(name)
    (found,) = gains(gather(run, folders), "base", "rl")
    *_, value, p = CASES[name]
    assert (found.value, found.p) == (pytest.approx(value), pytest.approx(p))
    assert found.low is not None and found.low < value < found.high
    assert found.verdict == ("up" if p == SIX_OF_SIX else "not shown")


@pytest.mark.parametrize("name", CASES)
def test_a_score_stands_beside_the_number_of_what_counts_for_it(evaluated, name) -> None:
    """Eight items or groups in each case, of 10 that were asked, or of 16 or more with parts."""
    run, folders, _ = evaluated(name)
    evidence = gather(run, folders)
    assert {one.n for one in evidence.scores} == {"8"}
    page = render(run, evidence).markdown.split("reading” is perception scored alone")[1]
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith(f"| {name} | ")][:2]
    assert [row[-2] for row in rows] == ["8", "8"]


@pytest.mark.parametrize("name", CASES)
def test_predictions_without_groups_have_the_gain_of_a_plain_accuracy_alone(
    evaluated, name
) -> None:
    run, folders, file = evaluated(name)
    pd.read_parquet(file).drop(columns=["cluster", "part", "rule", "sample"]).to_parquet(file)
    evidence = gather(run, folders)
    (found,) = gains(evidence, "base", "rl")
    assert found.value == pytest.approx(CASES[name][3])
    assert found.p == (pytest.approx(SIX_OF_SIX) if name == "aime24" else None)
    assert name in render(run, evidence).markdown


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows[rows["part"] != "multi"],
        lambda rows: rows.assign(part=rows["part"].replace("2", "1")),
    ],
)
def test_groups_that_are_not_whole_have_no_interval(evaluated, change) -> None:
    run, folders, file = evaluated("we-math")
    change(pd.read_parquet(file)).to_parquet(file)
    (found,) = gains(gather(run, folders), "base", "rl")
    assert (found.verdict, found.p) == ("no interval", None)


def test_what_was_asked_otherwise_has_no_interval(evaluated) -> None:
    run, folders, file = evaluated("aime24")
    rows = pd.read_parquet(file)
    rows.loc[rows.index[-1], "prompt_digest"] = "1" * 64
    rows.to_parquet(file)
    (found,) = gains(gather(run, folders), "base", "rl")
    assert (found.verdict, found.p) == ("no interval", None)


def test_an_unknown_metric_and_another_one_have_no_interval(evaluated) -> None:
    run, folders, _ = evaluated("aime24")
    evidence = gather(run, folders)
    before, after = evidence.scores
    for names in (("F1", "F1"), ("accuracy", "worst case")):
        scores = [
            one.model_copy(update={"metric": name})
            for one, name in zip((before, after), names, strict=True)
        ]
        (found,) = gains(replace(evidence, scores=tuple(scores)), "base", "rl")
        assert (found.verdict, found.p) == ("no interval", None)
