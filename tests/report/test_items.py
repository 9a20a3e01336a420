"""The item browser: its data are whole, its texts are cut fairly, and nothing in it can run.

Where Chromium is installed it also opens the page and prints the document that its script made.
"""

import html
import json
import re
import subprocess
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from report import items
from report.evidence import gather
from report.items import fair_limit, halves, script_safe, write_items
from report.samples import sample_answers
from report.text import cut
from report.write_markdown import markdown_section
from tests.browser import CHROMIUM, needs_chromium

IMAGES = "items-images"
HOSTILE = (
    "</script><script>document.title='ran'</script><!--<script>"
    '"><img src=x onerror="document.title=\'ran\'"> \u202e\u200b\x00\u2028 ${7*7} \\u003c'
)


@pytest.fixture
def write(tmp_path):
    """Writes a made-up run's page, and returns its data."""

    def written(made_up) -> dict:
        run, folders = made_up
        assert write_items(run, gather(run, folders), tmp_path)
        return data_of(tmp_path / items.PAGE)

    return written


def data_of(page: Path) -> dict:
    text = page.read_text(encoding="utf-8")
    return json.loads(text.split('id="data">')[1].split("</script>")[0])


def edit(made_up, change) -> None:
    path = made_up.folders["evaluate"] / "predictions.parquet"
    change(pd.read_parquet(path)).to_parquet(path)


