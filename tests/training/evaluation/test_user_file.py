"""A user's own benchmark: columns, metrics and groups without code."""

import pytest
from pydantic import ValidationError

from contracts.errors import DataError
from tests.training.evaluation.published import picture, write
from training.evaluation.asking import Answered, prediction
from training.evaluation.registry import load_benchmarks, metric_of, place_of
from training.evaluation.requests import requests_of, settings_of
from training.evaluation.verdicts import judge, scorer
from training.recipe.effects import result_fields
from training.recipe.evaluation import BenchmarkRecipe, EvaluationRecipe

ROWS = [
    {"prompt": "Which?", "key": "4 cm", "options": ["3 cm", "4 cm"], "story": "a", "n": "x"},
    {"prompt": "And now?", "key": "A", "options": ["3 cm", "4 cm"], "story": "a", "n": "y"},
    {"prompt": "What?", "key": "(B)", "options": ["1", "2"], "story": "b", "n": "z"},
]
COLUMNS = {"question": "prompt", "answer": "key", "choices": "options", "group": "story", "id": "n"}


def own(folder, **settings):
    values = {"name": "school", "kind": "file", "path": str(folder), "metric": "letter"}
    return BenchmarkRecipe(**(values | {"columns": COLUMNS} | settings))


def load(folder, **settings):
    benchmark = own(folder, **settings)
    recipe = EvaluationRecipe(benchmarks=(benchmark,), max_response_tokens=8)
    return load_benchmarks(recipe, {benchmark.input_name: folder})["school"]


def test_rows_become_items(tmp_path):
    items = load(write(tmp_path, ROWS))
    assert [item.problem["id"] for item in items] == ["school/x", "school/y", "school/z"]
    assert [item.rule.answer for item in items] == ["B", "A", "B"]
    assert items[0].prompt == "Which?\nA. 3 cm\nB. 4 cm"
    assert [item.cluster for item in items] == ["school/a", "school/a", "school/b"]
    assert metric_of(own(tmp_path)) == "all_right"
    assert metric_of(own(tmp_path, columns={"question": "prompt", "answer": "key"})) == "accuracy"
    assert place_of(own(tmp_path)).path == str(tmp_path)
    assert len(load(tmp_path, num_problems=1)) == 2  # a group stays whole


def test_a_prediction_keeps_what_was_asked_and_what_the_answer_was_read_as(tmp_path):
    item = load(write(tmp_path, ROWS))[0]
    recipe = EvaluationRecipe(benchmarks=(own(tmp_path),), max_response_tokens=8)
    (request,) = requests_of("rl", own(tmp_path), [item], recipe)
    came = {"request": request.key, "sample": 0, "num_tokens": 5, "num_prompt_tokens": 9}
    came |= {"text": "\\boxed{B}", "outcome": "right", "truncated": False, "failure": ""}
    row = prediction(("rl", "school"), Answered(item, request, came), None)
    assert (row["prompt"], row["question"]) == ("Which?\nA. 3 cm\nB. 4 cm", "Which?")
    assert (row["extracted"], row["chosen"]) == ("B", "B")
    said = prediction(
        ("rl", "school"), Answered(item, request, came | {"text": "Answer: 3.0"}), None
    )
    assert (said["extracted"], said["chosen"]) == ("3.0", "A")


@pytest.mark.parametrize(
    ("metric", "key", "right", "wrong"),
    [
        ("letters", "A, C", "C and A", "A"),
        ("number", "2.5", "2.6", "2.8"),
        ("math", "\\frac{1}{2}", "0.5", "2"),
        ("text", "Blue", "blue", "dark blue"),
    ],
)
def test_metrics(metric, key, right, wrong, tmp_path):
    rows = [{"question": "?", "answer": key}]
    tolerance = 0.2 if metric == "number" else None
    (item,) = load(write(tmp_path, rows), metric=metric, columns={}, tolerance=tolerance)
    responses = [f"\\boxed{{{right}}}", f"\\boxed{{{wrong}}}"]
    with scorer(num_processes=1) as verifier:
        assert judge([item.rule] * 2, responses, ["?"] * 2, verifier) == ["right", "wrong"]


