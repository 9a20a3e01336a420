import io

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from training.answers import Verifier
from training.answers.outcome import Verdict
from training.curation.agreement import MAX_KINDS
from training.curation.verifiability import (
    drop_duplicates,
    drop_long_prompts,
    keep_verifiable,
)
from training.records import question_key

FLOOR = "\\lfloor x \\rfloor"  # beyond our own grammar
FAULTS = {
    "no question": {"question": "  "},
    "no reference answer": {"answer": ""},
    "images in a text problem": {"images": [{"bytes": b"?", "path": None}]},
    "special tokens in the text": {"question": "What is <|image_pad|> 1 + 1?"},
    "asks for a proof": {"question": "Show that 1 + 1 = 2."},
    "open-ended question": {"question": "Explain in words how much 1 + 1 is."},
    "several questions in one": {"question": "Let x = 2. (a) Find 2x. (b) Find 3x."},
    "several answers in one": {"answer": "(a) 4; (b) 6"},
    "answer in prose": {"answer": "as many as there are primes"},
    "answer too long": {"answer": "+".join("123456789" * 6)},
    "answer that cannot be parsed": {"answer": "\\frac{1}{"},
    "control characters in the text": {"question": "What is 1\0 + 1?"},
    "direction marks in the text": {"answer": "\u202e21"},
    "invisible characters in the text": {"question": "What is 1\u200b + 1?"},
    "damaged characters in the text": {"family": "sum\ufffds"},
    "text too long": {"solution": "x" * 300_000},
    "solution contradicts the answer": {"answer": "2", "solution": "1 + 1 = \\boxed{3}"},
    "solution whose answer cannot be parsed": {"answer": "2", "solution": "\\boxed{\\frac{2}{}}"},
    "answer unverifiable: it is nested deeper than 12": {"answer": "(" * 20 + "x" + ")" * 20},
    "solution unverifiable: it has more than 400 characters": {
        "answer": f"x, {FLOOR}",
        "solution": f"\\boxed{{x, {FLOOR} + {'+'.join('y' * 200)}}}",
    },
}


@pytest.mark.parametrize("reason", FAULTS)
def test_each_fault_is_dropped_for_its_reason(reason, make, png, verifier):
    change = FAULTS[reason]
    if reason == "images in a text problem":
        change = {"images": [{"bytes": png(), "path": None}]}
    result = keep_verifiable([make(1), make(2, **change)], verifier)
    assert [problem["id"] for problem in result.kept] == ["p1"]
    assert [(each.problem["id"], each.step, each.reason) for each in result.rejects] == [
        ("p2", "verifiability", reason)
    ]


def test_a_comparison_that_died_says_nothing_of_its_row(make):
    doomed = list[psutil.Process]()

    def on_wait():
        while doomed:
            doomed.pop().kill()

    with Verifier(num_processes=1, timeout_seconds=60, on_wait=on_wait) as verifier:
        row = make(1, answer=f"{FLOOR}, x", solution=f"\\boxed{{x, {FLOOR}}}")
        assert keep_verifiable([row], verifier).rejects == []
        worker = psutil.Process(verifier._workers[0]._process.pid)
        worker.children()[0].suspend()  # what compares: it is killed before it answers
        doomed.append(worker)
        (reject,) = keep_verifiable([row], verifier).rejects
        assert reject.reason == "solution unverifiable: the comparison's process died"
        assert keep_verifiable([row], verifier).rejects == []


