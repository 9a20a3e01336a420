"""The ten benchmarks, from files with the columns in which they were published."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contracts.errors import DataError, RecipeError
from tests.training.evaluation import published
from tests.training.evaluation.published import VERSIONS, WRITERS, picture
from training.evaluation.official import gpqa, wemath
from training.evaluation.registry import BENCHMARKS, check_benchmark, load_benchmarks, place_of
from training.recipe.evaluation import BenchmarkRecipe, EvaluationRecipe


def load(folder, name, **settings):
    benchmark = BenchmarkRecipe(name=name, **settings)
    recipe = EvaluationRecipe(benchmarks=(benchmark,), max_response_tokens=8)
    return load_benchmarks(recipe, {benchmark.input_name: folder})[name]


@pytest.fixture(scope="module")
def items(tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    return {name: load(write(folder / name), name) for name, write in WRITERS.items()}


def test_all_ten_are_there():
    assert len(WRITERS) == 10
    assert set(BENCHMARKS) == {*WRITERS, "pocket_text", "pocket_multimodal"}
    assert all(BENCHMARKS[name].PLACE is not None for name in WRITERS)


def test_every_row_is_asked_once(items):
    num_rows = {name: len(found) for name, found in items.items()}
    assert num_rows == {
        "math-500": 4,
        "aime24": 3,
        "aime25": 3,
        "gpqa-diamond": 12,
        "mathvision": 4,
        "mathvista": 6,
        "mathverse": 10,
        "dynamath": 30,
        "we-math": 3 + 4 + 4,
        "logicvista": 4,
    }
    for name, found in items.items():
        ids = [item.problem["id"] for item in found]
        assert len(set(ids)) == len(ids) and all(one.startswith(f"{name}/") for one in ids)
        assert {item.problem["source"] for item in found} == {name}


def test_rules_are_those_of_the_answer_types(items):
    def rules(name):
        return [(item.rule.kind, item.rule.answer) for item in items[name]]

    assert rules("math-500")[2] == ("math", "(3, \\pi)")
    assert rules("aime24") == [("math", "204"), ("math", "073"), ("math", "5")]
    assert rules("mathvision") == [
        ("letter", "B"),
        ("letter", "D"),
        ("number", "2.5"),
        ("math", "(1,2)"),
    ]
    assert [item.rule.decimals for item in items["mathvision"]][2] == 2
    assert rules("mathvista") == [
        ("nearest", "B"),
        ("nearest", "B"),
        ("integer", "14"),
        ("number", "1.2"),
        ("list", "[1, 0, 2]"),
        ("text", "Line AB"),
    ]
    rounded = items["mathvista"][3].rule
    assert (rounded.decimals, rounded.unit) == (1, "cm")
    assert rules("mathverse")[:6] == [("math", "60")] * 5 + [("letter", "B")]
    assert items["mathverse"][5].rule.choices == ("30°", "60°", "90°")
    assert rules("dynamath")[:3] == [("number", "0.125"), ("letter", "C"), ("text", "Even")]
    assert items["dynamath"][0].rule.tolerance == 0.001
    assert items["we-math"][0].rule.choices == ("2 cm", "3 cm", "4 cm", "No correct answer")
    assert rules("logicvista") == [
        ("letters", "B"),
        ("letters", "B, D"),
        ("none", "3"),
        ("none", ""),
    ]


def test_the_bare_question_is_kept_apart_from_the_prompt(items):
    """Training data hold the bare question: curation would not find it with its choices."""
    vision_only = items["mathverse"][4]
    assert vision_only.problem["question"] == "Find angle 0."
    assert vision_only.prompt.startswith("Please reason first.")
    first = items["mathvision"][0]
    assert first.problem["question"] == "How long is side 0?"
    assert first.prompt == "How long is side 0?\nA. 3 cm\nB. 4 cm\nC. 5 cm"
    assert items["mathvision"][1].prompt == "How long is side 1?"  # choices are in the picture
    assert items["we-math"][0].prompt.endswith("\nD. No correct answer")
    assert items["mathvista"][0].prompt.startswith("Hint:")
    assert "v1_382 was published without a question" in items["logicvista"][3].prompt


def test_clusters_are_problems_seeds_and_groups(items):
    verse, dyna, we = items["mathverse"], items["dynamath"], items["we-math"]
    assert {item.cluster for item in verse} == {"mathverse/0", "mathverse/1"}
    assert [item.part for item in verse[:5]] == list(VERSIONS)
    seeds = {seed: sorted(i.part for i in dyna if i.cluster == seed) for seed in ("dynamath/2",)}
    assert seeds["dynamath/2"] == sorted(map(str, range(1, 11)))
    # The ID 0 is of a problem of two steps and of one of three: they are two groups.
    assert {item.cluster for item in we} == {
        "we-math/2steps/0",
        "we-math/3steps/0",
        "we-math/3steps/1",
    }
    assert [item.part for item in we[:3]] == ["1", "2", "multi"]
    for name in ("math-500", "aime24", "gpqa-diamond", "mathvision", "logicvista"):
        assert all(item.cluster == item.problem["id"] for item in items[name])


def test_levels_and_subjects(items):
    assert [item.problem["level"] for item in items["math-500"]] == [1, 2, 3, 4]
    assert {item.problem["level"] for item in items["dynamath"]} == {2}
    assert {item.problem["family"] for item in items["logicvista"]} == {"inductive"}
    assert {item.problem["family"] for item in items["mathverse"]} == {"Plane Geometry"}


def test_fewer_problems_are_whole_groups(tmp_path):
    found = load(WRITERS["dynamath"](tmp_path / "d"), "dynamath", num_problems=2)
    assert len(found) == 20 and {item.cluster for item in found} == {"dynamath/0", "dynamath/1"}
    assert len(load(WRITERS["we-math"](tmp_path / "w"), "we-math", num_problems=1)) == 3
    assert len(load(WRITERS["aime25"](tmp_path / "a"), "aime25", num_problems=2)) == 2


def test_choices_are_shuffled_by_their_record_alone(items, tmp_path):
    again = load(WRITERS["gpqa-diamond"](tmp_path), "gpqa-diamond")
    assert again == items["gpqa-diamond"]
    letters = [item.rule.answer for item in again]
    assert len(set(letters)) >= 3  # twelve records: not all the same order
    for number, item in enumerate(again):
        assert item.rule.choices["ABCD".index(item.rule.answer)] == f"neon {number}"
        assert f"\n{item.rule.answer}. neon {number}" in item.prompt
    assert gpqa.shuffled("rec0") == gpqa.shuffled("rec0")
    # Every place of the right answer comes up about as often: 4,000 records, each 1,000 +- 27.
    places = [gpqa.shuffled(f"r{n}").index(0) for n in range(4000)]
    assert all(880 < places.count(place) < 1120 for place in range(4))


def test_options_of_we_math():
    assert wemath.split_options("A. 1; B. 2; C. a; b") == ("1", "2", "a; b")
    assert wemath.split_options("A.1;B.2;") == ("1", "2")
    assert wemath.split_options("B. 2; A. 1") == ()


def rewritten(folder, change):
    """The folder's files, each changed."""
    for path in folder.glob("*.parquet"):
        pq.write_table(change(pq.read_table(path)), path)
    return folder


