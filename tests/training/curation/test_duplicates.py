import io
import re
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from training.curation import duplicates
from training.curation.duplicates import drop_near_duplicates, near_duplicates
from training.curation.shingles import bands, jaccard, shingles

SIMILARITY = 0.75
STORY = (
    "A baker fills {} trays with {} rolls each and puts {} of all the rolls aside for the evening. "
    "How many rolls are sold before noon?"
)
WORDS = ["boats", "rivers", "lamps", "roads", "clouds", "stones", "birds", "gardens"]


def questions(make, *texts, answer="4"):
    return [make(n, question=text, answer=answer) for n, text in enumerate(texts)]


def test_of_near_duplicates_the_first_stays_and_is_named(make, verifier):
    text = STORY.format(5, 12, 7)
    rows = questions(make, text.replace("baker", "bakker"), "What is 2 + 2?", text)
    result = drop_near_duplicates(rows, SIMILARITY, verifier)
    assert [row["id"] for row in result.kept] == ["p0", "p1"]
    [reject] = result.rejects
    assert (reject.problem["id"], reject.step) == ("p2", "near duplicates")
    assert (reject.reason, reject.detail) == ("near duplicate question", "p0")


def test_of_near_duplicates_the_first_with_a_boxed_trace_stays(make, verifier):
    text = STORY.format(5, 12, 7)
    texts = [text, text.replace("baker", "bakker"), text.replace("evening", "evenin"), text.lower()]
    rows = questions(make, *texts)
    for row, (answer, trace) in zip(
        rows, [("4", None), ("5", None), ("4", "\\boxed{4}"), ("4", "\\boxed{4}")], strict=True
    ):
        row["answer"], row["solution"] = answer, trace
    result = drop_near_duplicates(rows, SIMILARITY, verifier)
    assert [row["id"] for row in result.kept] == ["p1", "p2"]
    assert [(one.problem["id"], one.detail) for one in result.rejects] == [
        ("p0", "p2"),
        ("p3", "p2"),
    ]


def test_near_duplicates_with_other_answers_stay_and_equal_answers_go(make, verifier):
    text = STORY.format(5, 12, 7)
    edits = [text, text.replace("baker", "bakker"), text.replace("evening", "evenin"), text.lower()]
    rows = questions(make, *edits)
    for row, answer in zip(rows, ("53", "52", "53.0", "52"), strict=True):
        row["answer"] = answer
    result = drop_near_duplicates(rows, SIMILARITY, verifier)
    assert [row["id"] for row in result.kept] == ["p0", "p1"]
    assert [(one.problem["id"], one.detail) for one in result.rejects] == [
        ("p2", "p0"),
        ("p3", "p1"),
    ]


def test_a_letter_of_a_near_duplicate_is_the_answer_that_it_stands_for(make, verifier):
    text = STORY.format(5, 12, 7) + " (A) 51 (B) 53 (C) 55"
    rows = questions(make, text, text.replace("baker", "bakker"))
    rows[0]["answer"], rows[1]["answer"] = "B", "53.0"
    assert [row["id"] for row in drop_near_duplicates(rows, SIMILARITY, verifier).kept] == ["p0"]


def test_pictures_must_have_equal_pixels_however_they_are_encoded(make_seen, png):
    recoded = io.BytesIO()
    Image.open(io.BytesIO(png(3))).save(recoded, format="WEBP", lossless=True)
    same, other = recoded.getvalue(), png(4)
    assert same != png(3)
    rows = [
        make_seen(n, question="How many are red?", images=[{"bytes": one, "path": None}])
        for n, one in enumerate([png(3), other, same])
    ]
    assert near_duplicates(rows, SIMILARITY) == [[0, 2]]


def test_a_picture_of_one_other_pixel_is_another_picture(make_seen, png):
    pixels = np.zeros((28, 28, 3), dtype=np.uint8)
    changed = pixels.copy()
    changed[27, 27, 2] = 1
    rows = []
    for number, each in enumerate((pixels, changed)):
        encoded = io.BytesIO()
        Image.fromarray(each).save(encoded, format="PNG")
        image = {"bytes": encoded.getvalue(), "path": None}
        rows.append(make_seen(number, question="How many?", images=[image]))
    assert near_duplicates(rows, SIMILARITY) == []


def test_similarity_is_that_of_the_true_sets():
    left, right = shingles("abcdefgh", 1), shingles("abcdefgx", 1)
    assert (len(left), len(right)) == (4, 4)  # abcde bcdef cdefg defgh
    assert jaccard(left, right) == pytest.approx(3 / 5)
    assert jaccard(left, shingles("abcdefgh", 2)) == 0.0
    assert len(shingles("ab", 0)) == 1