def test_pictures_are_checked(tmp_path):
    row = {"question": "?", "answer": "A", "seen": picture()}
    columns = {"image": "seen"}
    (item,) = load(write(tmp_path / "a", [row], image="seen"), columns=columns)
    assert item.problem["modality"] == "multimodal"
    assert item.problem["images"] == [{"bytes": picture()["bytes"], "path": None}]
    row["seen"] = {"bytes": b"no picture", "path": None}
    with pytest.raises(DataError, match="no PNG"):
        load(write(tmp_path / "b", [row], image="seen"), columns=columns)


@pytest.mark.parametrize(
    ("rows", "settings", "words"),
    [
        (ROWS, {"columns": COLUMNS | {"level": "grade"}}, r"lacks the column\(s\) \['grade'\]"),
        (ROWS, {"columns": {"question": "prompt"}}, r"lacks the column\(s\) \['answer'\]"),
        ([ROWS[0], ROWS[0]], {}, "the id of another"),
        ([ROWS[0] | {"key": "5 cm"}], {}, "its rule cannot read"),
        ([ROWS[0] | {"key": "many"}], {"metric": "number"}, "its rule cannot read"),
        (
            [ROWS[0] | {"prompt": " "}],
            {"columns": {"question": "prompt", "answer": "key"}, "metric": "text"},
            "a question",
        ),
    ],
)
def test_what_cannot_be_asked_or_scored(rows, settings, words, tmp_path):
    with pytest.raises(DataError, match=words):
        load(write(tmp_path, rows), **settings)


CHOICES = {"question": "question", "answer": "key", "choices": "choices"}


@pytest.mark.parametrize(
    "choices",
    [
        {"text": ["3 cm", "4 cm"], "label": ["A", "B"]},  # as ARC's
        [{"label": "A", "text": "3 cm"}, {"label": "B", "text": "4 cm"}],
        ["3 cm", "4 cm"],
    ],
)
def test_choices_are_read_in_the_forms_that_say_which_is_which(choices, tmp_path):
    rows = [{"question": "How long?", "key": "B", "choices": choices}]
    (item,) = load(write(tmp_path, rows), columns=CHOICES)
    assert item.rule.choices == ("3 cm", "4 cm")
    assert item.prompt == "How long?\nA. 3 cm\nB. 4 cm"


@pytest.mark.parametrize(
    "choices",
    [
        "A. 3 cm; B. 4 cm",
        '["3 cm", "4 cm"]',
        {"text": ["3 cm", "4 cm"], "label": ["1", "2"]},
        {"text": ["3 cm", "4 cm"], "label": ["B", "A"]},
        {"text": ["3 cm", "4 cm"], "label": ["A"]},
        {"A": "3 cm", "B": "4 cm"},
        [{"value": "3 cm"}],
        [["3 cm", "4 cm"]],
        5,
    ],
)
@pytest.mark.parametrize("metric", ["letter", "math"])
def test_choices_of_another_form_are_refused(choices, metric, tmp_path):
    """They were taken for none: the question was asked without them, and scored."""
    rows = [{"question": "How long?", "key": "B", "choices": choices}]
    with pytest.raises(DataError, match="column choices") as caught:
        load(write(tmp_path, rows), columns=CHOICES, metric=metric)
    assert "Row 0" in caught.value.what and caught.value.rule and caught.value.fix


