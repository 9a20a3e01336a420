"""Every rule of the gates is broken once, alone, and the gate must name it and the rows."""

import json
import pickle
import re

import pytest

from contracts.errors import DataError, RevisualError
from contracts.run_record import GateRecord
from data_checks import frames
from data_checks.gate import GateError, check_curation, check_evaluation
from data_checks.raw import raw_parts
from training.recipe.recipe import parse_recipe


def failures(error):
    return {check.name for check in error.record.checks if not check.passed}


def test_sound_sets_pass_with_every_check_named_once(recipe, sound_sets, write_curated):
    record = check_curation(recipe, write_curated(sound_sets)).record
    assert record.passed and record.name == "curation" and record.severity == "error"
    assert all(check.passed for check in record.checks)
    names = [check.name for check in record.checks]
    assert len(names) == len(set(names)) > 30
    rows = next(check for check in record.checks if check.name == "cold: rows")
    assert (rows.observed, rows.expected) == (8, "8 to 10")
    GateRecord.model_validate_json(record.model_dump_json())


# What is changed in which row -> the checks that must fail, and no other.
ROW_FAULTS = {
    "a null id": ("cold", {"id": None}, {"cold: id"}),
    "no family": ("cold", {"family": None}, {"cold: family"}),
    "no template": ("cold", {"template": None}, {"cold: template"}),
    "a null question": ("cold", {"question": None}, {"cold: question"}),
    "an empty question": ("cold", {"question": ""}, {"cold: question length"}),
    "a null answer": ("cold", {"answer": None}, {"cold: answer"}),
    "an empty answer": ("cold", {"answer": ""}, {"cold: answer length"}),
    "an answer of 101 characters": ("cold", {"answer": "1" * 101}, {"cold: answer letters"}),
    "101 letters": ("cold", {"answer": r"\text{a + " + "b " * 100 + "}"}, {"cold: answer letters"}),
    "an answer of 1001 signs": ("cold", {"answer": "+" * 1001}, {"cold: answer length"}),
    "the wrong modality": ("cold", {"modality": "multimodal"}, {"cold: modality"}),
    "an unknown source": ("cold", {"source": "elsewhere"}, {"cold: source"}),
    "no level": ("cold", {"level": None}, {"cold: level"}),
    "level 0": ("cold", {"level": 0}, {"cold: level range"}),
    "a level above the set's": ("seeing", {"level": 9}, {"seeing: level range"}),
    "no pass rate": ("cold", {"pass_rate": None}, {"cold: pass_rate"}),
    "too easy": ("cold", {"pass_rate": 0.75}, {"cold: pass_rate range"}),
    "no trace": ("cold", {"solution": None}, {"cold: solutions"}),
    "an image in a text problem": (
        "cold",
        {"images": [{"bytes": b"png", "path": None}]},
        {"cold: images"},
    ),
    "no image": ("seeing", {"images": []}, {"seeing: images"}),
    "an image without bytes": (
        "seeing",
        {"images": [{"bytes": None, "path": "gone.png"}]},
        {"seeing: images without bytes"},
    ),
}


@pytest.mark.parametrize("fault", ROW_FAULTS)
def test_one_faulty_row_fails_its_check_and_is_named(fault, recipe, sound_sets, write_curated):
    set_name, change, expected = ROW_FAULTS[fault]
    sound_sets[set_name][3] |= change
    with pytest.raises(GateError) as caught:
        check_curation(recipe, write_curated(sound_sets))
    assert failures(caught.value) == expected
    id_ = sound_sets[set_name][3]["id"] or "(no id)"
    assert caught.value.broken_rows == {name: [id_] for name in expected}
    assert id_ in str(caught.value)


def test_the_same_id_in_two_sets_fails(recipe, sound_sets, write_curated):
    sound_sets["seeing"][0]["id"] = "cold/5"
    with pytest.raises(GateError) as caught:
        check_curation(recipe, write_curated(sound_sets))
    assert caught.value.broken_rows == {"all sets: ids": ["cold/5", "cold/5"]}


def test_the_same_question_twice_fails_whatever_its_case_and_spaces(
    recipe, sound_sets, write_curated
):
    sound_sets["cold"][0]["question"] = "WHAT  is 1+1?"
    sound_sets["cold"][7]["question"] = "what is 1+1?"
    with pytest.raises(GateError) as caught:
        check_curation(recipe, write_curated(sound_sets))
    assert caught.value.broken_rows == {"all sets: questions": ["cold/0", "cold/7"]}