@pytest.mark.parametrize(
    ("answer", "box"), [("12", "B"), ("B", "(B) 12"), ("x = 3", "3"), ("40 km", "40")]
)
def test_a_trace_is_compared_as_a_response_is(answer, box, make, verifier):
    """With the question: it lists the choices, and says what is asked for in which unit."""
    question = "How many km is it? (A) 10 (B) 12"
    rows = [make(1, question=question, answer=answer, solution=f"So \\boxed{{{box}}}.")]
    rows.append(make(2, question=question, answer="12", solution="So \\boxed{A}."))
    (reject,) = keep_verifiable(rows, verifier).rejects
    assert (reject.problem["id"], reject.reason) == ("p2", "solution contradicts the answer")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"images": []}, "images missing"),
        ({"images": [{"bytes": None, "path": "gone.png"}]}, "images missing"),
        (
            {"images": [{"bytes": b"no image", "path": None}]},
            "image that is no PNG, JPEG, WebP or GIF",
        ),
    ],
)
def test_a_multimodal_problem_needs_readable_images(change, reason, make_seen, verifier):
    result = keep_verifiable([make_seen(1), make_seen(2, **change)], verifier)
    assert [problem["id"] for problem in result.kept] == ["p1"]
    assert [each.reason for each in result.rejects] == [reason]


def test_the_rules_take_no_time_that_grows_with_the_square_of_a_text(make, verifier):
    # Each "(a) " was once followed to the end of the text: minutes.
    long = ["(a) ", "draw. ", "to draw a ", "we prove ", "\n", ". ", "please "]
    rows = [make(n, question=f"{text * 20_000}What?") for n, text in enumerate(long)]
    result = keep_verifiable([*rows, make(9, answer="1 and " * 40_000)], verifier)
    assert [problem["id"] for problem in result.kept] == [f"p{n}" for n in range(len(long))]
    assert [each.reason for each in result.rejects] == ["answer too long"]


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("What does <image> show?", None),
        ("What do <image> and <image> show?", "special tokens in the text"),
        ("<image>", "no question"),
    ],
)
def test_a_mark_for_each_image_is_part_of_a_question(question, reason, make_seen, verifier):
    result = keep_verifiable([make_seen(1, question=question)], verifier)
    assert [one.reason for one in result.rejects] == ([reason] if reason else [])


def test_a_small_image_is_dropped(make_seen, verifier):
    buffer = io.BytesIO()
    Image.new("RGB", (27, 56)).save(buffer, format="PNG")
    small = make_seen(1, images=[{"bytes": buffer.getvalue(), "path": None}])
    (reject,) = keep_verifiable([small], verifier).rejects
    assert reject.reason == "image smaller than 28 pixels a side"


def test_where_an_image_stands_makes_no_other_question(make_seen):
    plain, placed = make_seen(1), make_seen(1)
    placed["question"] = f"<image> {plain['question']}"
    assert question_key(placed["question"], placed["images"]) == question_key(
        plain["question"], plain["images"]
    )


