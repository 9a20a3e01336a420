"""The datasheet of a curation whose figures are known by hand."""

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from report.datasheet import datasheet, length_bins, licences
from report.svg_counts import point_map
from training.curation.account import GRADED_FEATURES
from training.records import write_problems
from training.tables import write_rows

HOSTILE = "</pre><script>alert(1)</script><img src=http://evil.example/x>"
RECIPE = {
    "sources": [
        {"name": "math", "kind": "parquet", "dataset": "limo"},
        {"name": "made", "kind": "pocket", "dataset": None},
        {"name": "mine", "kind": "csv", "dataset": None},
    ]
}


def drawn_problem(hostile):
    buffer = io.BytesIO()
    Image.new("RGB", (30, 20), "white").save(buffer, "PNG")
    texts = dict.fromkeys(("source", "family", "template", "answer"), "s")
    return {
        "id": "p1",
        **texts,
        "modality": "multimodal",
        "level": 3,
        "question": "How many?" + hostile,
        "images": [{"bytes": buffer.getvalue(), "path": None}],
        "solution": None,
        "reading": None,
        "pass_rate": 0.5,
    }


@pytest.fixture
def curated(tmp_path):
    """120 graded problems, of which 40 are in a set: a third of each of the topics."""

    def write(hostile=""):
        names = ["hens, cows" + hostile, "trains", "other"]
        rows = [
            {
                "id": f"p{n}",
                "source": "math" if n % 2 else "made",
                "modality": "text",
                "family": "f",
                "topic": names[n % 3],
                "level": n % 10 + 1,
                "pass_rate": n % 5 / 4,
                "question_characters": 10 + n,
                "solution_characters": None if n % 2 else 500,
                "x": float(n),
                "y": float(-n),
                "set": "train" if n < 40 else None,
            }
            for n in range(120)
        ]
        write_rows(rows, GRADED_FEATURES, tmp_path / "graded.parquet")
        write_problems([drawn_problem(hostile)], tmp_path / "examples.parquet")
        made = {"num_problems": 40, "shortfall": 10, "by_family": {}, "by_level": {}}
        summary = {
            "rows_in": 200,
            "rows_in_sets": 40,
            "rows_rejected": 160,
            "sources": {"math": 130, "made": 60, "mine": 7, "bought": 3},
            "rejected": {
                "math": {
                    "verifiability": {"asks for a proof": 70},
                    "selection": {"not selected": 37},
                    "decontamination": {"question of a benchmark": 3},
                },
                "made": {"selection": {"not selected": 40}},
                "mine": {"sources" + hostile: {"broken": 7}},
                "bought": {"sources": {"broken": 3}},
            },
            "benchmark_questions": {
                "question of a benchmark": {"math-500: a: 1" + hostile: 1, "math-500: b": 2}
            },
            "number_variants": {"math-500": 4},
            "sets": {"train": made},
            "topics": {
                "num_topics": 2,
                "clustered": 100,
                "clustered_noise": 30,
                "assigned": 10,
                "by_topic": {names[0]: 40, "trains": 40, "other": 40},
            },
        }
        (tmp_path / "summary.json").write_text(json.dumps(summary))
        return tmp_path

    return write


def test_figures_known_by_hand(curated):
    html, markdown = datasheet("pocket-1", curated(), RECIPE)
    for told in (
        "200 rows came in: 40 went into sets, 160 were left out, each with its reason.",
        "Sets fell short of what was asked for: train by 10.",
        "| math | apache-2.0 | 130 | 20 | 110 |",
        "| made | generated here | 60 | 20 | 40 |",
        "| mine | not known | 7 | 0 | 7 |",
        "| apache-2.0 | 130 | 20 | 110 |",
        "| not known | 10 | 0 | 10 |",
        "| selection | not selected | 77 |",
        "Rows were left out for 2 questions of benchmarks. Rows that differ from a question in "
        "their numbers alone: 4 of math-500.",
        "| math-500 | b | question of a benchmark | 2 |",
        "| math-500 | a: 1 | question of a benchmark | 1 |",
        "| verifiability | asks for a proof | 70 |",
        "| 1 | 4 | 8 | 12 |",  # level 1
        "| 0.8 | 8 | 16 | 24 |",  # 0.75, to the nearest tenth
        "| trains | 40 | 13 | 27 | 50.0 % | 5.5 |",
        "2 topics were found among 100 problems, of which 30 lie in none; 10 further",
        "33.3 % of all problems are in no topic",
        "Median 500 characters, longest 500.",
    ):
        assert told in markdown, told
    assert html.count("<svg") == 5 and "data:image/png;base64," in html
    assert "http://" not in html.replace("http-equiv", "")


def test_what_is_to_be_known_of_the_sources_is_told_with_the_rows(curated):
    remark = "The source math does not read 1 file(s): 'b.txt'"
    html, markdown = datasheet("pocket-1", curated(), RECIPE, remarks=[remark])
    assert f"{remark}." in markdown and "does not read 1 file(s)" in html


def named(folder, names):
    """A curation whose topics a model was asked to name."""
    summary = json.loads((folder / "summary.json").read_text())
    (folder / "summary.json").write_text(json.dumps(summary | {"topic_names": names}))
    return folder