@pytest.mark.parametrize(
    ("row", "settings", "words"),
    [
        ({"options": None}, {}, "lacks a choice in the column options"),
        ({"options": []}, {}, "lacks a choice in the column options"),
        ({"options": ["3 cm", None]}, {"metric": "text"}, "lacks a choice in the column options"),
        ({"options": ["3 cm", " "]}, {}, "lacks a choice in the column options"),
        ({"key": "A, E"}, {"metric": "letters"}, "but 2 choices"),
        ({"story": None}, {}, "nothing in the column story, which is mapped to `group`"),
        ({"n": " "}, {}, "nothing in the column n, which is mapped to `id`"),
        ({"prompt": {"text": "Which?"}}, {}, "struct where the column prompt"),
        ({"key": [["A"]]}, {}, "list where the column key"),
    ],
)
def test_a_cell_that_is_mapped_is_never_taken_for_empty(row, settings, words, tmp_path):
    changed = [dict(ROWS[0]) | row, dict(ROWS[1]) | row]
    changed[1]["n"] = row.get("n", "y")
    with pytest.raises(DataError, match=words):
        load(write(tmp_path, changed), **settings)


def test_a_row_without_choices_is_asked_where_the_answer_is_no_choice(tmp_path):
    rows = [
        {"question": "How long?", "key": "4 cm", "choices": ["3 cm", "4 cm"]},
        {"question": "How wide?", "key": "5 cm", "choices": []},
    ]
    first, second = load(write(tmp_path, rows), columns=CHOICES, metric="math")
    assert first.prompt.endswith("B. 4 cm") and second.prompt == "How wide?"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"path": None}, "needs `path` and `metric`"),
        ({"metric": None}, "needs `path` and `metric`"),
        ({"columns": {"colour": "x"}}, "none of"),
        ({"tolerance": 0.1}, "belongs to the metric `number`"),
        ({"kind": "shipped"}, "belong to `kind"),
        ({"split": "test"}, "belong to a hub"),
    ],
)
def test_settings_that_contradict(settings, words, tmp_path):
    with pytest.raises(ValidationError, match=words):
        own(tmp_path, **settings)


def test_names_and_temperatures():
    one = BenchmarkRecipe(name="aime24", samples_per_problem=4)
    with pytest.raises(ValidationError, match="needs a temperature above 0"):
        EvaluationRecipe(benchmarks=(one,), max_response_tokens=8)
    warm = one.model_copy(update={"temperature": 1.0})
    recipe = EvaluationRecipe(
        benchmarks=(warm, BenchmarkRecipe(name="aime25")), max_response_tokens=8
    )
    assert [recipe.samples_of(each) for each in recipe.benchmarks] == [4, 1]
    assert [recipe.temperature_of(each) for each in recipe.benchmarks] == [1.0, 0.0]
    narrow = warm.model_copy(update={"top_p": 0.5})
    asked = recipe.model_copy(update={"benchmarks": (warm, narrow), "top_p": 0.95})
    assert [settings_of(each, asked).top_p for each in asked.benchmarks] == [0.95, 0.5]
    for top_p in (0.0, 1.01):
        with pytest.raises(ValidationError, match="top_p"):
            BenchmarkRecipe(name="aime24", top_p=top_p)
    with pytest.raises(ValidationError, match="names must be unique"):
        EvaluationRecipe(benchmarks=(warm, warm), max_response_tokens=8)


def test_curation_depends_on_what_is_asked_alone():
    from drills.disturbed import new_recipe

    def fields(stage, **changes):
        recipe = new_recipe()
        first, *rest = recipe.evaluation.benchmarks
        changed = (first.model_copy(update=changes), *rest)
        evaluation = recipe.evaluation.model_copy(update={"benchmarks": changed})
        return result_fields(recipe.model_copy(update={"evaluation": evaluation}), stage)

    assert fields("curate", samples_per_problem=3) == fields("curate")
    assert fields("evaluate", samples_per_problem=3) != fields("evaluate")
    assert fields("curate", num_problems=3) != fields("curate")
    assert fields("curate", path="s3://elsewhere/x") == fields("curate")  # its digest counts