def opened(page: Path, address: str = "") -> str:
    """The document after its script has run; fails on anything in the browser's console."""
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr")
    profile = f"--user-data-dir={page.parent / 'profile'}"
    command = [CHROMIUM, *options, profile, "--dump-dom", f"{page.as_uri()}#{address}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert "CONSOLE" not in done.stderr
    return done.stdout


def part(document: str, element: str) -> str:
    return re.search(rf'<(\w+)[^>]* id="{element}"[^>]*>(.*?)</\1>', document, re.S)[2]


def test_every_item_has_every_policys_answer(made_up_run, write) -> None:
    data = write(made_up_run)
    assert data["policies"] == ["base", "cold_start", "multimodal_rl", "text_rl"]
    assert len(data["items"]) == 200 and len(data["images"]) == 100
    for benchmark, right in (("pocket_text", [20, 70, 72, 90]), ("pocket_multimodal", [30, 28])):
        rows = [one["answers"] for one in data["items"] if one["benchmark"] == benchmark]
        counted = [sum(one[n]["right"] for one in rows) for n in range(4)]
        assert counted[: len(right)] == right
    item = data["items"][7]
    assert (item["id"], item["level"], item["reference"]) == ("pocket_text/7", 1, "12")
    assert item["images"] == [] and len(data["items"][107]["images"]) == 1
    assert item["answers"][0]["shown"] == [
        {
            "number": 1,
            "note": "",
            "outcome": "right",
            "tokens": 24,
            "truncated": False,
            "text": "<think>7 + 2 = 9</think>\nSo \\boxed{12}",
        }
    ]


def test_how_an_answer_was_read_and_why_there_is_none_is_said(made_up_run, write) -> None:
    def noted(rows):
        columns = ["extracted", "judged_by", "failure"]
        rows = rows.assign(**dict(zip(columns, ("11", "rule", None), strict=True)))
        rows.loc[rows.index[7], columns] = ["12", "judge", None]
        rows.loc[rows.index[8], columns] = [None, "rule", "time-out"]
        rows.loc[rows.index[9], columns] = [None, "rule", None]
        return rows

    edit(made_up_run, noted)
    shown = [one["answers"][0]["shown"][0]["note"] for one in write(made_up_run)["items"][6:10]]
    assert shown == [
        "read as “11” by the rule",
        "read as “12” by the judge",
        "no response: time-out",
        "no answer found in it",
    ]
    told = sample(made_up_run, "pocket_text/7")  # the base's, and three others
    assert (told.count("read as “12” by the judge"), told.count("read as “11”")) == (1, 3)


def sample(made_up, problem_id: str) -> str:
    """The sample answers of a run in which nothing but that problem was asked."""
    run, folders = made_up
    evidence = gather(run, folders)
    rows = evidence.predictions[evidence.predictions["problem_id"] == problem_id]
    return markdown_section(sample_answers(run, replace(evidence, predictions=rows)))


def test_what_was_asked_is_shown_with_its_choices(made_up_run, write) -> None:
    def asked(rows):
        number = rows["problem_id"].str.rpartition("/")[2]
        prompt = "Hint: name the letter.\n" + rows["question"] + "\nA. 12\nB. " + number
        return rows.assign(prompt=prompt.where(number != "8", None))

    edit(made_up_run, asked)
    first, old = write(made_up_run)["items"][7:9]
    assert first["question"] == "Hint: name the letter.\nWhat is 7 + 2 + 3?\nA. 12\nB. 7"
    assert first["start"] == "What is 7 + 2 + 3?"  # in the list, where all hints are alike
    assert old["question"] == "What is 8 + 2 + 3?" and "start" not in old
    assert "A. 12\nB. 7\n" in sample(made_up_run, "pocket_text/7")


def test_right_and_other_answers_of_many_are_shown(made_up_run, write, tmp_path) -> None:
    def thirty_two(rows):
        again = pd.concat([rows.assign(sample=number) for number in range(32)])
        right = (again["sample"] >= 31) & (again["problem_id"] == "pocket_text/0")
        return again.assign(outcome=right.map({True: "right", False: "wrong"}))

    edit(made_up_run, thirty_two)
    first = write(made_up_run)["items"][0]
    given = first["answers"][0]
    assert (given["right"], given["count"]) == (1, 32)
    told = [(answer["number"], answer["outcome"]) for answer in given["shown"]]
    assert told == [(1, "wrong"), (2, "wrong"), (3, "wrong"), (32, "right")]
    # All of them are on the benchmark's own page, which knows its way back.
    assert first["page"] == "1-pocket_text.items.html"
    own = data_of(tmp_path / first["page"])["items"]
    assert len(own) == 100 and "page" not in own[0]
    assert [one["number"] for one in own[0]["answers"][0]["shown"]] == list(range(1, 33))
    assert '<a href="items.html">' in (tmp_path / first["page"]).read_text()


@given(st.lists(st.integers()), st.lists(st.integers()), st.integers(0, 9))
def test_halves_take_as_many_as_there_are(first, second, count) -> None:
    some, others = halves(first, second, count)
    assert some == first[: len(some)] and others == second[: len(others)]
    assert len(some) + len(others) == min(count, len(first) + len(second))
    assert len(some) >= min(len(first), count // 2) and len(others) >= min(len(second), count // 2)


def test_where_all_do_not_fit_each_benchmark_has_a_page_with_more_room(
    made_up_run, write, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(items, "MAX_TEXT", 800 * 100)
    edit(made_up_run, lambda rows: rows.assign(response="a" * 150 + "\\boxed{5}"))
    first = write(made_up_run)["items"][0]
    (told,) = {one["shown"][0]["text"] for one in first["answers"]}
    assert told.startswith("a" * 33 + "\n[… 59 ") and told.endswith("a" * 58 + "\\boxed{5}")
    own = data_of(tmp_path / first["page"])["items"][0]["answers"][0]["shown"][0]["text"]
    assert own == "a" * 150 + "\\boxed{5}"
    monkeypatch.undo()
    write(made_up_run)
    assert not list(tmp_path.glob("1-*"))


def test_levels_are_the_benchmarks_own(made_up_run, write) -> None:
    levels = [0, 100, -3, 11]
    edit(made_up_run, lambda rows: rows.assign(level=[levels[n % 4] for n in range(len(rows))]))
    assert [one["level"] for one in write(made_up_run)["items"][:4]] == levels
    edit(made_up_run, lambda rows: rows.assign(level=2.5))
    assert {one["level"] for one in write(made_up_run)["items"]} == {None}


def test_answers_of_a_megabyte_are_never_in_memory_together(made_up_run) -> None:
    edit(made_up_run, lambda rows: rows[:200].assign(response="a" * 1_000_000 + "b"))
    tracemalloc.start()
    answers = gather(*made_up_run).predictions
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100e6  # of 200 MB
    assert set(answers["length"]) == {1_000_001} and answers["response"].str.endswith("ab").all()


def test_predictions_without_a_column_are_told(made_up_run) -> None:
    edit(made_up_run, lambda rows: rows.drop(columns=["family", "answer"]))
    told = gather(*made_up_run).missing
    assert any("cannot be read (it has no column family, answer)" in one for one in told)


def test_a_policy_that_was_not_asked_has_no_answer(made_up_run, write) -> None:
    def without_it(rows):
        return rows[(rows["problem_id"] != "pocket_text/3") | (rows["policy"] != "base")]

    edit(made_up_run, without_it)
    found = {one["id"]: one["answers"][0] for one in write(made_up_run)["items"]}
    assert found["pocket_text/3"] is None and found["pocket_text/4"] is not None


def test_an_answer_of_a_megabyte_is_cut_with_a_note(made_up_run, write, tmp_path) -> None:
    edit(made_up_run, lambda rows: rows.assign(response="a" * 1_000_000 + "\\boxed{5}"))
    text = write(made_up_run)["items"][0]["answers"][0]["shown"][0]["text"]
    assert text.startswith("aaa") and text.endswith("aaa\\boxed{5}")
    assert "[… 980009 characters are not shown …]" in text
    assert (tmp_path / items.PAGE).stat().st_size < 1.2 * items.MAX_TEXT + 1_000_000


def test_images_that_are_too_large_for_the_page_lie_beside_it(
    made_up_run, write, tmp_path, monkeypatch
) -> None:
    embedded = write(made_up_run)["images"]
    assert all(one.startswith("data:image/png;base64,") for one in embedded)
    assert not (tmp_path / IMAGES).exists()
    monkeypatch.setattr(items, "MAX_EMBEDDED_BYTES", 1000)
    beside = write(made_up_run)["images"]
    assert len(beside) == 100
    assert {tmp_path / one for one in beside} == set((tmp_path / IMAGES).iterdir())
    monkeypatch.undo()
    write(made_up_run)
    assert not (tmp_path / IMAGES).exists()


@pytest.mark.parametrize("image", [None, b"<svg onload='alert(1)'/>"])
def test_what_is_no_image_is_not_shown(made_up_run, write, image) -> None:
    path = made_up_run.folders["evaluate"] / "problems.parquet"
    problems = pd.read_parquet(path)
    problems["images"] = [[{"bytes": image, "path": None}] for _ in range(len(problems))]
    problems.to_parquet(path)
    data = write(made_up_run)
    assert data["images"] == [] and data["items"][107]["images"] == []
    assert data["items"][107]["image_note"] == "An image is missing, or none that browsers show."


def test_without_predictions_there_is_no_page(made_up_run, tmp_path) -> None:
    run, folders = made_up_run
    (tmp_path / items.PAGE).write_text("of an earlier report")
    (folders["evaluate"] / "predictions.parquet").unlink()
    assert not write_items(run, gather(run, folders), tmp_path)
    assert not (tmp_path / items.PAGE).exists()


@given(st.lists(st.integers(0, 500), min_size=1), st.integers(0, 5000))
def test_the_fair_limit_is_the_largest_that_keeps_the_budget(lengths, budget) -> None:
    limit = fair_limit(lengths, budget)
    assert sum(min(length, limit) for length in lengths) <= budget
    longer = sum(min(length, limit + 1) for length in lengths)
    assert longer > budget or limit == max(lengths)


@given(st.text(), st.integers(0, 30))
def test_a_cut_text_keeps_both_ends(text, limit) -> None:
    shown = cut(text, limit)
    if len(text) <= limit:
        assert shown == text
    else:
        head, tail = re.split(r"\n\[… \d+ characters are not shown …\]\n", shown, maxsplit=1)
        assert len(head) + len(tail) == limit
        assert text.startswith(head) and text.endswith(tail)


@given(st.text())
def test_json_in_a_script_has_no_markup_and_reads_back(text) -> None:
    written = script_safe({"text": text})
    assert not set("<>&") & set(written) and json.loads(written) == {"text": text}


@needs_chromium
@pytest.mark.slow
def test_the_browser_filters_and_shows_what_the_address_asks_for(
    made_up_run, write, tmp_path
) -> None:
    write(made_up_run)
    page = tmp_path / items.PAGE
    document = opened(page)
    assert part(document, "count") == "200 of 200 items"
    assert part(document, "position") == "page 1 of 4"
    # Texts: 70 of 100 right after the cold start, 72 then: two gained, problems 70 and 71.
    asked = "benchmark=pocket_text&from=1&to=2&change=better&item=pocket_text+pocket_text%2F71"
    document = opened(page, asked)
    assert part(document, "count") == "2 of 200 items"
    assert re.findall(r'aria-label="(pocket_text/\d+):', document) == [
        "pocket_text/70",
        "pocket_text/71",
    ]
    shown = part(document, "item")
    assert "What is 71 + 2 + 3?" in shown and "<strong>76</strong>" in shown
    assert re.findall(r"<h3>(\w+) </h3><p class=\"(\w+)\">", shown) == [
        ("base", "bad"),
        ("cold_start", "bad"),
        ("multimodal_rl", "good"),
        ("text_rl", "good"),
    ]
    for address, count in (
        ("policy0=right", 50),
        ("policy0=wrong&policy3=right", 95),
        ("family=bars_even", 50),
        ("level=3&benchmark=pocket_text", 10),
        ("from=0&to=1&change=worse", 2),
        ("search=WHAT IS 71 %2B", 2),
        ("search=nowhere", 0),
        ("benchmark=none", 200),
    ):
        assert part(opened(page, address), "count") == f"{count} of 200 items", address
    # Asked in two ways, with two references, it is two items, each with an address.
    alike = "pocket_text/7"
    edit(made_up_run, lambda rows: pd.concat([rows, rows[rows["problem_id"] == alike]]))
    edit(
        made_up_run, lambda rows: rows.assign(answer=rows["answer"].where(~rows.duplicated(), "?"))
    )
    write(made_up_run)
    document = opened(page, "item=pocket_text+pocket_text%2F7&way=2")
    assert "<strong>?</strong>" in part(document, "item")
    assert part(document, "count") == "201 of 201 items"


@needs_chromium
@pytest.mark.slow
def test_hostile_text_runs_nothing_in_the_browser(hostile_run, write, tmp_path) -> None:
    write(hostile_run(HOSTILE.replace("\x00", "")))
    page = tmp_path / items.PAGE
    document = opened(page)
    assert "<title>Items of run pocket-seed-3</title>" in document
    body = document.split("<body>")[1]
    assert len(re.findall("<script", body)) == 2 and '<img src="x"' not in body
    question = html.unescape(re.search("<pre>(.*?)</pre>", part(document, "item"), re.S)[1])
    assert question.startswith("What is 0 + 2 + 3?</script><script>document.title='ran'")
    assert "\\u202e\\u200b" in question and not re.search("[\u202e\u200b\u2028]", body)


@needs_chromium
@pytest.mark.slow
def test_images_beside_the_page_are_loaded(made_up_run, write, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(items, "MAX_EMBEDDED_BYTES", 1000)
    write(made_up_run)
    document = opened(tmp_path / items.PAGE, "benchmark=pocket_multimodal")
    assert re.search(rf'<img src="{IMAGES}/\w+\.png"', part(document, "item"))