def test_capitals_in_a_files_ending_cost_no_rows(tmp_path):
    folder = WRITERS["math-500"](tmp_path)
    whole = load(folder, "math-500")
    (path,) = folder.glob("*.parquet")
    table = pq.read_table(path)
    pq.write_table(table.slice(0, 1), path)
    pq.write_table(table.slice(1), path.with_name("z.PARQUET"))
    assert len(load(folder, "math-500")) == len(whole) == 4


@pytest.mark.parametrize("name", WRITERS)
def test_a_missing_column_is_named(name, tmp_path):
    folder = WRITERS[name](tmp_path)
    for column in BENCHMARKS[name].COLUMNS:
        rewritten(
            folder, lambda table, gone=column: table.drop_columns([gone]).replace_schema_metadata()
        )
        with pytest.raises(DataError) as caught:
            load(folder, name)
        assert f"lacks the column(s) ['{column}']" in caught.value.what
        kept = set(BENCHMARKS[name].COLUMNS) - {column}
        assert all(one in caught.value.where for one in kept)
        WRITERS[name](tmp_path)


@pytest.mark.parametrize("name", WRITERS)
def test_an_empty_benchmark_and_one_with_rows_twice(name, tmp_path):
    folder = WRITERS[name](tmp_path)
    rewritten(folder, lambda table: table.slice(0, 0))
    with pytest.raises(DataError, match="there are no rows"):
        load(folder, name)
    WRITERS[name](tmp_path)
    if name != "aime25":  # known by the row's number alone
        rewritten(folder, lambda table: pa.concat_tables([table, table]))
        with pytest.raises(DataError, match="the id of another"):
            load(folder, name)


