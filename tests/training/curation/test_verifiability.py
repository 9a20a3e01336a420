import io

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from training.answers import Verifier
from training.curation.equal_questions import drop_duplicates
from training.curation.verifiability import drop_long_prompts, keep_verifiable
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
    long = ["(a) ", "draw. ", "to draw a ", "we prove ", "\n", ". ", "please ", "[asy] "]
    long += ["or show that ", "; construct a ", ": verify that ", "if a ", "证明 "]
    long += ["use it to ", "check that ( ", "(  ", "is = ", "\\underline {", "and then hence "]
    rows = [make(n, question=f"{text * 16_000}What?") for n, text in enumerate(long)]
    step = f"Show that {'x and then so use it to, is = ' * 4_000}. Hence solve it."
    rows.append(make(len(long), question=step))
    result = keep_verifiable([*rows, make(99, answer="1 and " * 40_000)], verifier)
    assert [problem["id"] for problem in result.kept] == [f"p{n}" for n in range(len(rows))]
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
        {"question": "Which is larger? (a) 3 (b) 4 (c) 5 (d) 6", "answer": "d"},
        {"question": "x + y = 3 (1) and x - y = 1 (2). From (1) and (2), find x."},
        {"question": "From (1) find x; then use (2) to find y. What is x + y?"},
        {"question": "Let (1) x > 0; (2) y > 0; (3) xy = 4. Find the least x + y."},
        {"question": "How many hold? ① If a is odd, then a^2 is; ② For all x, 2x is even."},
        {"question": "A square has side 1. What is its area? Another has side 2. And both?"},
        {"question": "Which step is wrong? (1) Find the mean. (2) Find its root. (3) Square it."},
        {"question": "Use this algorithm: (1) Compute n/2. (2) Compute n+1. What of n = 10?"},
        {"question": "A function satisfies (i) f(0)=1 and (ii) f(2x)=2f(x). Find f(3)."},
        {"question": "Let f satisfy (a) f is odd, (b) f(1) = 3. What is f(-1)?"},
        {"question": "A sequence is such that\n(i) $a_1=1$;\n(ii) $a_2=2$.\nFind $a_3$."},
        {"question": "Find all n such that: (i) n is even, (ii) n > 3 and (iii) n < 5."},
        {"question": "Find the largest n for which a set has these properties:\n(i) x\n(ii) y"},
        {"question": "In a round (a) Ann takes k and (b) Bob adds 1. Find the least k."},
        {"question": "What is it? (A) Red (B) Blue (C) Both (a) and (b)", "answer": "B"},
        {"question": "For x = 1. Find y. Let z = 2. What is y + z?"},
        {"question": "Establish the number of real roots of x^3 = 1."},
        {"question": "Verify that 3 is a root of x^2-x-6 and give the other one."},
        {"question": "Outside ABCD, construct a triangle ABE. The measure of angle DEC is"},
        {"question": "Write a Python program that sums 1 to 10. What does it print?"},
        {"question": "If you prove that n is even, what is n in {3, 4}?"},
        {"question": "Verify that 2 is a root. Find the other root."},
        {"question": "Show the number that comes next in 1, 2, 3."},
        {"question": "Ann can read and write a program in 3 hours. How long for 4?"},
        {"question": "Construct a triangle with sides 3, 4, 5. What is its area?"},
        {"answer": "4", "solution": "<think>2 + 2</think>\\boxed{4.0}"},
        {"question": "What is the area?\n\n[asy]\nsize(100); draw((0,0)--(1,0)); [/asy]"},
        {"question": "Find AB. [asy] draw(a); [/asy]\n[asy]\nlabel(a); draw(b);\n[/asy] \\(a=1\\)"},
        {"question": "Find AB.\n\\begin{tikzpicture}\n\\draw (0,0);\n\\end{tikzpicture}"},
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
        {"question": "What is 3 + 4 (justify your answer)?"},
        {"question": "Find the least sum of two odd squares. Justify your answer."},
        {"question": "For which n is 2n = 4? Explain how you got your answer."},
        {"question": "Find the least n with 2 | n, or show that no such n exists."},
        {"question": "Determine all n with n + n = 4 and prove that there are no more."},
        {"question": "Show that the number of steps is finite, and determine its mean."},
        {"question": "Prove that only finitely many are not red. Find the largest one."},
        {"question": "Compute the limit of 2x at 1. If a limit does not exist, explain why."},
        {
            "question": "Can I\n(A) prove that it is\n(B) explain why not\n(C) do both",
            "answer": "B",
        },
        {"question": "Verify that AB = AC, and give the length of BC."},
        {"question": "如图, 证明: AB = AC, 并求BC的长."},
        {"question": "Construct a square on AB. State its area in cm^2 for AB = 2."},
        {"question": "Write a program to add 1 to 10. What does it print?"},
        {"question": "Construct the quadratic with the roots 2 and 3.", "answer": "x^2-5x+6"},
        {"question": "Construct the least number of the digits 1 to 5.", "answer": "12345"},
        {"question": "Check that 5 is a root and hence factorise it.", "answer": "(x-5)(x-2)"},
        {"question": "Check that 5 is a root. Factor the rest.", "answer": "x-2"},
        {"question": "Check that 2 is a root of f. Hence, the second root is:"},
        {"question": "Verify that $y=e^x$ is a solution; the other is", "answer": "e^{-x}"},
        {"question": "Verify that AB = AC, so that angle A in degrees $=$"},
        {"question": "Deduce that AB = AC; so BC = \\underline{\\qquad} cm."},
        {"question": "已知三角形ABC，证明：AB=AC，则角A的度数为____"},
        {"question": "已知三角形ABC，证明：AB=AC，则角A的度数为"},
        {"question": "证明：AB=AC，则BC等于（  ）。"},
        {"question": "证明5是方程的根，并解这个方程", "answer": "5"},
        {"question": "Solve x+1=2. Justify your answer."},
        {"question": "Simplify (x+1)^2. Explain your reasoning.", "answer": "x^2+2x+1"},
        {"question": "Expand (x+1)^2. Explain your reasoning.", "answer": "x^2+2x+1"},
        {"question": "Give the value of 3+4. Explain your answer."},
        {"question": "Evaluate the limit, or show that it does not exist."},
        {"question": "Show that x=2 is a root. Hence factorise f.", "answer": "(x-2)(x+2)"},
        {"question": "Show that x=2 is a root. Hence or otherwise, solve x^2-4=0."},
        {"question": "Show that x=2 is a root and find the other."},
        {"question": "Show that f is linear. How many zeros does it have?"},
        {"question": "Show that f is linear. Use this to solve f(x) = 0."},
        {"question": "Show that f is odd, and hence state its value at 0."},
        {"question": "Prove that AB = AC; then the angle A is ____."},
        {"question": "Show that it is finite, and find its mean.", "answer": "n"},
        {"question": "Show that they are finite, and find both.", "answer": f"{FLOOR}, x"},
        {"question": "Find s. Ann and Bob can discuss a strategy before the game."},
        {"question": "She needs to write an essay of 120 words. How many days?"},
        {"question": "Which n meets the following conditions?\n\n(a) n > 1.\n\n(b) n < 3."},
        {"question": "How many of the following statements hold? (n is odd.)\n(a) n>1.\n(b) n<3."},
        {"question": "1. A loan; he pays half of what he owes.\n\n2. A gift.\n\nFind the rest."},
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
        ("[asy] draw(a); [/asy] Draw its image. [asy] label(a); [/asy]", "open-ended question"),
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
        ("Discuss the series. Where does it converge?", "open-ended question"),
        ("What is f? **Describe its graph.** Is it odd?", "open-ended question"),
        ("Show, by induction, that n<2^n.", "asks for a proof"),
        ("Let ABC be equilateral. Verify that AB = AC.", "asks for a proof"),
        ("Give a proof that 2 is prime.", "asks for a proof"),
        ("Prove this: Ann has 3 pens. Find how many are 2 more.", "asks for a proof"),
        ("If a + 1 = b + 1 , then deduce that a = b.", "asks for a proof"),
        ("Check that f(x) = x is continuous.", "asks for a proof"),
        ("Demonstrate: a + b > c.", "asks for a proof"),
        ("Derive that n! > 2^n for n > 3.", "asks for a proof"),
        ("已知: AB = AC. 求证: B = C.", "asks for a proof"),
        ("如图, AB = AC. 证明 B = C.", "asks for a proof"),
        ("Find two squares; prove or disprove that they are one.", "asks for a proof"),
        ("Verify that x - 2 is a factor of x^2 - 4.", "asks for a proof"),
        ("求证：若a>b，则a+c为正数", "asks for a proof"),
        ("Prove that x > 0. Find a proof that y > 0.", "asks for a proof"),
        ("Prove that x > 0. State the reasons.", "asks for a proof"),
        ("Prove that one can weigh thrice and find the false coin.", "asks for a proof"),
        ("Write a program to compute n!.", "open-ended question"),
        ("Write a Python program that can find the mean.", "open-ended question"),
        ("Show by induction that n<2^n", "asks for a proof"),
        ("Prove that one can weigh three times and find the false coin.", "asks for a proof"),
        ("Establish the identity.", "asks for a proof"),
        ("Write a program that prints n!.", "open-ended question"),
        ("Given f. $(1)$ Find a;\n\n$(2)$ Find the maximum.", "several questions in one"),
        ("（1）Find a; （2）Find b.", "several questions in one"),
        ("(Ⅰ) Find a; (Ⅱ) Determine b.", "several questions in one"),
        ("(I) Find a. (II) Find b.", "several questions in one"),
        ("① Find a. ② Find b.", "several questions in one"),
        ("$(a)$ Find x. $(b)$ Find y.", "several questions in one"),
        ("\\textbf{(a)} Find x. \\textbf{(b)} Find y.", "several questions in one"),
        ("**(a)** Find x. **(b)** Find y.", "several questions in one"),
        ("(a)Find x. (b)Find y.", "several questions in one"),
        ("Part (a): Find x. Part (b): Find y.", "several questions in one"),
        ("What is the chance that the sum is (a) 7 (b) 11", "several questions in one"),
        ("Find the area if the radius is (a) 3 cm (b) 5 cm.", "several questions in one"),
        ("Find the length of (a) AB (b) CD.", "several questions in one"),
        ("What is the chance that the sum is (a) 7 (b) 11?", "several questions in one"),
        ("(1) If $a=1$, find $f(x)$; (2) If $f(x)=0$, find $a$.", "several questions in one"),
        ("(I) Find a. (II) If x=3, find b.", "several questions in one"),
        ("(1) What is a? (2) Is b odd?", "several questions in one"),
        ("1. Find a. 2. Find b.", "several questions in one"),
        ("已知a+b=3. （1）求a; (2) 若b=1, 求c.", "several questions in one"),
    ],
)
def test_a_task_without_an_answer_is_dropped(question, reason, make, verifier):
    (reject,) = keep_verifiable([make(1, question=question)], verifier).rejects
    assert reject.reason == reason


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Is v normal to w? Justify your answer.", "Yes"),
        ("Is B equal to C? Explain your reasoning.", "no"),
        ("Explain how you got your answer.", "2"),
        ("Find x. Prove that x is odd.", "2"),
        ("Construct a triangle with the sides 3, 4 and 5.", "ABC"),
        ("Construct the midpoint of AB.", "M"),
        ("Prove that there are infinitely many primes. Then find the flaw.", "none"),
        ("Prove that a is odd. Determine whether b is.", "yes"),
        ("证明a是奇数. Prove that b is odd. Determine whether c is.", "否"),
    ],
)
def test_reasons_count_where_the_answer_is_no_value_to_find(question, answer, make, verifier):
    assert keep_verifiable([make(1, question=question, answer=answer)], verifier).kept == []


def test_a_prompt_at_the_limit_stays_and_one_token_more_goes(make):
    lengths = {"What is 1 + 1?": 8, "What is 2 + 1?": 9}
    result = drop_long_prompts(
        [make(1), make(2)], lambda prompts: [lengths[each.question] for each in prompts], 8
    )
    assert [problem["id"] for problem in result.kept] == ["p1"]
    assert [(each.reason, each.detail) for each in result.rejects] == [
        ("prompt too long", "more than 8 tokens")
    ]


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