def test_bands_agree_as_often_as_the_similarity_says():
    rng = np.random.default_rng(0)
    sets = []
    for _ in range(400):
        shared = rng.integers(2**63, size=150, dtype=np.uint64)
        for _ in range(2):
            own = rng.integers(2**63, size=25, dtype=np.uint64)
            sets.append(np.unique(np.concatenate([shared, own])))  # 150 of 200: Jaccard 0.75
    found = bands(sets)
    share = (found[::2] == found[1::2]).mean()
    assert share == pytest.approx(0.75**8, abs=0.015)  # of 6400 bands, correlated by pairs


def test_signs_that_decide_keep_problems_apart_whatever_their_answers(make, verifier):
    text = "Let f(x) = e^x for every real number x on the whole line. Find {}."
    rows = questions(make, text.format("f'(0)"), text.format("f(0)"), answer="1")
    assert drop_near_duplicates(rows, SIMILARITY, verifier).rejects == []


def test_a_word_that_only_looks_like_a_number_makes_no_other_problem(make):
    text = "Ann has 12 apples and Bob has 7 apples in the yard. How many apples are{} in all?"
    rows = questions(make, text.format(" there"), text.format(""))
    assert near_duplicates(rows, SIMILARITY) == [[0, 1]]


numbers = st.tuples(*[st.integers(2, 60)] * 3)


@settings(max_examples=40, deadline=None)
@given(st.lists(numbers, min_size=2, max_size=12, unique=True))
def test_number_variants_never_merge(make, values):
    rows = questions(make, *(STORY.format(*each) for each in values))
    assert near_duplicates(rows, SIMILARITY) == []


@settings(max_examples=40, deadline=None)
@given(st.text(min_size=0, max_size=60))
def test_identical_texts_always_merge(make, text):
    assert near_duplicates(questions(make, text, text), SIMILARITY) == [[0, 1]]


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_the_order_of_rows_makes_no_difference(make, data):
    base = STORY.format(5, 12, 7)
    choices = data.draw(st.lists(st.sampled_from(WORDS), min_size=4, max_size=10))
    texts = [re.sub("rolls aside", f"{word} aside", base) for word in choices]
    texts += [base, base.replace("baker", "bakers"), STORY.format(5, 12, 8)]
    order = data.draw(st.permutations(range(len(texts))))
    rows = questions(make, *texts)
    shuffled = [rows[place] for place in order]
    groups = {frozenset(order[place] for place in one) for one in near_duplicates(shuffled, 0.75)}
    assert groups == {frozenset(one) for one in near_duplicates(rows, 0.75)}


def fillers(num):
    """Rows of one key that are near duplicates of each other, all in the same few buckets."""
    rng = np.random.default_rng(5)
    letters = rng.choice(list("bdeiklnortu"), size=(num, 6))
    words = sorted({"".join(word) for word in letters.tolist()})
    return [STORY.format(5, 12, 7).replace("the evening", f"the {word} evening") for word in words]


@settings(max_examples=5, deadline=None)
@given(st.randoms(use_true_random=False))
def test_many_near_duplicates_are_one_group_in_any_order(make, random):
    texts = fillers(150)
    random.shuffle(texts)
    groups = near_duplicates(questions(make, *texts), SIMILARITY)
    assert groups == [list(range(len(texts)))]


def test_the_number_of_comparisons_is_near_linear(make, monkeypatch):
    """Rows that are alike but no duplicates: another person asks each time."""
    counts = []
    for num in (200, 400):
        asked = [text.replace("are sold", "has he sold") for text in fillers(num)]
        texts = [
            re.sub(r"the (\w+) evening(.*)has he", r"the evening\2has \1", one) for one in asked
        ]
        compared = Mock(return_value=False)
        monkeypatch.setattr(duplicates, "same_problem", compared)
        assert near_duplicates(questions(make, *texts), 0.5) == []
        counts.append(compared.call_count / len(texts))
    assert counts[0] > 10
    assert counts[1] < 1.3 * counts[0]  # per row; comparing all pairs doubles it


def test_where_a_picture_stands_among_the_words_parts_no_near_duplicates(make_seen):
    text = "In the figure, how many of the bars are red?"
    asked = (text, text.replace("figure", "figure <image>"))
    images = make_seen(3)["images"]
    rows = [make_seen(n, question=one, images=images) for n, one in enumerate(asked)]
    assert near_duplicates(rows, SIMILARITY) == [[0, 1]]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("at a profit of", "at a loss of"),
        ("for the real part of", "for the imaginary part of"),
        ("in an arithmetic row of", "in a geometric row of"),
        ("going toward", "going away from"),
    ],
)
def test_words_that_turn_a_problem_around_part_near_duplicates(one, other, make):
    text = (
        "On Monday a shop at the corner of the long street sells 12 pens, "
        "{} 3 dollars each, to people who come by in the rain. Is that above 30 dollars?"
    )
    assert near_duplicates(questions(make, text.format(one), text.format(other)), 0.5) == []