@pytest.mark.parametrize("name", [name for name in WRITERS if BENCHMARKS[name].NEEDS_IMAGES])
@pytest.mark.parametrize(
    ("image", "words"),
    [
        (None, "without its image"),
        ({"bytes": None, "path": "/etc/passwd"}, "without its image"),
        ({"bytes": b"no picture", "path": None}, "with an image that is no PNG"),
        ({"bytes": picture()["bytes"][:50], "path": None}, "image that cannot be decoded"),
    ],
)
def test_an_item_needs_a_whole_image_of_its_own(name, image, words, tmp_path):
    (column,) = {"image", "decoded_image", "image_path"} & set(BENCHMARKS[name].COLUMNS)

    def change(table):
        images = table.column(column).to_pylist()
        index = table.column_names.index(column)
        kind = table.schema.field(column).type
        return table.set_column(index, column, pa.array([*images[:-1], image], kind))

    with pytest.raises(DataError, match=words):
        load(rewritten(WRITERS[name](tmp_path), change), name)


def test_a_group_without_one_of_its_steps(tmp_path):
    folder = rewritten(WRITERS["we-math"](tmp_path), lambda table: table.slice(1))
    with pytest.raises(DataError, match=r"belongs to a problem with the steps \['2', 'multi'\]"):
        load(folder, "we-math")


def test_a_seed_without_some_of_its_variants(tmp_path):
    """The worst case over eight variants is no less than that over ten."""
    folder = WRITERS["dynamath"](tmp_path)
    for variant in (3, 7):
        (path,) = (one for one in folder.rglob("*.parquet") if f"sample{variant}-" in str(one))
        pq.write_table(pq.read_table(path).slice(0, 2), path)  # without the last seed
    words = r"belongs to the seed 2, of which the variants 3, 7 are missing"
    with pytest.raises(DataError, match=words):
        load(folder, "dynamath")


def test_a_question_is_missing_of_the_known_item_alone(tmp_path):
    row = {"id": "v1_7", "image": picture(), "question": " ", "answer": "B", "skill": ["x"]}
    with pytest.raises(DataError, match="has an item without a question: logicvista/v1_7"):
        load(published.write(tmp_path, [row], image="image"), "logicvista")


def test_a_reference_that_its_rule_cannot_read(tmp_path):
    row = {"id": "v1_7", "image": picture(), "question": "?", "answer": "7"}
    folder = published.write(tmp_path, [row | {"skill": ["x"]}], image="image")
    with pytest.raises(DataError, match="has the key '7'"):
        load(folder, "logicvista")
    row = {"problem": "?", "answer": " "}
    with pytest.raises(DataError, match="reference answer that its rule cannot read"):
        load(published.write(tmp_path / "a", [row]), "aime25")


# The forms in which MathVerse publishes the key of a question with choices, and the choices.
LINES = "\nChoices:\nA:30°\nB:60°\nC:90°"


@pytest.mark.parametrize(
    ("choices", "answer", "rule"),
    [
        (LINES, "B", ("letter", "B", ("30°", "60°", "90°"))),
        (LINES, "(B)", ("letter", "B", ("30°", "60°", "90°"))),
        (LINES, "A\nC", ("letters", "A, C", ())),
        ("\nChoice:\nA. 090^\\circ T\nB. 180^\\circ T", "180^\\circ T", ("letter", "B", None)),
        ("\nChoice:\nA. False\nB. True", "False", ("letter", "A", ("False", "True"))),
        ("\nChoices:\nA:one\nB:\nC:two", "C", ("letter", "C", ("one", "", "two"))),
        ("\nChoices: A:1 B:2", "B", ("letter", "B", ("1", "2"))),
        ("\nChoices:\nA:1 B:2\nC:3 D:4", "D", ("letter", "D", ("1", "2", "3", "4"))),
        ("\nChoices:\nA, B or C in the figure", "B", ("letter", "B", ())),
        ("", "B", ("letter", "B", ())),
        ("\nChoices:\nA:1\nB:2\nD:4", "D", ("letter", "D", ())),
        ("\nChoices:\nA:1\nB:2\nC 3\nD 4", "C", ("letter", "C", ())),
    ],
)
def test_keys_and_choices_of_mathverse(choices, answer, rule, tmp_path):
    """One row of another form ended the whole benchmark: ten problems of 788 have one."""
    folder = with_first_row(WRITERS["mathverse"](tmp_path), "multi-choice", answer, choices)
    found = load(folder, "mathverse")[0].rule
    kind, key, texts = rule
    assert (found.kind, found.answer) == (kind, key)
    assert texts is None or found.choices == texts


