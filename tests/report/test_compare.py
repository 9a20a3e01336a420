"""Runs side by side: gains on the same problems only, and what differs, in words."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from report.compare import Compared, Refused, compare, recipe_differences, run_gains
from report.evidence import gather
from report.side_by_side import curves


@pytest.fixture
def pair(made_up_run):
    """A run, and the same with another last policy: the first one's multimodal_rl."""
    run, folders = made_up_run
    first = Compared("first", run, gather(run, folders))
    _edit(folders["evaluate"], lambda rows: rows[rows["policy"] != "text_rl"])
    scores = json.loads((folders["evaluate"] / "scores.json").read_text())
    scores["scores"] = [one for one in scores["scores"] if one["policy"] != "text_rl"]
    (folders["evaluate"] / "scores.json").write_text(json.dumps(scores))
    other = run.model_copy(update={"recipe": {**run.recipe, "name": "other"}, "seed": 4})
    return first, Compared("other", other, gather(other, folders)), folders["evaluate"]


def _edit(folder: Path, change) -> None:
    path = folder / "predictions.parquet"
    change(pd.read_parquet(path)).to_parquet(path)


def _again(run: Compared, folder: Path) -> Compared:
    return Compared(
        run.name,
        run.record,
        gather(run.record, {"evaluate": folder}),
    )


def test_gains_between_runs_are_paired_and_corrected(pair) -> None:
    first, other, _ = pair
    texts, pictures = run_gains(first, other)
    # 72 of the 90 on texts, 54 of the 55 on pictures; none gained. McNemar, then Holm: x 2, x 1.
    assert (texts.before, texts.after) == ("text_rl", "multimodal_rl")
    assert (texts.value, pictures.value) == pytest.approx((-0.18, -0.01))
    assert (texts.p, pictures.p) == pytest.approx((2 * 2 * 0.5**18, 1.0))
    assert (texts.verdict, pictures.verdict) == ("down", "not shown")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda rows: rows[rows["problem_id"] != "pocket_text/7"],
            "other problems: 1 of 100 are in one run only",
        ),
        (
            lambda rows: rows.assign(answer=rows["answer"].replace("12", "13")),
            "1 of 100 problems have another question or reference answer",
        ),
        (
            lambda rows: pd.concat([rows, rows]),
            "another number of answers to a problem: 1 and 2",
        ),
    ],
)
def test_other_items_are_refused_in_words(pair, change, reason) -> None:
    first, other, folder = pair
    _edit(folder, change)
    changed = _again(other, folder)
    assert Refused("pocket_text", reason) in run_gains(first, changed)
    assert f"not compared: {reason}" in compare([first, changed])


def test_another_rule_is_refused_in_words(pair) -> None:
    first, other, folder = pair
    _edit(folder, lambda rows: rows.assign(rule="boxed"))
    other = _again(other, folder)
    first = replace(first, evidence=other.evidence)
    assert not any(isinstance(one, Refused) for one in run_gains(first, other))
    _edit(folder, lambda rows: rows.assign(rule=rows["rule"].where(rows["level"] > 1, "math")))
    reason = "10 of 100 problems were judged by another rule"
    assert Refused("pocket_text", reason) in run_gains(first, _again(other, folder))


def test_another_metric_is_refused_in_words(pair) -> None:
    first, other, folder = pair
    scores = json.loads((folder / "scores.json").read_text())
    for one in scores["scores"]:
        one["metric"] = "groups all right"
    (folder / "scores.json").write_text(json.dumps(scores))
    reason = "another metric: accuracy and groups all right"
    assert Refused("pocket_text", reason) in run_gains(first, _again(other, folder))


def test_questions_without_a_response_are_refused_in_words(pair) -> None:
    first, other, folder = pair
    scores = json.loads((folder / "scores.json").read_text())
    for one in scores["scores"]:
        one["failures"] = {"time-out": 2, "status 503": 1}
    (folder / "scores.json").write_text(json.dumps(scores))
    other = _again(other, folder)
    reason = "answers that did not come: other lacks 3"
    assert run_gains(first, other) == [Refused(name, reason) for name in first.evidence.benchmarks]