def test_a_models_names_stand_beside_the_topics_and_what_keeps_its_keywords_is_told(curated):
    given, faults = {"hens, cows": "Farm"}, {"trains": "several lines"}
    names = {"model": "namer", "names": given, "faults": faults}
    _, markdown = datasheet("pocket-1", named(curated(), names), RECIPE)
    assert "| hens, cows | Farm | 40 |" in markdown and "| trains | trains | 40 |" in markdown
    assert "1 of 2 topics keep their keywords" in markdown and "(1: several lines)" in markdown


def test_nothing_that_others_wrote_is_markup(curated):
    names = {"model": HOSTILE, "names": {"trains": HOSTILE}, "faults": {"hens": HOSTILE}}
    html, _ = datasheet("pocket-1", named(curated(HOSTILE), names), RECIPE)
    assert "<script" not in html and "<img src=http" not in html


def test_rows_left_out_are_told_in_the_order_of_the_recipes_steps(curated):
    """The first source lacks some steps; within one the most frequent reason comes first."""
    summary = json.loads((folder := curated()).joinpath("summary.json").read_text())
    summary["rejected"] = {
        "math": {"selection": {"not selected": 9}, "older step": {"gone": 99}},
        "made": {
            "my:rule": {"money": 1, "cars": 2},
            "verifiability": {"asks for a proof": 3},
            "sources": {"broken": 1},
            "difficulty": {"no answer was verified": 2},
        },
    }
    (folder / "summary.json").write_text(json.dumps(summary))
    recipe = RECIPE | {"curation": {"steps": ["verifiability", "my:rule"]}}
    lines = datasheet("pocket-1", folder, recipe).markdown.splitlines()
    head = lines.index("| step | rows |")
    assert lines[head + 2 : head + 8] == [
        "| sources | 1 |",
        "| verifiability | 3 |",
        "| my:rule | 3 |",
        "| difficulty | 2 |",
        "| selection | 9 |",
        "| older step | 99 |",
    ]
    head = lines.index("| step | reason | rows |")
    assert lines[head + 2 : head + 9] == [
        "| sources | broken | 1 |",
        "| verifiability | asks for a proof | 3 |",
        "| my:rule | cars | 2 |",
        "| my:rule | money | 1 |",
        "| difficulty | no answer was verified | 2 |",
        "| selection | not selected | 9 |",
        "| older step | gone | 99 |",
    ]


def test_no_reason_source_or_topic_is_missing_without_a_word(curated):
    folder = curated()
    summary = json.loads((folder / "summary.json").read_text())
    own = {f"reason {n}": 1 for n in range(1000)}
    summary["rejected"] = {
        f"s{n}": {"rules:mine": own, "verifiability": {"asks for a proof": 1}} for n in range(250)
    }
    (folder / "summary.json").write_text(json.dumps(summary))
    graded = pq.read_table(folder / "graded.parquet").to_pylist()
    rows = [{**row, "id": f"p{n}", "topic": f"t{n}"} for n, row in enumerate([*graded, *graded])]
    write_rows(rows, GRADED_FEATURES, folder / "graded.parquet")
    told = datasheet("pocket-1", folder, RECIPE).markdown
    assert "| verifiability | asks for a proof | 250 |" in told
    assert "| rules:mine | 950 other reasons; summary.json has all | 237500 |" in told
    assert "| s249 | verifiability | asks for a proof | 1 |" in told
    assert "| s249 | rules:mine | 950 other reasons; summary.json has all | 950 |" in told
    assert "The table has the 200 largest of 240, graded.parquet all." in told


def with_column(path, name, values):
    table = pq.read_table(path)
    column = pa.array(values * table.num_rows)
    pq.write_table(table.set_column(table.column_names.index(name), name, column), path)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda f: pq.write_table(pa.table({"id": ["a"]}), f / "graded.parquet"), "source"),
        (lambda f: with_column(f / "graded.parquet", "level", ["many"]), "many"),
        (lambda f: with_column(f / "graded.parquet", "topic", [None]), "topic lacks 120 value"),
        (lambda f: with_column(f / "graded.parquet", "x", [float("nan")]), "have to be numbers"),
        (lambda f: with_column(f / "examples.parquet", "images", [None]), "images lacks 1 value"),
        (lambda f: with_column(f / "examples.parquet", "question", [None]), "question lacks 1"),
        (lambda f: (f / "examples.parquet").unlink(), "examples.parquet"),
        (lambda f: (f / "summary.json").write_text("{}"), "Summary"),
    ],
)
def test_files_that_cannot_be_read_are_told(curated, spoil, why):
    folder = curated()
    spoil(folder)
    html, markdown = datasheet("pocket-1", folder, RECIPE)
    assert "files cannot be read" in html and why in markdown


def test_a_fault_of_the_page_itself_is_no_fault_of_the_files(curated, monkeypatch):
    monkeypatch.setattr("report.datasheet.bar_chart", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        datasheet("pocket-1", curated(), RECIPE)


def test_a_known_data_set_has_its_licence_and_nobody_guesses_one():
    assert licences(RECIPE) == {
        "math": "apache-2.0",
        "made": "generated here",
        "mine": "not known",
    }
    assert licences({}) == {}


def test_lengths_are_counted_up_to_powers_of_two():
    assert length_bins([5, 8, 9, 64]) == [("8", 2.0), ("16", 1.0), ("32", 0.0), ("64", 1.0)]
    assert length_bins([0]) == [("1", 1.0)]


def test_a_map_of_one_point_or_none_is_drawn():
    assert "<circle" in point_map("t", "d", [(0.0, 0.0, "a")], {"a": 1})
    assert "no point" in point_map("t", "d", [], {})