def with_first_row(folder, question_type, answer, choices=""):
    def change(table):
        rows = table.to_pylist()
        rows[0] |= {"question_type": question_type, "answer": answer}
        rows[0]["question_for_eval"] += choices
        return pa.Table.from_pylist(rows, table.schema)

    return rewritten(folder, change)


@pytest.mark.parametrize(
    ("question_type", "answer", "words"),
    [
        ("multi-choice", "none of them", "has the key 'none of them'"),
        ("multi_choice", "B", "has the question type 'multi_choice'"),
    ],
)
def test_rows_of_mathverse_that_cannot_be_scored(question_type, answer, words, tmp_path):
    with pytest.raises(DataError, match=words):
        load(with_first_row(WRITERS["mathverse"](tmp_path), question_type, answer), "mathverse")


@pytest.mark.parametrize(
    ("published_answer", "reference"),
    [
        ("Surface Area $=9.86 \\mathrm{~m}^{2}$", "9.86 \\mathrm{~m}^{2}"),
        ("S.A. of rectangular prism $=4371.46$", "4371.46"),
        ("$\\mathrm{SA}=3298.67 \\mathrm{~cm}^{2}$", "3298.67 \\mathrm{~cm}^{2}"),
        ("Volume $=452.389$ cubic units", "452.389 cubic units"),
        ("Center $=(20,10)$", "(20,10)"),
        ("$h=58$", "$h=58$"),  # a letter, a function and points name the unknown
        ("f(x)=|x-3|", "f(x)=|x-3|"),
        ("AB=5", "AB=5"),
        ("y=\\sin x", "y=\\sin x"),
        ("domain: [-4,4] and range: [0,2]", "domain: [-4,4] and range: [0,2]"),
    ],
)
def test_the_name_of_a_quantity_is_no_part_of_a_key(published_answer, reference, tmp_path):
    """No number alone was right to these: 'surface area' is no name that the verifier knows."""
    row = with_first_row(WRITERS["mathverse"](tmp_path), "free-form", published_answer)
    assert load(row, "mathverse")[0].rule.answer == reference


def test_keys_that_are_published_with_faults(tmp_path):
    """A degree in another encoding; a key that stands there twice, or behind a sign of equality."""
    for key, answer in (("118掳T", "118°T"), ("-4.9\n-4.9", "-4.9"), ("$=(4,0)$", "(4,0)")):
        folder = with_first_row(WRITERS["mathverse"](tmp_path / answer), "free-form", key)
        assert load(folder, "mathverse")[0].rule.answer == answer


@pytest.mark.parametrize(("column", "name"), [("metadata", "mathverse"), ("choices", "mathvista")])
def test_a_column_of_another_type_is_not_taken_for_empty(column, name, tmp_path):
    def change(table):
        texts = pa.array(["A. 1; B. 2"] * len(table))
        return table.set_column(table.column_names.index(column), column, texts)

    folder = rewritten(WRITERS[name](tmp_path), change)
    with pytest.raises(DataError, match=f"column {column}"):
        load(folder, name)


def test_places(tmp_path):
    published_at = place_of(BenchmarkRecipe(name="dynamath"))
    assert published_at.path == "DynaMath/DynaMath_Sample"
    assert published_at.split.split("+")[9] == "sample_variant10"
    pinned = place_of(BenchmarkRecipe(name="math-500", revision="0" * 40))
    assert (pinned.path, pinned.revision) == ("HuggingFaceH4/MATH-500", "0" * 40)
    assert place_of(BenchmarkRecipe(name="aime24", path="s3://mine/aime")).path == "s3://mine/aime"
    assert place_of(BenchmarkRecipe(name="pocket_text")) is None
    with pytest.raises(RecipeError, match="generated and given a path"):
        check_benchmark(BenchmarkRecipe(name="pocket_text", path=str(tmp_path)))
