"""Raw rows: each rule is broken alone, over parts as over one table, and memory stays small."""

import pytest

from data_checks import raw
from data_checks.frames import rejects_frame
from data_checks.gate import GateError, check_curation
from data_checks.raw import Seen, raw_parts
from tests.data_checks.conftest import png, problem
from training.curation.kept import check_kept
from training.curation.refused import Refused
from training.curation.step import Reject, write_rejects
from training.recipe.recipe import parse_recipe

SETS = ("cold", "seeing")
# What is changed of one of three rejects -> the checks of raw rows that must fail, and no other.
FAULTS = {
    "no question": ({"question": " \n"}, "raw question"),
    "a long question": ({"question": "x" * 61}, "raw question length"),
    "no answer": ({"answer": ""}, "raw answer"),
    "a long answer": ({"answer": "1" * 21}, "raw answer length"),
    "another modality": ({"modality": "multimodal"}, "raw modality"),
    "a picture": ({"images": [{"bytes": png(1), "path": None}]}, "raw images"),
}


@pytest.fixture
def _parts(monkeypatch):
    """Of four rows or a few more."""
    monkeypatch.setattr(raw, "PART_ROWS", 4)
    monkeypatch.setattr(raw, "_BATCH_ROWS", 4)


def gated(values, **changes):
    bounds = {"raw_share": 1.0, "max_question_characters": 60, "max_answer_characters": 20}
    values["gates"]["curation"] |= bounds | {"max_images": 1, "max_rejects": 0.9} | changes
    return parse_recipe(values, where="test")


def rejects():
    return [problem("cold", 900 + number) for number in range(3)]


def failures(error):
    return {check.name: check for check in error.value.record.failed}


@pytest.mark.parametrize("part_rows", [raw.PART_ROWS, 4])
def test_each_faulty_row_breaks_its_expectation_and_is_named(
    part_rows, recipe_values, sound_sets, write_curated, monkeypatch
):
    monkeypatch.setattr(raw, "PART_ROWS", part_rows)
    monkeypatch.setattr(raw, "_BATCH_ROWS", part_rows)
    changes = [change for change, _ in FAULTS.values()]
    dropped = [problem("cold", 900 + number, **one) for number, one in enumerate(changes)]
    with pytest.raises(GateError) as caught:
        check_curation(gated(recipe_values), write_curated(sound_sets, rejects=dropped))
    found = failures(caught)
    of_row = {name: row["id"] for row, (_, name) in zip(dropped, FAULTS.values(), strict=True)}
    assert found.keys() == {f"raw rows, text-source: {name}" for name in of_row}
    for name, id_ in of_row.items():
        check = found[f"raw rows, text-source: {name}"]
        assert (check.num_broken, check.first_ids) == (1, (id_,))
        assert check.observed == "1 of 14 rows break it"


@pytest.mark.usefixtures("_parts")
def test_a_share_of_the_rows_is_that_of_all_parts(recipe_values, sound_sets, write_curated):
    """Two of eleven rows, which stand in one part: 82 % are met, and of the part none."""
    dropped = rejects()
    for row in dropped[:2]:
        row["answer"] = ""
    folder = write_curated(sound_sets, rejects=dropped)
    record = check_curation(gated(recipe_values, raw_share=0.81), folder).record
    (check,) = (one for one in record.checks if one.name == "raw rows, text-source: raw answer")
    assert check.passed and check.num_broken == 2 and check.first_ids == ()
    with pytest.raises(GateError) as caught:
        check_curation(gated(recipe_values, raw_share=0.82), folder)
    ((_, check),) = failures(caught).items()
    assert check.first_ids == ("cold/900", "cold/901")
    assert {row["id"] for row in caught.value.checked.rows} == {"cold/900", "cold/901"}
    assert "cold/900" in str(caught.value) and "raw rows, text-source" in caught.value.checked.docs


@pytest.mark.usefixtures("_parts")
def test_expectations_of_ones_own_are_asked_of_each_source(
    recipe_values, sound_sets, write_curated
):
    own = [
        {"name": "few x", "column": "reject_reason", "kind": "not_in_set", "values": ["x"]},
        {"name": "once", "column": "question", "kind": "unique", "severity": "warning"},
    ]
    own = [{"table": "raw rows"} | one for one in own]
    dropped = [*rejects(), problem("seeing", 3, id="seeing/again")]
    folder = write_curated(sound_sets, rejects=dropped)
    named = {"expectations": [own[0] | {"share": 0.8}, own[1]], "raw_share": None}
    bounds = dict.fromkeys(("max_question_characters", "max_answer_characters", "max_images"))
    with pytest.raises(GateError) as caught:
        check_curation(gated(recipe_values, **named, **bounds), folder)
    found = failures(caught)
    # 3 of 11 text rows are rejects, and 1 of 7 others.
    assert found["raw rows, text-source: few x"].num_broken == 3
    assert found["raw rows, multimodal-source: once"].first_ids == ("seeing/again",)
    assert found.keys() == {"raw rows, text-source: few x", "raw rows, multimodal-source: once"}