def test_an_image_cut_short_is_dropped(make_seen, png, verifier):
    whole = png()
    cut = make_seen(1, images=[{"bytes": whole[: len(whole) // 2], "path": None}])
    assert keep_verifiable([cut], verifier).rejects[0].reason == "image that cannot be decoded"


@pytest.mark.parametrize(
    "change",
    [
        {"question": "Which improves the proofreading rate? (A) 3 (B) 4", "answer": "B"},
        {"question": "Solve for a) the greatest value."},
        {"answer": "red"},
        {"answer": "not enough information"},
        {"answer": "\\frac{\\sqrt{3}}{2}"},
        {"answer": "x^2+1"},
        {"answer": "(1, 2)"},
        {"answer": "12 cm"},
        {"answer": "10:30"},
        {"answer": "4", "solution": "<think>2 + 2</think>\\boxed{4.0}"},
        {"question": "A bag has 3 red balls. If you draw 2, what is the chance of two red ones?"},
        {"question": "Draw a card from 52. How many hearts do you expect in 4 tries?"},
        {"question": "In the sketch, AB = 3 and BC = 4. Find AC."},
        {"question": "The equations x = 2t and y = t describe a path. What is y at x = 4?"},
        {"question": "Which is used to prove that ABC is DEF? (A) SSS (B) SAS", "answer": "A"},
        {"question": "Records show that 3 of 4 trains are late. How many of 8 are?"},
        {"question": "The tests (see the table) show that 3 of 5 sprout. How many of 200 do?"},
        {"question": "Data from 2020, show that sales grew by 5 a year. What came in 2022?"},
        {"question": "The motion that you describe has the period T. What is T at T + 1 = 3?"},
        {"question": "If f(a) = 3 and f(b) = 5 , what is f(a) + f(b) ?"},
        {"answer": "f(x) = 2x + 1"},
        {"question": "The points (0, a) and (3, b) are 5 apart. Find a - b."},
        {"question": "1) Let [0, a) and [0, b) be of one length. What is a - b?"},
        {"question": "Let g(f(x), a) = 2 and lim (x -> b) f = 3. What is g(3, a) ?"},
        {"question": "The roots of (x - a) (x - b) = 0 are 1 and 2. What is a + b?"},
        {"answer": "(x - a) (x+ b)"},
        {"question": "Two friends meet and discuss 12 books in 3 days. How many a day?"},
        {"question": "To justify the cost of 50 dollars, she needs 3 a day. How many days?"},
        {"question": "Which of these can explain why? (A) 1 (B) 2", "answer": "B"},
        {"question": "He wants to give an example of 5 primes below 12. How many ways are there?"},
    ],
)
def test_verifiable_problems_stay(change, make, verifier):
    result = keep_verifiable([make(1, **change)], verifier)
    assert result.rejects == []


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("1) Prove that 2 + 2 = 4.", "asks for a proof"),
        ("Let n > 1. Use induction to prove that n < 2^n.", "asks for a proof"),
        ("Find x, and then show that it is prime. How many are there?", "asks for a proof"),
        ("Can you prove that there is no largest prime?", "asks for a proof"),
        ("Let y = x^2.\nDescribe its graph.", "open-ended question"),
        ("Find the zeros of y = x^2 and sketch the graph.", "open-ended question"),
        ("Draw a triangle with the sides 3, 4 and 5.", "open-ended question"),
        ("Using a ruler, draw the reflection in the mirror line.", "open-ended question"),
        ("If x > 1, prove that x^2 > x.", "asks for a proof"),
        ("Let x = 2.(i) Find 2x. (ii) Find 3x.", "several questions in one"),
        ("For (0, 1), find a) its length b) its middle.", "several questions in one"),
        ("1. (a) Find x.\n(b) Find y.", "several questions in one"),
        ("Is 7 prime? Explain.", "open-ended question"),
        ("Can you explain why 7 is prime?", "open-ended question"),
        ("If x = 2, explain why x > 1.", "open-ended question"),
        ("What is 3 + 4? Use words to explain it.", "open-ended question"),
        ("Solve it and explain: what is 3 + 4?", "open-ended question"),
        ("What is 3 + 4 (justify your answer)?", "open-ended question"),
        ("Discuss the series. Where does it converge?", "open-ended question"),
    ],
)
def test_a_task_without_an_answer_is_dropped(question, reason, make, verifier):
    (reject,) = keep_verifiable([make(1, question=question)], verifier).rejects
    assert reject.reason == reason


def test_equal_questions_with_equal_answers_leave_the_first(make, verifier):
    rows = [make(1), make(2, question="WHAT is  1 + 1?", answer="2"), make(3)]
    result = drop_duplicates(rows, verifier)
    assert [problem["id"] for problem in result.kept] == ["p1", "p3"]
    assert [each.reason for each in result.rejects] == ["duplicate question"]


def test_a_letter_and_the_text_of_its_choice_are_one_answer(make, verifier):
    question = "What is 7 + 5? (A) 11 (B) 12 (C) 13"
    for answers, reason in (
        (("B", "12"), "duplicate question"),
        (("12", "(B)"), "duplicate question"),
        (("B", "13"), "duplicates with conflicting answers"),
        (("A", "B"), "duplicates with conflicting answers"),
        (("B", "12 cm"), "duplicate question"),
        (("B", "(B) 12", "B. 12", "x=12"), "duplicate question"),
        (("B. 12", "13"), "duplicates with conflicting answers"),
        (("C. 12", "B"), "duplicates with conflicting answers"),  # of which nobody knows what it is
    ):
        rows = [make(n, question=question, answer=one) for n, one in enumerate(answers)]
        assert {each.reason for each in drop_duplicates(rows, verifier).rejects} == {reason}, (
            answers
        )


def test_a_letter_and_its_text_in_another_writing_are_one_answer(make, verifier):
    question = r"Simplify. (A) x (B) \sqrt{8} (C) 13"
    rows = [make(n, question=question, answer=one) for n, one in enumerate(["B", r"2\sqrt{2}"])]
    [reject] = drop_duplicates(rows, verifier).rejects
    assert reject.reason == "duplicate question"


class Counting:
    """Calls two answers the same if they begin alike, counts, and cannot tell `?`."""

    def __init__(self):
        self.num_pairs = 0

    def judge(self, responses, references):
        self.num_pairs += len(references)
        return list(map(self._verdict, responses, references))

    def _verdict(self, response, reference):
        if "?" in response:
            return Verdict("timeout", "unverifiable: not within 1 s")
        return Verdict("right" if response[7] == reference[0] else "wrong")


def test_many_spellings_are_compared_with_a_few_of_them(make):
    answers = [f"x + {n}" for n in range(1000)] + [f"x{chr(945 + n)}" for n in range(20)]
    rows = [make(n, question="How?", answer=one) for n, one in enumerate(answers)]
    counting = Counting()
    assert len(drop_duplicates(rows, counting).kept) == 1
    assert counting.num_pairs <= 2 * (1000 + 20 * MAX_KINDS)


def test_answers_that_nobody_can_compare_are_no_conflict_and_go_for_their_own_reason(make):
    for answers, reason in (
        (["x+1", "x + 1 ?", "x"], "duplicates with answers that cannot be compared"),
        (["x+1", "x + 1 ?", "y"], "duplicates with conflicting answers"),
    ):
        rows = [make(n, question="How?", answer=one) for n, one in enumerate(answers)]
        assert [each.reason for each in drop_duplicates(rows, Counting()).rejects] == [reason] * 3


def test_equal_questions_with_other_answers_all_go(make, verifier):
    rows = [make(1), make(2, question="What is 1 + 1?", answer="3"), make(3)]
    result = drop_duplicates(rows, verifier)
    assert [problem["id"] for problem in result.kept] == ["p3"]
    assert [each.reason for each in result.rejects] == ["duplicates with conflicting answers"] * 2


@pytest.mark.parametrize(
    ("answer", "others"),
    [
        ("0.5", [r"$\frac{1}{2}$", "1/2", r"\dfrac{2}{4}", ".50"]),
        ("72", ["72.0", "$72$", " 72 "]),
        ("B", ["(B)", r"\text{B}", "b"]),
        ("red", ["Red", r"\text{red}"]),
        (r"x^2+1", [r"$x^2+1$"]),
        # The audit's pairs: the verifier of answers knows them, and a digest does not.
        ("(1,2)", ["(1, 2)"]),
        (r"10\pi", [r"10 \pi"]),
        ("2n+1", ["2n + 1", "1 + 2n"]),
        (r"\frac{\sqrt{3}}{2}", [r"\frac{\sqrt3}{2}", r"\sqrt{3}/2"]),
        (r"2\sqrt{2}", [r"\sqrt{8}"]),
        ("3, 5", ["3,5", "5, 3"]),
        (r"\{1,2\}", [r"\{2,1\}"]),
        ("x=5", ["5"]),
        ("5 cm", ["5"]),
        (r"90^\circ", ["90"]),
        ("50%", ["0.5"]),
    ],
)
def test_answers_written_otherwise_are_no_conflict(answer, others, make, verifier):
    rows = [make(n, question="How?", answer=one) for n, one in enumerate([answer, *others])]
    assert [each.reason for each in drop_duplicates(rows, verifier).rejects] == [
        "duplicate question"
    ] * len(others)


@pytest.mark.parametrize(
    "others",
    [
        ("0.3", "1/3"),
        ("0.67", "2/3"),  # one rounds the other
        ("5 cm", "5 m"),
        ("5", "5 cm", "5 m"),  # `5` is either
        ("12", "B"),
        ("(1,2)", "[1,2]"),
        ("x+1", "1 + x", "x + 2"),
    ],
)
def test_other_answers_are_a_conflict(others, make, verifier):
    rows = [make(n, question="How?", answer=one) for n, one in enumerate(others)]
    result = drop_duplicates(rows, verifier)
    assert {each.reason for each in result.rejects} == {"duplicates with conflicting answers"}
    assert result.kept == []


def test_a_repeat_names_the_row_that_stays_and_a_conflict_another_answer(make, verifier):
    answers = ["x+1", "x + 1", "2", "3", "3.0", "2"]
    asked = ["How?", "HOW?", "Why?", "Why?", "why?", "why?"]
    rows = [
        make(n, question=q, answer=a) for n, (q, a) in enumerate(zip(asked, answers, strict=True))
    ]
    rows.append(make(9, id="p0"))
    found = {id(each.problem): each.detail for each in drop_duplicates(rows, verifier).rejects}
    assert found == dict(zip(map(id, rows[1:]), ["p0", "p3", "p2", "p2", "p3", "p0"], strict=True))


def test_the_same_question_about_other_images_is_no_duplicate(make_seen, verifier):
    rows = [make_seen(n, question="How many?", answer=str(n)) for n in range(3)]
    assert len(drop_duplicates(rows, verifier).kept) == 3
    rows.append(make_seen(2, id="again", question="How many?", answer="2"))
    assert [each.problem["id"] for each in drop_duplicates(rows, verifier).rejects] == ["again"]


def test_an_id_is_given_once(make, verifier):
    result = drop_duplicates([make(1), make(2, id="p1")], verifier)
    assert [(each.problem["question"], each.reason) for each in result.rejects] == [
        ("What is 2 + 1?", "duplicate id")
    ]


def test_a_prompt_at_the_limit_stays_and_one_token_more_goes(make):
    lengths = {"What is 1 + 1?": 8, "What is 2 + 1?": 9}
    result = drop_long_prompts(
        [make(1), make(2)], lambda prompts: [lengths[each.question] for each in prompts], 8
    )
    assert [problem["id"] for problem in result.kept] == ["p1"]
    assert [each.reason for each in result.rejects] == ["prompt longer than 8 tokens"]


texts = st.sampled_from(
    ["", " ", "What is 1 + 1?", "what is  1 + 1?", "Prove it.", "(a) x (b) y ", "<image>"]
)
answers = st.sampled_from(["", "2", "3", "x^2", "\\frac{", "a; b", "red", "?"])
solutions = st.sampled_from([None, "", "\\boxed{2}", "\\boxed{3}", "no box"])


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(st.tuples(texts, answers, solutions), max_size=12))
def test_rows_in_are_rows_kept_and_rejected(rows, verifier):
    problems = [
        {
            "id": f"p{number % 9}",
            "modality": "text",
            "question": question,
            "images": [],
            "answer": answer,
            "solution": solution,
        }
        for number, (question, answer, solution) in enumerate(rows)
    ]
    for step in (keep_verifiable, drop_duplicates):
        result = step(problems, verifier)
        out = [*result.kept, *(reject.problem for reject in result.rejects)]
        assert sorted(map(id, out)) == sorted(map(id, problems))
        problems = result.kept
    keys = [question_key(problem["question"], []) for problem in problems]
    assert len(set(keys)) == len(keys)