def test_the_same_question_about_another_image_is_another_problem(
    recipe, sound_sets, write_curated
):
    for row in sound_sets["seeing"]:
        row["question"] = "How many?"
    assert check_curation(recipe, write_curated(sound_sets)).record.passed


def test_a_benchmark_question_in_a_set_fails(recipe, sound_sets, write_curated):
    question = sound_sets["cold"][2]["question"].upper()
    with pytest.raises(GateError) as caught:
        check_curation(recipe, write_curated(sound_sets, benchmark_questions=[question]))
    assert caught.value.broken_rows == {"cold: benchmark questions": ["cold/2"]}


def test_too_few_rows_fail(recipe, sound_sets, write_curated):
    sound_sets["cold"].pop()
    with pytest.raises(GateError) as caught:
        check_curation(recipe, write_curated(sound_sets))
    assert caught.value.broken_rows == {"cold: rows": []}
    assert "expected 8 to 10, observed 7" in str(caught.value)


def test_min_rows_per_set_counts_even_where_missing_rows_are_allowed(
    recipe_values, sound_sets, write_curated
):
    recipe_values["gates"]["curation"] |= {"max_missing_rows": 1.0, "min_rows_per_set": 7}
    with pytest.raises(GateError) as caught:
        check_curation(parse_recipe(recipe_values, where="test"), write_curated(sound_sets))
    assert failures(caught.value) == {"seeing: rows"}


def test_an_empty_set_fails(recipe, sound_sets, write_curated):
    sound_sets["seeing"] = []
    with pytest.raises(GateError) as caught:
        check_curation(recipe, write_curated(sound_sets))
    assert {"seeing: rows", "seeing: families"} <= failures(caught.value)


def test_too_few_families_fail(recipe, sound_sets, write_curated):
    for row in sound_sets["cold"]:
        row["family"] = "sums"
    with pytest.raises(GateError) as caught:
        check_curation(recipe, write_curated(sound_sets))
    assert failures(caught.value) == {"cold: families"}


def test_a_row_that_got_lost_on_the_way_fails(recipe, sound_sets, write_curated):
    rows_in = {"text-source": 8 + 3, "multimodal-source": 6 + 1}
    with pytest.raises(GateError) as caught:
        check_curation(recipe, write_curated(sound_sets, rows_in=rows_in))
    assert caught.value.broken_rows == {"all sources: rows in": ["multimodal-source"]}


def test_a_warning_is_recorded_and_does_not_raise(recipe_values, sound_sets, write_curated):
    recipe_values["gates"]["curation"]["severity"] = "warning"
    sound_sets["cold"].pop()
    recipe = parse_recipe(recipe_values, where="test")
    record = check_curation(recipe, write_curated(sound_sets)).record
    assert not record.passed and record.severity == "warning"
    assert [check.name for check in record.checks if not check.passed] == ["cold: rows"]


def test_a_missing_set_is_a_data_error(recipe, sound_sets, write_curated):
    folder = write_curated(sound_sets)
    (folder / "seeing.parquet").unlink()
    with pytest.raises(DataError, match=r"no seeing\.parquet"):
        check_curation(recipe, folder)


def test_a_gate_error_survives_a_process_boundary(recipe, sound_sets, write_curated):
    sound_sets["cold"].pop()
    with pytest.raises(RevisualError) as caught:
        check_curation(recipe, write_curated(sound_sets))
    copy = pickle.loads(pickle.dumps(caught.value))
    assert str(copy) == str(caught.value)
    assert copy.checked == caught.value.checked


def test_many_broken_rows_are_counted_and_the_first_named(recipe_values, sound_sets, write_curated):
    recipe_values["curation"]["sets"][0]["num_problems"] = 40
    row = sound_sets["cold"][0]
    sound_sets["cold"] = [
        row | {"id": f"r{n}", "question": f"q{n}", "family": f"f{n % 2}", "level": 11}
        for n in range(35)
    ]
    with pytest.raises(GateError) as caught:
        check_curation(parse_recipe(recipe_values, where="test"), write_curated(sound_sets))
    (check,) = caught.value.record.failed
    assert (check.name, check.num_broken) == ("cold: level range", 35)
    assert check.first_ids == tuple(f"r{n}" for n in range(20))
    assert "r19 and 15 more" in str(caught.value)


