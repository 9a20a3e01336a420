import pytest

from training.answers.outcome import Verdict
from training.curation.agreement import MAX_KINDS
from training.curation.equal_questions import drop_duplicates


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


TRACE = "It is \\boxed{2}."


@pytest.mark.parametrize(
    ("traces", "stays"),
    [
        ([None, TRACE], "p1"),
        ([None, "It is 2.", TRACE, TRACE], "p2"),  # without a box no cold start takes it
        ([TRACE, None, TRACE], "p0"),
        ([None, "It is 2."], "p0"),
    ],
)
def test_of_equal_questions_the_first_with_a_boxed_trace_stays(traces, stays, make, verifier):
    rows = [make(n, question="How?", answer="2", solution=one) for n, one in enumerate(traces)]
    result = drop_duplicates(rows, verifier)
    assert [one["id"] for one in result.kept] == [stays]
    assert {one.detail for one in result.rejects} == {stays}


def test_a_row_that_goes_for_its_id_takes_no_other_along(make, verifier):
    rows = [
        make(1, solution=TRACE),
        make(2, id="p1", question="How?", solution=TRACE),
        make(3, question="How?", answer="3"),
    ]
    result = drop_duplicates(rows, verifier)
    assert [row["question"] for row in result.kept] == ["What is 1 + 1?", "How?"]
    assert [(one.reason, one.detail) for one in result.rejects] == [("duplicate id", "p1")]


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
