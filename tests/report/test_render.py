"""The report of a made-up run: true figures, nothing hidden, nothing escaped, nothing leaked."""

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
from scipy.stats import binom

from contracts.run_record import GateDecision
from report import render as render_evidence
from report.evidence import gather
from report.gains import Difference, Refused, corrected, gains
from report.samples import choose
from tests.report.page import Page

HOSTILE = [
    "</pre><script>alert(1)</script>",
    '"><img src=http://evil.example/x onerror=alert(1)>',
    "</svg></style><iframe src=//evil.example></iframe>",
    "<!-- --> & &lt; ]]> {{7*7}}",
    "| a | b |\n```\n# heading [x](javascript:alert(1)) ``````",
    "\x00\x1b[31m\u202eevil\u2066",
]


def render(run, folders):
    return render_evidence(run, gather(run, folders))


def test_files_that_somebody_else_wrote_end_no_report(made_up_run):
    """Numbers, types and depths that no stage of ours writes; what cannot be read is told."""
    run, folders = made_up_run
    lines = [{"step": 1, "loss": 1e308, "x": 10**400}, {"step": 2, "loss": -1e308, "x": None}]
    (folders["cold_start"] / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (folders["text_rl"] / "metrics.jsonl").write_text("[" * 100_000)
    scores = json.loads((folders["evaluate"] / "scores.json").read_text())
    scores["scores"][0]["value"] = float("nan")
    (folders["evaluate"] / "scores.json").write_text(json.dumps(scores))
    summary = json.loads((folders["curate"] / "summary.json").read_text())
    (folders["curate"] / "summary.json").write_text(json.dumps(summary | {"rows_in": 10**4000}))
    predictions = pd.read_parquet(folders["evaluate"] / "predictions.parquet")
    odd = predictions.assign(level="x", outcome=1.5, problem_id=None)
    odd.to_parquet(folders["evaluate"] / "predictions.parquet")
    pd.DataFrame({"id": ["None"], "images": ["no images"]}).to_parquet(
        folders["evaluate"] / "problems.parquet"
    )
    told = render(run, folders).markdown
    for file in ("metrics.jsonl", "scores.json", "summary.json"):
        assert f"{file} cannot be read" in told.replace("\\", "")
    assert "or cannot be read" in told


BESIDE = {"items.html", "datasheet.html"}  # pages of the same run, in the same folder


def test_the_page_is_whole_and_loads_nothing(made_up_run) -> None:
    html = render(*made_up_run).html
    page = Page(html)
    assert not {tag for tag, _ in page.elements} & {"script", "link", "iframe", "object", "base"}
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("src", "href", "action", "xlink:href"):
                is_inside = (value or "").startswith(("data:image/png;base64,", "#"))
                assert is_inside or value in BESIDE, (tag, name)
    assert "url(" not in html and "@import" not in html
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    links = [str(values["href"]).removeprefix("#") for tag, values in page.elements if tag == "a"]
    for page in BESIDE & set(links):
        links.remove(page)
    assert len(set(ids)) == len(ids) and set(links) == set(ids)


def test_every_picture_has_words_and_is_valid_xml(made_up_run) -> None:
    html = render(*made_up_run).html
    pictures = re.findall(r"<svg.*?</svg>", html, re.S)
    # pipeline, accuracy, one of both and one of each, levels + families, SFT, RL
    assert len(pictures) == 1 + 1 + 2 + 4 + 1 + 6
    for picture in pictures:
        root = ET.fromstring(picture)
        assert root.get("role") == "img" and root.get("aria-label")
        assert root.findtext("title") and root.findtext("desc")
        _, _, width, height = (float(number) for number in str(root.get("viewBox")).split())
        for element in root.iter():
            for name, value in element.items():
                if name in ("x", "x1", "x2", "cx", "width"):
                    assert 0 <= float(value) <= width, (name, value)
                if name in ("y", "y1", "y2", "cy", "height"):
                    assert 0 <= float(value) <= height, (name, value)


def test_the_share_of_real_draws_is_shown(made_up_run) -> None:
    run, folders = made_up_run
    markdown = render(run, folders).markdown
    assert "| multimodal_rl | 60 | 75.0 % | 0.200 | 0 | 1 |" in markdown
    assert "| text_rl | 40 | 75.0 % | 0.200 | 0 | 1 |" in markdown
    # A stage that an older version ran has logged no such thing.
    path = folders["text_rl"] / "metrics.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        del line["real_draw"], line["refill_rounds"]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert "| text_rl | 40 | – | – | 0 | 1 |" in render(run, folders).markdown


def test_validation_is_plotted_where_there_is_one(made_up_run) -> None:
    run, folders = made_up_run
    assert "Validation accuracy" not in render(run, folders).markdown
    path = folders["text_rl"] / "metrics.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        is_due = line["step"] % 10 == 0
        line["validation_accuracy"] = line["step"] / 100 if is_due else None
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    page = render(run, folders)
    assert "text_rl goes from 0.100 to 0.400 in 4 steps" in page.markdown
    assert "| text_rl | Validation accuracy | 40 | 0.100 | 0.400 | 0.100 | 0.400 | 36 |" in (
        page.markdown
    )


def test_headline_figures_are_those_of_the_scores(made_up_run) -> None:
    html, markdown = render(*made_up_run)
    sentence = re.search(r"pocket_text \+70.0 \((.*?)\); pocket_multimodal \+25.0 \((.*?)\)", html)
    assert sentence is not None and sentence.group() in markdown
    # 70 (25) of 100 problems gained and none was lost, so the resampled gain is binomial.
    for bounds, share in zip(sentence.groups(), (0.70, 0.25), strict=True):
        expected = binom.ppf([0.025, 0.975], 100, share)
        assert [float(bound) for bound in bounds.split(" to ")] == pytest.approx(expected, abs=1.5)
    assert "| cold_start | +50.0" in markdown
    assert "3 of 3 stages earned their place: cold_start, multimodal_rl, text_rl." in markdown
    assert "| pocket_text | text_rl | accuracy | 90.0 % | 84.1 to 95.9 | 100 | – |" in markdown


def test_a_stage_that_lost_or_showed_nothing_is_not_praised(made_up_run) -> None:
    run, folders = made_up_run
    path = folders["evaluate"] / "predictions.parquet"
    predictions = pd.read_parquet(path)
    lost = (predictions["policy"] == "text_rl") & (predictions["benchmark"] == "pocket_text")
    predictions.loc[lost, "outcome"] = "wrong"
    predictions.to_parquet(path)
    _edit_score(folders["evaluate"], "pocket_text", "text_rl", value=0.0, low=0.0, high=0.04)
    markdown = render(run, folders).markdown
    assert "2 of 3 stages earned their place: cold_start, multimodal_rl." in markdown
    assert re.search(r"\| text_rl \| −72\.0 .*\| no, it lost on pocket_text \|", markdown)


def test_no_interval_is_claimed_for_a_score_that_is_no_plain_mean(made_up_run) -> None:
    run, folders = made_up_run
    _edit_score(folders["evaluate"], "pocket_text", "text_rl", value=0.5)
    evidence = gather(run, folders)
    found = gains(evidence, "multimodal_rl", "text_rl")[0]
    assert (found.benchmark, found.verdict, found.p) == ("pocket_text", "no interval", None)
    assert found.value == pytest.approx(-0.22)


def test_the_evaluations_own_interval_is_shown_where_there_is_one(made_up_run) -> None:
    path = made_up_run.folders["evaluate"] / "scores.json"
    content = json.loads(path.read_text())
    one = {"policy": "text_rl", "over": "base", "benchmark": "pocket_text", "points": 70.0}
    content["gains"] = [{**one, "low_points": 61.5, "high_points": 78.5}]
    path.write_text(json.dumps(content))
    assert "pocket_text +70.0 (+61.5 to +78.5)" in render(*made_up_run).markdown


def test_one_policy_alone_is_split_by_level_and_family(made_up_run) -> None:
    run, folders = made_up_run
    path = folders["evaluate"] / "scores.json"
    content = json.loads(path.read_text())
    content["scores"] = [one for one in content["scores"] if one["policy"] == "base"]
    path.write_text(json.dumps(content))
    report = render(run, folders)
    for row in ("| 1 | 10 | 100.0 % |", "| 3 | 10 | 0.0 % |", "| chain_even | 50 | 20.0 % |"):
        assert row in report.markdown
    assert "accuracy by level, base</figcaption>" in report.html


def test_an_interval_alone_makes_no_verdict_where_holms_p_is_large() -> None:
    """Six of 100 gained: p is 0.031, and 0.31 of ten benchmarks that are compared at once."""
    one = Difference("b", "base", "rl", 0.06, 0.02, 0.11, p=2 * 0.5**6)
    others = [replace(one, p=1.0)] * 9
    assert one.verdict == "up" and corrected([one, *others])[0].verdict == "not shown"
    for bounds in ((0.02, 0.11), (-0.11, -0.02)):  # no answers at hand
        unknown = replace(one, low=bounds[0], high=bounds[1], p=None)
        assert unknown.verdict == "not shown"


@pytest.mark.parametrize("lacking", [{"failures": {"time-out": 3}}, {"findings": {"failed": 3}}])
def test_questions_without_a_response_are_no_loss(made_up_run, lacking) -> None:
    run, folders = made_up_run
    _edit_score(folders["evaluate"], "pocket_text", "text_rl", **lacking)
    texts, pictures = gains(gather(run, folders), "multimodal_rl", "text_rl")
    reason = "answers that did not come: text_rl lacks 3"
    assert texts == Refused("pocket_text", reason) and pictures.verdict == "not shown"
    assert "text_rl on pocket_text: 3 answer(s) did not come" in render(run, folders).html


def test_p_is_mcnemars_with_holms_correction_over_the_benchmarks(made_up_run) -> None:
    """multimodal_rl to text_rl: 18 problems gained on texts, 1 on pictures, none lost."""
    texts, pictures = gains(gather(*made_up_run), "multimodal_rl", "text_rl")
    assert texts.p == pytest.approx(2 * 2 * 0.5**18) and pictures.p == 1.0
    rows = render(*made_up_run).markdown.splitlines()
    row = next(one for one in rows if one.startswith("| text_rl | +18.0"))
    assert [re.search(", p (.*)", cell)[1] for cell in row.split(" | ")[1:3]] == [
        r"\< 0.001",
        "1.000",
    ]


def test_samples_are_drawn_by_seed_and_hold_wrong_answers(made_up_run) -> None:
    folders = made_up_run.folders
    predictions = pd.read_parquet(folders["evaluate"] / "predictions.parquet")
    rows = predictions[predictions["benchmark"] == "pocket_text"]
    final = rows[rows["policy"] == "text_rl"].set_index("problem_id")["outcome"]
    draws = {tuple(choose(rows, "text_rl", 4, f"{seed}")) for seed in range(20)}
    for outcome_is_right in (True, False):  # 90 were right, 10 were not: both halves are drawn
        chosen = {one for draw in draws for one in draw}
        assert sum((final[one] == "right") == outcome_is_right for one in chosen) > 5
    for draw in draws:
        assert sum(final[one] == "right" for one in draw) == 2 and len(set(draw)) == 4
    assert choose(rows, "text_rl", 4, "7") == choose(rows, "text_rl", 4, "7")
    assert (
        len(choose(rows[final.loc[rows["problem_id"]].to_numpy() == "right"], "text_rl", 4, "7"))
        == 4
    )


def test_every_policy_answers_the_same_problem_beside_its_image(made_up_run) -> None:
    html = render(*made_up_run).html
    articles = re.findall(r'<article class="sample">.*?</article>', html, re.S)
    assert len(articles) == 8
    for article in articles:
        policies = re.findall(r"<h4>(\w+) <span", article)
        assert policies == ["base", "cold_start", "multimodal_rl", "text_rl"]
        assert ("data:image/png;base64," in article) == ("pocket_multimodal" in article)


def test_the_same_run_renders_to_the_same_bytes(made_up_run) -> None:
    assert render(*made_up_run) == render(*made_up_run)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(hostile_run: Callable[[str], object], text: str) -> None:
    html, markdown = render(*hostile_run(text))
    page = Page(html)
    assert not {tag for tag, _ in page.elements} & {"script", "iframe"}
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    images = [attributes["src"] for tag, attributes in page.elements if tag == "img"]
    assert images and all(str(one).startswith("data:image/png;base64,") for one in images)
    for picture in re.findall(r"<svg.*?</svg>", html, re.S):
        ET.fromstring(picture)
    assert not re.search("[\x00-\x08\x1b\u202a-\u202e\u2066-\u2069]", html + markdown)
    _outside_code_nothing_is_markup(markdown)


def _outside_code_nothing_is_markup(markdown: str) -> None:
    fence = ""
    for line in markdown.splitlines():
        mark = re.match("`{3,}", line)
        if fence:
            fence = "" if line == fence else fence
        elif mark:
            fence = mark.group()
        else:
            assert not re.search(r"(?<!\\)<(?!br>)", line)
            assert not re.search(r"(?<!\\)\]\(", line)
            assert not line.startswith("# heading")
    assert fence == ""


def test_a_tables_cells_cannot_add_columns(hostile_run) -> None:
    markdown = render(*hostile_run("a | b")).markdown
    lines = [line for line in markdown.splitlines() if line.startswith("| ")]
    for before, after in pairwise(lines):
        if re.fullmatch(r"[| :-]+", after):
            width = len(re.findall(r"(?<!\\)\|", before))
            assert len(re.findall(r"(?<!\\)\|", after)) == width
    assert "rows in cold_starta \\| b" in markdown


def test_secrets_never_appear(made_up_run) -> None:
    report = render(*made_up_run)
    for text in report:
        assert "hunter2" not in text and "c0ffee" not in text
        assert "store/revisual/evaluate" in text and "(secret, not shown)" in text
        assert "max_response_tokens" in text


def test_everything_about_provenance_is_there(made_up_run) -> None:
    run, folders = made_up_run
    html, markdown = render(run, folders)
    for stage in run.stages:
        assert stage.artifact.sha256 in html and stage.artifact.sha256 in markdown
    assert "| pocket-text | selection | not selected | 300 |" in markdown
    assert "900 rows came in; 600 went into sets and 300 were left out" in markdown
    assert "0.1.0+g1a2b3c4" in html and "gate warned" in html
    expected = "| gain, pocket_multimodal | 0.25 | at least 0.3 | – | – | only warns | failed |"
    assert expected in markdown
    assert "| evaluation | warned | 2 | gain, pocket_multimodal |" in markdown
    assert "<summary>Checks of gate curation</summary>" in html  # passed: folded
    assert "<caption>Checks of gate evaluation</caption>" in html
    assert "Nothing: every file was found." in markdown


def test_a_persons_decision_about_a_gate_is_shown(made_up_run) -> None:
    run, folders = made_up_run
    decided = datetime(2026, 11, 22, 19, 0, tzinfo=UTC)
    decision = GateDecision(verdict="released", reason="a known | source", decided=decided)
    gate = run.gates[1].model_copy(update={"severity": "error", "decision": decision})
    html, markdown = render(run.model_copy(update={"gates": (run.gates[0], gate)}), folders)
    said = "A person released the gate evaluation on 2026-11-22 19:00:00+00:00: a known"
    assert said in html and said in markdown
    assert "| evaluation | released | 2 | gain, pocket_multimodal |" in markdown
    assert "gate released" in html and "gate failed" not in html


def test_what_is_missing_is_said(made_up_run) -> None:
    run, folders = made_up_run
    (folders["multimodal_rl"] / "metrics.jsonl").unlink()
    (folders["cold_start"] / "metrics.jsonl").write_text('{"loss": 1}\n')
    (folders["evaluate"] / "predictions.parquet").write_bytes(b"PAR1 no")
    (folders["evaluate"] / "problems.parquet").unlink()
    del folders["text_rl"]
    markdown = render(run, folders).markdown.split("## What is missing")[1]
    assert "Stage multimodal_rl: its artifact holds no metrics.jsonl." in markdown
    assert "Stage cold_start: metrics.jsonl cannot be read (line 1 is no JSON object" in markdown
    assert "Stage evaluate: predictions.parquet cannot be read" in markdown
    assert "Stage text_rl: its artifact is not at hand" in markdown


def test_a_run_that_died_in_its_first_stage_still_has_a_report(made_up_run) -> None:
    run, _ = made_up_run
    html, markdown = render(run.model_copy(update={"stages": (), "gates": ()}), {})
    for name in ("curate", "cold_start", "multimodal_rl", "text_rl", "evaluate"):
        assert re.search(rf"Stage {name} \(\w+\) did not finish\.", markdown)
    assert html.count('class="box absent"') == 5
    assert "No evaluation finished" in html


def test_steps_without_a_value_are_gaps_and_counted(made_up_run) -> None:
    run, folders = made_up_run
    path = folders["cold_start"] / "metrics.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[10]["loss"] = None  # what the log writes for a value that is not finite
    rows[20]["loss"] = float("nan")
    del rows[30]["loss"]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    html, markdown = render(run, folders)
    assert "| cold_start | Loss | 120 |" in markdown
    assert re.search(r"\| cold_start \| Loss \| 120 \|.*\| 3 \|", markdown)
    assert html.split('<section id="sft">')[1].split("</section>")[0].count("<path") == 4


def test_size_stays_below_two_megabytes_with_large_images_and_long_answers(made_up_run) -> None:
    run, folders = made_up_run
    path = folders["evaluate"] / "predictions.parquet"
    predictions = pd.read_parquet(path)
    predictions["response"] = "a" * 50_000
    predictions.to_parquet(path)
    problems = pd.read_parquet(folders["evaluate"] / "problems.parquet")
    png = problems["images"][0][0]["bytes"]
    sizes = [79_000 if number % 2 else 81_000 for number in range(len(problems))]
    problems["images"] = [[{"bytes": png.ljust(size, b"\0"), "path": None}] for size in sizes]
    problems.to_parquet(folders["evaluate"] / "problems.parquet")
    html = render(run, folders).html
    assert len(html.encode()) < 2_000_000
    assert "too large to embed (81 kB)" in html and "characters are not shown" in html


def _edit_score(folder: Path, benchmark: str, policy: str, **values: float) -> None:
    path = folder / "scores.json"
    content = json.loads(path.read_text())
    for score in content["scores"]:
        if (score["benchmark"], score["policy"]) == (benchmark, policy):
            score.update(values)
    path.write_text(json.dumps(content))