@pytest.mark.usefixtures("_parts")
def test_what_is_missing_breaks_not_null_alone_and_what_was_cut_its_bound(
    recipe_values, sound_sets, write_curated
):
    own = [
        {"name": "known", "column": "family", "kind": "not_null"},
        {"name": "once", "column": "template", "kind": "unique"},
        {"name": "sums", "column": "family", "kind": "in_set", "values": ["sums", "clocks"]},
        {"name": "short", "column": "answer", "kind": "length_between", "min": 1},
    ]
    dropped = [row | {"family": None, "template": None} for row in rejects()]
    dropped[2] |= {"answer": None}
    dropped.append(problem("cold", 910, question="x" * (2**18 + 1)))  # 1,000 of them are kept
    for rows in sound_sets.values():
        for row in rows:
            row["template"] = row["id"]
    asked = [{"table": "raw rows"} | one for one in own]
    with pytest.raises(GateError) as caught:
        check_curation(
            gated(recipe_values, expectations=asked, max_question_characters=10_000),
            write_curated(sound_sets, rejects=dropped),
        )
    found = {name.partition(": ")[2]: check for name, check in failures(caught).items()}
    assert found.keys() == {"known", "raw answer", "raw question length"}
    assert found["raw question length"].first_ids == ("cold/910",)
    assert found["known"].num_broken == 3
    assert found["raw answer"].first_ids == ("cold/902",)


def test_no_reason_may_take_too_many_of_a_source(recipe_values, sound_sets, write_curated):
    folder = write_curated(sound_sets)
    (row,) = rejects_frame(folder).to_dict("records")
    assert row["share"] == 3 / 11 and row["reason"] == "x"
    with pytest.raises(GateError) as caught:
        check_curation(gated(recipe_values, max_rejects=0.27), folder)
    assert caught.value.broken_rows == {
        "rejects: rejects by reason": ["text-source: duplicates: x"]
    }


def test_parts_hold_every_row_once_and_of_one_source_however_little_may_wait(
    sound_sets, write_curated, monkeypatch
):
    monkeypatch.setattr(raw, "WAITING_BYTES", 100)
    monkeypatch.setattr(raw, "_BATCH_ROWS", 3)
    folder = write_curated(sound_sets)
    parts = list(raw_parts(folder, SETS, []))
    assert all({*part["source"]} == {source} for source, part in parts)
    assert max(len(part) for _, part in parts) <= 3
    ids = sorted(id_ for _, part in parts for id_ in part["id"])
    assert ids == sorted(
        row["id"] for row in [*rejects(), *sound_sets["cold"], *sound_sets["seeing"]]
    )
    assert {n for _, part in parts for n in part["num_images"]} == {0, 1}


def test_a_value_was_seen_before_in_its_own_scope_alone(tmp_path):
    seen = Seen(tmp_path / "seen")
    assert seen.before("a", ["x", "y", "x", ""]) == [False, False, True, False]
    assert seen.before("b", ["x"]) == [False] and seen.before("a", ["x", ""]) == [True, True]
    seen.close()


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"max_images": 3}, "set `raw_share`"),
        (
            {
                "expectations": [
                    {"name": "n", "table": "raw rows", "kind": "rows_between", "min": 1}
                ]
            },
            "raw rows come in parts",
        ),
    ],
)
def test_what_raw_rows_cannot_be_asked_is_refused_with_the_recipe(changes, rule, recipe_values):
    recipe_values["gates"]["curation"] |= changes
    with pytest.raises(Exception, match=rule):
        parse_recipe(recipe_values, where="test")


def test_rows_that_a_source_does_not_take_are_no_raw_rows(sound_sets, write_curated):
    """By the reason that curation's own reading of a row gives."""
    with pytest.raises(Refused) as caught:
        check_kept({"grade": "No"}, {"grade": ("Yes",)})
    folder, dropped = write_curated(sound_sets), rejects()
    reasons = [str(caught.value), "`answer` that is no text", str(caught.value)]
    write_rejects(
        (Reject(row, "sources", why) for row, why in zip(dropped, reasons, strict=True)),
        folder / "rejects.parquet",
    )
    ids = {id_ for _, part in raw_parts(folder, SETS, ()) for id_ in part["id"]}
    assert {id_ for id_ in ids if id_.startswith("cold/9")} == {"cold/901"}
