"""Questions of benchmarks with pictures, in rows that show them, lack them, or show them anew."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from training.curation.decontamination import LEAK, BenchmarkIndex, decontaminate
from training.evaluation.items import Rule, make_item


def test_a_question_about_a_picture_needs_the_picture(make, make_seen):
    text = "How many of the bars are higher than 3?"
    index = BenchmarkIndex({"charts": [make_seen(7, id="b", question=text)]})
    rows = [
        make_seen(7, question=text.upper()),
        make_seen(8, question=text),
        make_seen(7, id="edited", question="How many of these bars are higher than 3?"),
        make_seen(7, id="other", question="Which colour does the picture show?"),
        make(9, question=text),
    ]
    found = decontaminate(rows, index, 0.5)
    assert [one.problem["id"] for one in found.result.rejects] == ["p7", "edited"]


@pytest.mark.parametrize("asked", ["What is the area of the triangle?", "Find x.", "Is Red lower?"])
@pytest.mark.parametrize(
    "prompt",
    [
        "Hint: Please answer the question and provide the correct option letter, e.g., A, B, C, D, "
        "at the end.\nQuestion: {}\nChoices:\n(A) 1\n(B) 2",
        "{}\nAnswer the question using a single word or phrase.",
    ],
)
def test_a_short_question_behind_a_prompt_is_found_beside_its_picture(asked, prompt, make_seen):
    index = BenchmarkIndex({"charts": [make_seen(7, id="b", question=asked)]})
    rows = [
        make_seen(7, question=prompt.format(asked)),
        make_seen(8, question=prompt.format(asked)),
    ]
    found = decontaminate(rows, index, 0.5)
    assert [one.problem["id"] for one in found.result.rejects] == ["p7"]


def test_another_number_beside_the_same_file_makes_a_variant(make_seen):
    text = "How many of the bars are higher than 3?"
    index = BenchmarkIndex({"charts": [make_seen(7, id="b", question=text)]})
    found = decontaminate([make_seen(7, question=text.replace("3", "5"))], index, 0.5)
    assert (found.result.rejects, found.variants) == ([], {"charts": 1})


MARKED = "What is the area of the triangle ABC in the figure?"


@pytest.mark.parametrize(
    ("asked", "other"),
    [
        (MARKED, MARKED.replace("ABC", "ABC <image>")),
        (MARKED, f"{MARKED}\n<image>"),
        (MARKED.replace("figure", "figure <image>"), MARKED),
        ("Find x.", "Find <image> x."),
    ],
)
def test_where_a_picture_stands_among_the_words_hides_no_leak(asked, other, make_seen):
    index = BenchmarkIndex({"figures": [make_seen(7, id="b", question=asked)]})
    found = decontaminate([make_seen(7, question=other)], index, 0.5)
    assert [one.reason for one in found.result.rejects] == [LEAK]


TOLD = "In triangle ABC the sides AB and AC are 13 long, and BC is 10. What is the area shown here?"
UNTOLD = "What is the area in square inches of the pentagon that is shown here?"
CODE = "[asy]draw((0,0)--(5,12)--(10,0)--cycle);[/asy]"


def leaks_of(item, *rows):
    found = decontaminate(rows, BenchmarkIndex({"figures": [item]}), 0.5)
    return [one.problem["id"] for one in found.result.rejects]


@pytest.mark.parametrize("drawn", [TOLD, f"{TOLD}\n{CODE}", f"{CODE} {TOLD.upper()}"])
def test_a_text_with_numbers_leaks_its_question_without_the_picture(drawn, make, make_seen):
    item = make_seen(7, id="b", question=TOLD, answer="60")
    rows = [make(1, question=drawn, answer="60"), make(2, question=drawn, answer="area 60")]
    rows += [
        make(3, question=drawn.replace("10", "24"), answer="60"),
        make(4, question=f"The third side is 10 or 24 long. {drawn}", answer="12"),
    ]
    assert leaks_of(item, *rows) == ["p1", "p2"]


@pytest.mark.parametrize("drawn", [UNTOLD, f"{UNTOLD}\n{CODE}", f"Question: {UNTOLD}"])
def test_a_long_text_without_numbers_leaks_with_the_same_answer_alone(drawn, make, make_seen):
    item = make_seen(7, id="b", question=UNTOLD, answer=r"$\frac{1}{2}$")
    rows = [make(n, question=drawn, answer=one) for n, one in enumerate(["0.5", r"\frac12", "5"])]
    assert leaks_of(item, *rows) == ["p0", "p1"]


def test_what_many_questions_share_leaks_none_without_the_picture(make, make_seen):
    item = make_seen(7, id="b", question="Take the bars. " + UNTOLD, answer="3")
    rows = [
        make(1, question=f"A list: a4, b2, c2, d1, e2. {UNTOLD}", answer="3"),
        make(2, question=f"The sides are all {2} inches long, as all its angles say. {UNTOLD}"),
    ]
    assert leaks_of(item, *rows) == []
    short = make_seen(7, id="b", question="Find x.", answer="3")
    assert leaks_of(short, make(1, question="Find x.", answer="3")) == []


def test_a_choice_is_compared_by_its_text(make, make_seen):
    question = f"{UNTOLD} (A) 12 (B) 14"
    item = make_seen(7, id="b", question=UNTOLD, answer="14")
    rows = [make(n, question=question, answer=one) for n, one in enumerate(["B", "A", "14"])]
    assert leaks_of(item, *rows) == ["p0", "p2"]


@pytest.mark.parametrize(
    ("rule", "answer"),
    [
        (Rule("letter", "B", ("12", "14")), "14"),
        (Rule("nearest", "A", ("12", "14")), "12"),
        (Rule("letter", "C", ("12", "14")), "C"),
        (Rule("letter", "B"), "B"),
        (Rule("letter", "AB", ("12", "14")), "AB"),
        (Rule("letters", "A", ("12", "14")), "A"),
        (Rule("math", "B"), "B"),
    ],
)
def test_a_rules_answer_is_the_text_of_its_letter_where_that_is_known(rule, answer):
    assert make_item("exam", "1", question="?", rule=rule).rule.told() == answer


def drawn_as(kind="PNG", scale=1.0, height=90, ink=0, red=0, **options):
    """A chart of three bars, one of that height, in a colour, a size and an encoding."""
    picture = Image.new("RGB", (160, 120), (255, 255, 255))
    pen = ImageDraw.Draw(picture)
    for place, top in enumerate((60, height, 40)):
        pen.rectangle(
            (20 + 45 * place, 119 - top, 50 + 45 * place, 119), fill=(ink + red, ink, ink)
        )
    noise = np.random.default_rng(0).integers(-2, 3, (120, 160, 3))
    pixels = np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8)
    size = (round(160 * scale), round(120 * scale))
    written = io.BytesIO()
    Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC).save(written, kind, **options)
    return [{"bytes": written.getvalue(), "path": None}]


ANEW = {
    "JPEG": {"kind": "JPEG", "quality": 40},
    "WebP": {"kind": "WEBP", "quality": 60},
    "half": {"scale": 0.5},
    "larger": {"kind": "JPEG", "scale": 1.3},
}


@pytest.mark.parametrize("ink", [150, 220])
@pytest.mark.parametrize("kind", ANEW)
def test_a_picture_that_was_stored_anew_hides_no_leak(kind, ink, make_seen):
    asked = "How many coins are there?"
    item = make_seen(7, question=asked, answer="3", images=drawn_as(ink=ink))
    again, lower = (drawn_as(**ANEW[kind], ink=ink, height=h) for h in (90, 70))
    rows = [
        make_seen(1, question=asked.upper(), answer="3", images=again),
        make_seen(2, question=asked, answer="4", images=again),
        make_seen(3, question=asked, answer="3", images=lower),
        make_seen(4, question="Which colour has it?", answer="3", images=again),
        make_seen(5, question=asked, answer="3", images=again * 2),
        make_seen(6, question=asked, answer="3", images=drawn_as(**ANEW[kind], ink=ink, red=35)),
    ]
    assert leaks_of(item, *rows) == ["p1"]


def test_a_stretched_picture_does_not_look_alike(make_seen):
    item = make_seen(7, question="Find x.", answer="3", images=drawn_as())
    with Image.open(io.BytesIO(item["images"][0]["bytes"])) as picture:
        written = io.BytesIO()
        picture.resize((160, 150)).save(written, "PNG")
    images = [{"bytes": written.getvalue(), "path": None}]
    assert leaks_of(item, make_seen(1, question="Find x.", answer="3", images=images)) == []


def test_an_indexs_digest_knows_the_answers(make):
    rows = [make(1, answer=one) for one in ("2", "3", "2")]
    first, other, same = (BenchmarkIndex({"exam": [row]}).digest for row in rows)
    assert first == same != other


def table_of(*numbers, kind="PNG", scale=1):
    """A picture of a column of numbers, as sets of tables draw them."""
    picture = Image.new("L", (85, 125), 255)
    pen = ImageDraw.Draw(picture)
    for row, number in enumerate(numbers):
        pen.text((30, 6 + 24 * row), str(number), fill=0)
    written = io.BytesIO()
    size = (85 * scale, 125 * scale)
    picture.resize(size, Image.Resampling.BICUBIC).save(written, kind)
    return [{"bytes": written.getvalue(), "path": None}]


LINEAR = "The table shows a function. Is the function linear or nonlinear?"


def test_tables_of_one_template_do_not_look_alike(make_seen):
    item = make_seen(7, question=LINEAR, answer="linear", images=table_of(12, 14, 16, 18, 20))
    drawn = [table_of(12, 14, 16, 18, 16), table_of(12, 14, 16, 18, 20, kind="JPEG")]
    rows = [make_seen(n, question=LINEAR, answer="linear", images=d) for n, d in enumerate(drawn)]
    assert leaks_of(item, *rows) == ["p1"]


RATES = "By the table, what was the rate of change of won games between 2009 and 2010?"
TABLE = "year | games\n2008 | 15\n2009 | 15\n2010 | 7\n2011 | 9\n"


@pytest.mark.parametrize("asked", [LINEAR, RATES])
def test_a_text_with_a_table_of_its_own_is_no_picture_of_another_one(asked, make, make_seen):
    item = make_seen(7, question=asked, answer="linear")
    told = f"{TABLE}{asked}"
    hint = f"Please give the final value, e.g., 1, 2, 3, at the end.\nQuestion: {asked}"
    other = "-8" if asked == RATES else "linear"
    rows = [make(1, question=told, answer=other), make(2, question=hint, answer="linear")]
    assert leaks_of(item, *rows) == ["p2"]


ONE_NUMBER = (
    "How many tiles fit along the border of the shown square, whose side is 12,345 mm long?"
)


@pytest.mark.parametrize("dress", [
    "Figure 1. {}", "{} (Figure 1)", "[5 marks] {}", "(AMC 8, 2011, problem 5) {}",
    r"\includegraphics[width=0.5\textwidth]{{fig1}} {}", "{} (a) 10 (b) 12 (c) 14",
])  # fmt: skip
@pytest.mark.parametrize("asked", [ONE_NUMBER, UNTOLD])
def test_a_few_numbers_around_a_text_hide_no_leak(asked, dress, make, make_seen):
    item = make_seen(7, question=asked, answer="12")
    rows = [make(n, question=dress.format(asked), answer=a) for n, a in enumerate(["12", "13"])]
    assert leaks_of(item, *rows) == ["p0"]


@pytest.mark.parametrize("number", ["12 345", "12, 345", "12{,}345", r"$12\,345$"])
def test_a_number_may_be_written_otherwise_where_the_picture_is_missing(number, make, make_seen):
    item = make_seen(7, question=ONE_NUMBER, answer="12")
    rows = [make(1, question=ONE_NUMBER.replace("12,345", number), answer="12")]
    assert leaks_of(item, *rows) == ["p1"]


def test_a_text_with_data_of_its_own_leaks_what_has_its_numbers_and_its_answer(make, make_seen):
    code = "draw((0,0)--(5,12)--(10,0)--cycle);"  # not marked as a figure's
    item = make_seen(7, question=TOLD, answer="60")
    rows = [make(n, question=f"{TOLD} {code}", answer=one) for n, one in enumerate(["60", "61"])]
    assert leaks_of(item, *rows) == ["p0"]
    untold = make_seen(7, question=UNTOLD, answer="12")
    rows = [make(n, question=f"{code} {UNTOLD}", answer=one) for n, one in enumerate(["12", "13"])]
    assert leaks_of(untold, *rows) == []  # this may be another figure


@pytest.mark.parametrize(
    ("told", "choices", "answer", "is_leak"),
    [
        ("14", "\nA. 12;B. 14; C. 16", "B", True),
        ("14", "\nA. 12, B. 14, C. 16", "B", True),
        ("14", "\nA. 12;B. 14; C. 16", "A", False),
        ("14", "", "B", True),
        ("14", "", "15", False),
        ("B", "\n(A) 12 (B) 14", "B", True),
        ("B", "", "B", True),
        ("B", "", "C", False),
        ("None of (A) and (B)", "\n(A) 12\n(B) 14\n(C) None of (A) and (B)", "C", True),
    ],
)
def test_a_letter_that_nobody_explains_may_be_any_choice(told, choices, answer, is_leak, make_seen):
    asked = "How many coins are there on the table that is shown?"
    item = make_seen(7, question=asked, answer=told, images=drawn_as())
    again = drawn_as(kind="JPEG", quality=80)
    row = make_seen(1, question=asked + choices, answer=answer, images=again)
    assert leaks_of(item, row) == (["p1"] if is_leak else [])
