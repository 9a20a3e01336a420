"""Runs side by side: gains on the same problems only, and what differs, in words."""

import base64
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from report.compare import Compared, Refused, compare, recipe_differences, run_gains
from report.evidence import gather
from report.items import collect, write_browser
from report.paired_items import paired_items
from report.side_by_side import curves
from tests.report.conftest import png
from tests.report.test_items import data_of


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


def test_another_picture_or_other_choices_are_refused_in_words(pair) -> None:
    first, other, folder = pair
    _edit(folder, lambda rows: rows.assign(prompt_digest=rows["problem_id"]))
    other = _again(other, folder)
    first = replace(first, evidence=other.evidence)
    assert not any(isinstance(one, Refused) for one in run_gains(first, other))
    _edit(folder, lambda rows: rows.assign(prompt_digest=_otherwise(rows)))
    changed = _again(other, folder)
    reason = "10 of 100 problems were asked with other pictures, choices or words"
    assert Refused("pocket_text", reason) in run_gains(first, changed)
    # Their answers do not stand side by side either, those of the other 180 do.
    browsed = paired_items([first, changed], "compare.html")
    left = collect(browsed.predictions, browsed.policies, 4)
    assert len(left) == 180 and all(all(one["answers"]) for one in left)
    assert "Not here are 40 " in browsed.note


def _otherwise(rows: pd.DataFrame) -> pd.Series:
    return rows["problem_id"].where(rows["level"] > 1, "otherwise")


def test_items_of_older_runs_are_paired_by_question_and_answer(pair) -> None:
    first, other, folder = pair
    _edit(folder, lambda rows: rows.assign(answer=rows["answer"].replace("12", "13")))
    _edit(folder, lambda rows: rows.assign(prompt_digest="of one run alone"))
    browsed = paired_items([first, _again(other, folder)], "compare.html")
    left = {one["id"] for one in collect(browsed.predictions, browsed.policies, 4)}
    assert len(left) == 198 and not left & {"pocket_text/7", "pocket_multimodal/7"}
    shown = [one["answers"] for one in collect(browsed.predictions, browsed.policies, 4)]
    # Of two that tell what they asked, the older run changes nothing.
    told = [replace(_again(other, folder), name=name) for name in ("left", "right")]
    both = paired_items([*told, first], "compare.html")
    assert set(both.predictions["policy"]) == {"left", "right"} and len(both.predictions) == 400
    assert sum(one[0]["right"] for one in shown[:99]) == 89  # of 90; the seventh was one
    assert sum(one[1]["right"] for one in shown[:99]) == 71  # of the other run's 72


def test_pictures_are_those_of_the_run_that_was_asked(pair) -> None:
    """Two runs were asked with one picture, two others with another, of the same id."""
    first, _, folder = pair
    old = png("old")
    (folder / "new").mkdir()
    shutil.copy(folder / "predictions.parquet", folder / "new")
    problems = pd.read_parquet(folder / "problems.parquet")
    problems["images"] = [[{"bytes": old, "path": None}] for _ in range(len(problems))]
    problems.to_parquet(folder / "new" / "problems.parquet")
    _edit(folder, lambda rows: rows.assign(prompt_digest="old"))
    _edit(folder / "new", lambda rows: rows.assign(prompt_digest="new"))
    of_old, of_new = (
        replace(gather(first.record, {"evaluate": one}), scores=first.evidence.scores[:3])
        for one in (folder, folder / "new")
    )
    runs = [
        Compared(f"run {number}", first.record, one)
        for number, one in enumerate((of_old, of_new, of_old, of_new))
    ]
    assert write_browser(paired_items(runs, "compare.html"), folder, "compare.")
    data = data_of(folder / "compare.items.html")
    assert len(data["items"]) == 400
    of_new = [
        data["images"][one["images"][0]]
        for one in data["items"]
        if one["benchmark"] == "pocket_multimodal" and one["answers"][1]
    ]
    assert len(of_new) == 100
    assert {base64.b64decode(one.partition(",")[2]) for one in of_new} == {old}