def test_splits_curves_gates_and_the_paper_stand_side_by_side(pair) -> None:
    html = compare(pair[:2])
    split = html.split("pocket_text by level: final policies</summary>")[1].split("</table>")[0]
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in split.split("<tr>")[2:]]
    # 90 of 100 and 72 of 100, the first ones, ten to a level.
    assert rows[6:8] == [["7", "10", "100.0 %", "100.0 %"], ["8", "10", "100.0 %", "20.0 %"]]
    assert "pocket_text by family: final policies" in html
    for title in ("cold_start, loss", "multimodal_rl, reward", "text_rl, entropy"):
        assert f"<figcaption>{title}: " in html
    # A run has its colour also where it is the only line.
    (alone,) = curves(
        {
            "none": (pair[0].record, replace(pair[0].evidence, metrics={})),
            "first": (pair[0].record, pair[0].evidence),
        }
    ).blocks[:1]
    assert "line s2" in alone.svg and "line s1" not in alone.svg
    gates = html.split('<section id="gates">')[1].split("</section>")[0]
    assert gates.count("curation") == 2 and gates.count("gain, pocket_multimodal") == 2
    assert re.search(r">first</td>(<td[^>]*>not run</td>){11}", html)


def test_stages_of_one_name_and_two_kinds_have_curves_of_their_own(pair) -> None:
    """The first run's `text_rl` is of RL; the other's stage of that name is made a cold start."""
    first, other, _ = pair
    stages = [
        stage.model_copy(update={"name": "text_rl"})
        for stage in other.record.stages
        if stage.kind == "sft"
    ]
    record = other.record.model_copy(update={"stages": tuple(stages)})
    metrics = {"text_rl": other.evidence.metrics["cold_start"]}
    runs = {
        "first": (first.record, first.evidence),
        "other": (record, replace(other.evidence, metrics=metrics)),
    }
    figures = {one.title.partition(":")[0]: one.svg for one in curves(runs).blocks}
    assert "line s1" in figures["text_rl, reward"] and "line s2" not in figures["text_rl, reward"]
    assert "line s2" in figures["text_rl, loss"] and "line s1" not in figures["text_rl, loss"]


def test_a_benchmark_of_one_run_only_is_refused(pair) -> None:
    first, other, folder = pair
    scores = json.loads((folder / "scores.json").read_text())
    scores["scores"] = [one for one in scores["scores"] if one["benchmark"] == "pocket_text"]
    (folder / "scores.json").write_text(json.dumps(scores))
    texts, pictures = run_gains(first, _again(other, folder))
    assert pictures == Refused("pocket_multimodal", "other did not evaluate it")
    assert texts.p == pytest.approx(2 * 0.5**18)  # a family of one


def test_the_page_holds_every_policy_and_what_differs(pair) -> None:
    html = compare(pair[:2])
    table = html.split("Every policy of every run</caption>")[1].split("</table>")[0]
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in table.split("<tr>")[2:]]
    assert len(cells) == 2 * (4 + 3)
    assert ["pocket_text", "first", "text_rl", "accuracy", "90.0 %", "84.1 to 95.9", "100"] in cells
    assert "the same as of first" in html and "&quot;other&quot;" in html
    assert "hunter2" not in html and "<script" not in html


def test_recipes_differ_by_dotted_fields_and_named_entries() -> None:
    one = {"a": {"b": 1, "c": [1, 2]}, "stages": [{"name": "rl", "lr": 0.1}, {"name": "sft"}]}
    two = {"a": {"b": 1, "c": [1, 3]}, "stages": [{"name": "sft"}, {"name": "rl", "lr": 0.2}]}
    assert recipe_differences([one, two]) == [("a.c.1", "2", "3"), ("stages.rl.lr", "0.1", "0.2")]
    assert recipe_differences([{"x": [], "y": 1}, {"y": 1}]) == [("x", "[]", "–")]
    assert recipe_differences([one, one]) == []