def test_every_expectation_is_known_to_the_recipe_by_its_name(
    recipe_values, sound_sets, write_curated, sound_evaluation, write_evaluation
):
    """And no other: a severity that is given by name finds its expectation."""
    raw = {"raw_share": 0.5, "max_question_characters": 99, "max_answer_characters": 9}
    recipe_values["gates"]["curation"] |= raw | {"max_images": 1, "max_rejects": 0.5}
    recipe = parse_recipe(recipe_values, where="test")
    for gate, checked in (
        (recipe.gates.curation, check_curation(recipe, write_curated(sound_sets))),
        (recipe.gates.evaluation, check_evaluation(recipe, write_evaluation(*sound_evaluation))),
    ):
        seen = {check.name.split(": ", 1)[1] for check in checked.record.checks}
        assert seen == set(gate.BUILT_IN)


def test_the_columns_that_a_recipe_may_ask_of_are_there(
    recipe, sound_sets, write_curated, sound_evaluation, write_evaluation
):
    folder = write_curated(sound_sets)
    tables = recipe.gates.curation.TABLES
    curated = set(frames.curated_frame(folder, ["cold", "seeing"]))
    assert curated == set(tables["all sets"])
    assert set(frames.accounting_frame(folder, ["cold", "seeing"])) == set(tables["all sources"])
    assert set(frames.rejects_frame(folder)) == set(tables["rejects"])
    for _, part in raw_parts(folder, ["cold", "seeing"], []):
        assert set(part) >= set(tables["raw rows"])
    folder = write_evaluation(*sound_evaluation)
    predictions = frames.predictions_frame(folder)
    scores = frames.scores_frame(folder, predictions, {})
    drops = frames.drops_frame(scores, predictions, ["base", "cold_start"])
    tables = recipe.gates.evaluation.TABLES
    for frame, name in ((predictions, "predictions"), (scores, "scores"), (drops, "drops")):
        assert set(frame) >= set(tables[name])


def test_one_expectation_may_warn_while_the_others_stop(recipe_values, sound_sets, write_curated):
    recipe_values["gates"]["curation"]["severities"] = {"rows": "warning"}
    sound_sets["cold"].pop()
    recipe = parse_recipe(recipe_values, where="test")
    record = check_curation(recipe, write_curated(sound_sets)).record
    assert (record.passed, record.verdict, record.stopping) == (False, "warned", ())
    sound_sets["cold"][0]["level"] = 0
    with pytest.raises(GateError) as caught:
        check_curation(recipe, write_curated(sound_sets))
    assert [check.name for check in caught.value.record.stopping] == ["cold: level range"]
    assert "cold: rows" not in str(caught.value)


def test_too_many_unreadable_rows_of_a_source_fail(recipe_values, sound_sets, write_curated):
    recipe_values["gates"]["curation"]["max_refused"] = 0.2
    folder = write_curated(sound_sets)
    summary = json.loads((folder / "summary.json").read_text())
    # 3 of the source's 11 rows; what a later step rejects is no fault of the file.
    summary["rejected"] = {"text-source": {"sources": {"no answer": 2, "odd": 1}, "selection": {}}}
    (folder / "summary.json").write_text(json.dumps(summary))
    with pytest.raises(GateError) as caught:
        check_curation(parse_recipe(recipe_values, where="test"), folder)
    assert caught.value.broken_rows == {"all sources: rows refused": ["text-source"]}


def test_rows_that_the_recipe_does_not_take_are_not_unreadable(
    recipe_values, sound_sets, write_curated
):
    recipe_values["gates"]["curation"] |= {"max_refused": 0.2, "max_rejects": 0.2}
    folder = write_curated(sound_sets)
    summary = json.loads((folder / "summary.json").read_text())
    left_out = {"`grade` is 'No', which `keep` does not name": 3}
    summary["rejected"] = {"text-source": {"sources": left_out}}
    (folder / "summary.json").write_text(json.dumps(summary))
    check_curation(parse_recipe(recipe_values, where="test"), folder)


def test_the_data_docs_name_what_was_seen_and_load_nothing(recipe, sound_sets, write_curated):
    hostile = "</td><script>alert(1)</script><img src=http://evil.example/x onerror=alert(1)>"
    sound_sets["cold"][3]["family"] = sound_sets["cold"][4]["family"] = hostile
    sound_sets["cold"][3]["level"] = 77
    with pytest.raises(GateError) as caught:
        check_curation(recipe, write_curated(sound_sets))
    docs = caught.value.checked.docs
    assert "Data Docs of the gate curation" in docs and "77" in docs and "pass_rate" in docs
    assert "default-src 'none'" in docs
    for element in ("<script", "<link", "<img", "<iframe", "<object", "<form"):
        assert element not in docs.lower(), element
    assert not re.search(r"\s(?:src|onerror)\s*=", docs)