def test_all_benchmarks_are_in_one_picture_and_length_beside_correctness(pair) -> None:
    first, other, folder = pair
    number = "problem_id"
    _edit(
        folder,
        lambda rows: rows.assign(num_tokens=rows[number].str.rpartition("/")[2].astype(int) + 1),
    )
    other = _again(other, folder)
    html = compare([replace(first, evidence=other.evidence), other])
    # 72 of 100 right, the shortest: all up to 60 tokens, 12 of the next 20, none above.
    table = html.split("pocket_text: right by length</caption>")[1].split("</table>")[0]
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in table.split("<tr>")[2:]]
    assert [row[2] for row in cells if row[2] != "–"][-2:] == ["60.0 % of 20", "0.0 % of 20"]
    assert "<figcaption>pocket_text: share of right answers by length</figcaption>" in html
    picture = html.split("<figcaption>All benchmarks, with 95 % intervals</figcaption>")[1]
    picture = picture.split("</svg>")[0]
    assert picture.count("whisker s0") == picture.count("whisker s1") == 2


def test_another_metric_is_refused_in_words(pair) -> None:
    first, other, folder = pair
    scores = json.loads((folder / "scores.json").read_text())
    for one in scores["scores"]:
        one["metric"] = "groups all right"
    (folder / "scores.json").write_text(json.dumps(scores))
    reason = "another metric: accuracy and groups all right"
    assert Refused("pocket_text", reason) in run_gains(first, _again(other, folder))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"judge": "q, prompt v1"}, "another judge: first by none, other by q, prompt v1"),
        (
            {"verdicts": {"code": "e" * 64, "rules": "d" * 64}},
            "judged by other code: evaluate first and other again; if only the version of "
            "math-verify or sympy differs, with `--reuse none`",
        ),
        (
            {"verdicts": {"code": "c" * 64, "rules": "e" * 64}},
            "judged by other rules: tolerance, decimals, unit, choices or `accept_rounded`",
        ),
        # Of older versions, and of an evaluation that nobody told.
        (
            {"verdicts": None},
            "by which code other was judged is unknown: evaluate it again",
        ),
        (
            {"verdicts": {"rules": "d" * 64}},
            "by which code other was judged is unknown: evaluate it again",
        ),
    ],
)
def test_other_verdicts_are_refused_in_words(pair, change, reason) -> None:
    """The same answers, but the second run's judge, its code or its rules found others right."""
    first, other, folder = pair
    scores = json.loads((folder / "scores.json").read_text())
    scores["scores"] = [one | change for one in scores["scores"]]
    (folder / "scores.json").write_text(json.dumps(scores))
    runs = [first, _again(other, folder)]
    assert run_gains(*runs) == [Refused(name, reason) for name in first.evidence.benchmarks]
    assert f"not compared: {reason}" in compare(runs)
    assert f"pocket_text cannot be compared: {reason}." in paired_items(runs, "x.html").note


def test_questions_without_a_response_are_refused_in_words(pair) -> None:
    first, other, folder = pair
    scores = json.loads((folder / "scores.json").read_text())
    for one in scores["scores"]:
        one["failures"] = {"time-out": 2, "status 503": 1}
    (folder / "scores.json").write_text(json.dumps(scores))
    other = _again(other, folder)
    reason = "answers that did not come: other lacks 3"
    assert run_gains(first, other) == [Refused(name, reason) for name in first.evidence.benchmarks]
    html = compare([first, other])
    for policy, value in (("multimodal_rl", "72.0 % *"), ("base", "20.0 % *")):
        assert f'>other</td><td class="plain">{policy}</td>' in html and f">{value}</td>" in html
    assert "first 90.0 %; other 72.0 % *" in html and ">72 % *</text>" in html
    assert '<th scope="col" class="number">other *</th>' in html
    assert "* other: base on pocket_text: 3 answer(s) did not come (" in html


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
