import re

import numpy as np
import pytest

from training.curation.account import RejectCounts
from training.curation.decontamination import (
    LEAK,
    NUMBER_VARIANT,
    STEP,
    BenchmarkIndex,
    decontaminate,
)
from training.curation.step import Reject

ASKED = (
    "A shop sells pens at 3 coins and rulers at 5 coins each. Tom buys 4 pens and 2 rulers there. "
    "How many coins does he pay for all of them?"
)
SHORT = "What is 17 + 25?"
FORMULA = "Let f(x) = (x + 1)/2 and let g(x) = 3*x - 4. Find f(g(2)) + 6."


def one_benchmark(make, *texts):
    rows = [make(n, id=f"b{n}", question=text) for n, text in enumerate(texts)]
    return BenchmarkIndex({"exam": rows})


def judged(make, index, *texts, **options):
    rows = [make(n, question=text) for n, text in enumerate(texts)]
    return decontaminate(rows, index, 0.5, **options)


LEAKS = {
    "case": ASKED.upper(),
    "spaces": ASKED.replace(" ", "   \n"),
    "punctuation": ASKED.replace(".", " ;").replace("?", ""),
    "dollars": ASKED.replace("3", "$3$").replace("4", r"\(4\)"),
    "an edit": ASKED.replace("A shop", "The little shop").replace("coins does", "coinns does"),
    "inside a longer text": f"A riddle from 1990 follows. {ASKED} Good luck with it!",
}


@pytest.mark.parametrize("kind", LEAKS)
def test_a_leak_is_caught_and_names_its_question(kind, make):
    found = judged(make, one_benchmark(make, SHORT, ASKED), LEAKS[kind], "What is 1 + 1?")
    [reject] = found.result.rejects
    assert reject.problem["id"] == "p0"
    assert (reject.step, reject.reason) == ("decontamination", "question of a benchmark")
    assert reject.detail == "exam: b1"


@pytest.mark.parametrize(
    "dressed",
    [
        r"Let $f(x) = \dfrac{x+1}{2}$ and let $g(x)=3 \cdot x-4$. Find $f(g(2)) + 6$.",
        r"let \(f\left(x\right)=\frac{x + 1}{2}\) and let \(g(x) = 3\times x - 4\) find f(g(2))+6",
        r"Let $\text{f}(x) = \tfrac{x+1}{2}$ and let g(x) = 3*x − 4. Find f(g(2)) + 6",
    ],
)
def test_latex_dressing_hides_nothing(dressed, make):
    found = judged(make, one_benchmark(make, FORMULA), dressed)
    assert len(found.result.rejects) == 1


def test_a_short_question_is_found_whole_and_not_by_its_words(make):
    found = judged(make, one_benchmark(make, SHORT), "what is  $17+25$", "What is 17 + 26?")
    assert [one.problem["id"] for one in found.result.rejects] == ["p0"]


CLEAN = {
    "another number": ASKED.replace("4 pens", "6 pens"),
    "words in other places": ASKED.replace("4 pens and 2 rulers", "4 rulers and 2 pens"),
    "the other way": ASKED.replace("buys", "sells"),
    "the same beginning": "A shop sells pens at 3 coins and rulers at 5 coins each. Who owns it?",
}


@pytest.mark.parametrize("kind", CLEAN)
def test_a_row_that_shares_a_template_is_no_leak(kind, make):
    assert judged(make, one_benchmark(make, ASKED), CLEAN[kind]).result.rejects == []


def test_number_variants_are_counted_or_rejected(make):
    index = one_benchmark(make, ASKED)
    texts = (CLEAN["another number"], ASKED, "What is 1 + 1?")
    kept = judged(make, index, *texts)
    assert kept.variants == {"exam": 1}
    assert [one.problem["id"] for one in kept.result.rejects] == ["p1"]
    dropped = judged(make, index, *texts, reject_variants=True)
    assert {one.problem["id"]: one.reason for one in dropped.result.rejects} == {
        "p0": "number variant of a benchmark's question",
        "p1": "question of a benchmark",
    }
    assert dropped.variants == {"exam": 1}


@pytest.mark.parametrize(
    ("asked", "other", "is_variant"),
    [
        ("What is the sum of 12, 3 and 4?", "What is the sum of 1, 23 and 4?", True),
        ("How many integers are in [1, 30]?", "How many integers are in (1, 30)?", False),
        ("Find f'(2) for f(x) = x^3.", "Find f(2) for f(x) = x^3.", False),
        ("Convert 101_2 to base 10.", "Convert 1012 to base 10.", False),
        ("Simplify (2x)^2 + 3x for all x.", "Simplify 2x^2 + 3x for all x.", False),
    ],
)
def test_signs_that_decide_make_another_problem(asked, other, is_variant, make):
    for left, right in ((asked, other), (other, asked)):
        found = judged(make, one_benchmark(make, left), right)
        assert (found.result.rejects, bool(found.variants)) == ([], is_variant)
        assert len(judged(make, one_benchmark(make, left), left.upper()).result.rejects) == 1


def test_a_word_that_only_looks_like_a_number_hides_no_leak(make):
    asked = "Ann has 12 apples and Bob has 7 apples. How many apples are there in all for both?"
    found = judged(make, one_benchmark(make, asked), asked.replace(" there", ""))
    assert len(found.result.rejects) == 1


def test_without_benchmarks_everything_stays(make):
    rows = [make(1), make(2)]
    assert decontaminate(rows, BenchmarkIndex({}), 0.5).result.kept == rows
    assert decontaminate([], one_benchmark(make, ASKED), 0.5).result.kept == []


# Of the kinds that benchmarks ask: formulas, hyphens, quotes, choices, contests, other scripts.
ASKED_IN_BENCHMARKS = [
    ASKED,
    SHORT,
    "Ann's \"lucky\" numbers have 3 digits each; none is a two-digit number's double. How many?",
    "The vertices of a regular $n$-gon lie on the $x$-axis or above it. For $n = 7$, how many do?",
    r"Let $f(x) = \frac{x^2 - 1}{x + 3}$ for real $x \neq -3$. Find $f\left(\frac12\right) + f(2)$",
    r"Find $\lim_{x \to 0} \frac{\sin 3x}{x} + \sqrt{2} - \sum_{k=1}^{4} k!$.",
    r"In triangle $ABC$ with $\angle A = 40^\circ$ and $\overline{AB} = 5$, find $\angle B$.",
    r"How many integers $n \leq 100$ have $n \equiv 3 \pmod{7}$, and $\gcd(n, 10) = 1$ as well?",
    r"The $n$th term of a sequence is $a_n = 2n + 1$. What is $a_1 + a_2 + \cdots + a_{10}$?",
    r"Let $A = \{x \mid x > 1\}$ and $B = \{0, 1, 2, 3\}$. How many members has $A \cap B$?",
    r"A $3 \times 4$ grid has 12 cells; what part of it, in percent, are the 6 cells at its sides?",
    "A well-known mother-in-law's 25-year-old car-dealer sells 4 cars a week. How many in 6 weeks?",
    "Which is largest?\n(A) 0.3\n(B) 1/3\n(C) 30%\n(D) 3/11",
    "Express the complex number $(2+3i)(1-i)$ as $a + bi$, and find $a - b$.",
    "已知 $a + b = 5$, $ab = 6$, 求 $a^2 + b^2$ 的值.",
]
ON_WORDS = ["{}", " {} ", r"\text{{{}}}", "**{}**"]
ON_NUMBERS = ["{}", "${}$", r"\({}\)", "$ {} $"]
ON_FORMULAS = [*ON_NUMBERS[1:], r"\( {} \)", "$$ {} $$", r"\[{}\]"]
ON_SIGNS = [
    (r"^\circ", r"^{\mathrm{o}}"),
    (r"\{x \mid", r"\{x :"),
    (r"$3 \times 4$", "3x4"),
    ("$n$th", "$n$-th"),
    (r"\overline", r"\bar"),
]
CASES = [str, str.upper, str.title, str.lower]
# A formula, a word or a number that stands alone, what is between words, or anything else.
PIECES = re.compile(
    r"\$(?P<formula>[^$]+)\$|(?<![^\s])(?:(?P<word>[A-Za-z]{2,})|(?P<number>\d+))(?=\s|[.?](?:\s|\Z))"
    r"|(?P<space>[.?]?\s+)|(?P<rest>[^\s$]+?(?=[\s$.?]|\Z)|.)"
)


def dressed_in(text, rng):
    """A question with its formulas, words, numbers and spaces written in one way or another."""

    def any_of(ways):
        return ways[rng.integers(len(ways))]

    def dress(found):
        piece = found[found.lastgroup]
        match found.lastgroup:
            case "formula":
                return any_of(ON_FORMULAS).format(piece)
            case "word":
                return any_of(ON_WORDS).format(any_of(CASES)(piece))
            case "number":
                return any_of(ON_NUMBERS).format(piece)
            case "space":
                mark = piece.strip()  # of a sentence's end: it may be left out
                return any_of([mark, ""]) + any_of([" ", "  ", "\n", "\t ", " <br> "])
        return piece

    for one, other in ON_SIGNS:
        text = text.replace(one, any_of([one, other]))
    return re.sub("^", any_of(["", "> "]), PIECES.sub(dress, text), flags=re.MULTILINE)


@pytest.mark.parametrize("asked", ASKED_IN_BENCHMARKS)
def test_planted_leaks_are_always_caught(asked, make):
    rng = np.random.default_rng(0)
    for dressed in [dressed_in(asked, rng) for _ in range(25)]:
        for benchmark, row in ((asked, dressed), (dressed, asked)):
            found = judged(make, one_benchmark(make, benchmark), row)
            assert [one.detail for one in found.result.rejects] == ["exam: b0"], dressed


@pytest.mark.parametrize("formula", [r"\(n\)", "$ n $", r"\( n \)", r"\[n\]", r"$\mathit{n}$"])
def test_a_dressed_formula_before_a_hyphen_hides_no_leak(formula, make):
    asked = "The vertices of a regular $n$-gon are red or blue. In how many ways, for $n = 7$?"
    dressed = asked.replace("$n$", formula)
    for benchmark, row in ((asked, dressed), (dressed, asked)):
        found = judged(make, one_benchmark(make, benchmark), row)
        assert [one.detail for one in found.result.rejects] == ["exam: b0"]


STEM = "In triangle ABC the angle at A has 40 degrees, and B has 60. What is the third angle?"
CHOICES = ("80 degrees", "90 degrees", "100 degrees", "70 degrees")
FORMS = {
    "Choices:": "\nChoices:\nA:{}\nB:{}\nC:{}\nD:{}",
    "Options:": " Options: (A) {} (B) {} (C) {} (D) {}",
    "lines": "\n(A) {}\n(B) {}\n(C) {}\n(D) {}",
    "points": " A. {} B. {} C. {} D. {}",
    "LaTeX": r" $\textbf{{(A)}}\ {}\qquad\textbf{{(B)}}\ {}\qquad\textbf{{(C)}}\ {}"
    r"\qquad\textbf{{(D)}}\ {}$",
    "no letters": "\nChoices:\n{}\n{}\n{}\n{}",
}


def with_choices(stem, form, choices=CHOICES):
    return stem + FORMS[form].format(*choices)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("stem", [STEM, "What is 17 + 25?"])
def test_choices_at_the_end_hide_no_leak(form, stem, make):
    asked = with_choices(stem, form)
    shuffled = with_choices(stem, form, CHOICES[::-1])
    told = f"{asked}\nAnswer with the option's letter from the given choices directly."
    rows = (stem, shuffled, f"{stem} Choose from A, B, C, D.", told, with_choices(stem, "points"))
    for benchmark in (asked, stem):
        found = judged(make, one_benchmark(make, benchmark), *rows)
        assert [one.problem["id"] for one in found.result.rejects] == ["p0", "p1", "p2", "p3", "p4"]


@pytest.mark.parametrize(
    "prompt",
    [
        "{}\n\nPlease reason step-by-step and put your choice letter in \\boxed{{}} in the end.",
        r"{} Let's think step by step and output the final answer within \boxed{{}}.",
        'What is right? {}\n\nRemember to put your answer on its own line after "Answer:".',
        "Question: {}\nAnswer:",
        "{}\n\nEnter the letter of the correct option.",
    ],
)
@pytest.mark.parametrize("form", ["lines", "points"])
def test_a_prompt_behind_choices_in_another_order_hides_no_leak(form, prompt, make):
    stem, numbers = "Which of the following is prime, of 20 to 30?", ("21", "23", "25", "27")
    index = one_benchmark(make, with_choices(stem, "lines", numbers))
    shuffled, other = (with_choices(stem, form, (last, *numbers[2::-1])) for last in ("27", "29"))
    found = judged(make, index, prompt.format(shuffled), prompt.format(other))
    assert [one.problem["id"] for one in found.result.rejects] == ["p0"]


def test_choices_of_two_sentences_may_stand_in_another_order(make):
    choices = ("It is 80. It is acute.", "It is 90. It is right.", "100. Wide.", "70. It is least.")
    index = one_benchmark(make, with_choices(STEM, "lines", choices))
    rows = [with_choices(one, "lines", choices[::-1]) for one in (STEM, STEM.replace("40", "50"))]
    assert [one.problem["id"] for one in judged(make, index, *rows).result.rejects] == ["p0"]


def test_the_code_of_a_figure_that_one_text_lacks_hides_no_leak(make):
    code = '[asy]\ndraw((0,0)--(40,7));\nlabel("\\\\end{tikzpicture}", (0,0));\n[/asy]'
    drawn = [f"{STEM} {code}", f"{code}\n{with_choices(STEM, 'lines')}"]
    other = STEM.replace("40", "50")
    for benchmark, row in ((drawn[0], STEM), (STEM, drawn[0]), (drawn[1], STEM), (STEM, drawn[1])):
        found = judged(make, one_benchmark(make, benchmark), row, other, f"{other} {code}")
        assert [one.problem["id"] for one in found.result.rejects] == ["p0"]
    redrawn = drawn[0].replace("(40,7)", "(9,7)")  # two figures may be all that differs
    assert judged(make, one_benchmark(make, drawn[0]), redrawn).result.rejects == []


@pytest.mark.parametrize("form", FORMS)
def test_other_numbers_or_another_question_before_the_same_choices_are_another_problem(form, make):
    index = one_benchmark(make, with_choices(STEM, form))
    others = (STEM.replace("40", "50"), STEM.replace("third", "least"), STEM.replace("60", "40"))
    rows = [with_choices(other, form) for other in others]
    assert judged(make, index, *rows, *others).result.rejects == []


def test_a_question_about_its_choices_is_the_same_with_the_same_ones_only(make):
    stem = "Which of the following numbers is a prime between 20 and 100?"
    index = one_benchmark(make, with_choices(stem, "lines", ("21", "23", "25", "27")))
    same = with_choices(stem, "points", ("27", "25", "23", "21"))
    other = with_choices(stem, "lines", ("33", "35", "37", "39"))
    found = judged(make, index, same, other, stem)
    assert [one.problem["id"] for one in found.result.rejects] == ["p0"]


def test_what_follows_lettered_statements_is_not_cut_off(make):
    values = "The chances add up to 0.7 and differ by {}. Find P(A) and P(B)"
    index = one_benchmark(make, values.format(0.1) + ", their sum.")
    assert judged(make, index, values.format(0.1) + ", their ratio.").result.rejects == []
    head = "A number n is given. (A) n is 7 or 9. (B) n is 8. "
    index = one_benchmark(make, head + "How many of them hold for all n?")
    rows = (head + "Is one of them true for n = 8?", head)
    assert judged(make, index, *rows).result.rejects == []


def test_a_short_question_without_numbers_needs_its_picture(make, make_seen):
    bare, asked = "Find the length of x.", with_choices("Find the length of x.", "Choices:")
    index = BenchmarkIndex({"shapes": [make(0, question=asked), make_seen(7, question=asked)]})
    rows = [make(1, question=bare), make_seen(7, question=bare), make_seen(8, question=bare)]
    found = decontaminate(rows, index, 0.5)
    assert [one.problem["id"] for one in found.result.rejects] == ["p7"]


@pytest.mark.parametrize(
    "prompt",
    [
        "Question: {}",
        "Problem 3. {}",
        "Solve the following problem: {}",
        "{} Answer with a number.",
        "{} Let's think step by step.",
        "Question: {} Please reason step by step, and put your final answer within \\boxed{{}}.",
    ],
)
def test_a_prompt_around_a_short_question_hides_no_leak(prompt, make):
    index = one_benchmark(make, SHORT)
    found = judged(make, index, prompt.format(SHORT), prompt.format("What is 17 + 26?"))
    assert [one.problem["id"] for one in found.result.rejects] == ["p0"]


def test_what_was_left_out_is_counted_by_the_benchmarks_question(make):
    rejects = [
        *(Reject(make(n), STEP, LEAK, "exam: b0") for n in range(2)),
        Reject(make(2), STEP, NUMBER_VARIANT, "exam: b1"),
        Reject(make(3), "near duplicates", "near duplicate question", "p1"),
    ]
    counts = RejectCounts()
    assert list(counts.passing(rejects)) == rejects
    assert counts.by_question == {LEAK: {"exam: b0": 2}, NUMBER_VARIANT: {"exam: b1": 1}}
    assert counts.total == 4


def test_a_cross_product_is_no_leak_of_a_dot_product(make):
    asked = r"Compute $\vec a \cdot \vec b$ for a = (1, 2, 0) and b = (3, 4, 0)."
    crossed = [asked.replace(r"\cdot", sign) for sign in (r"\times", "×")]
    bold = [one.replace("vec a", "mathbf{a}").replace("vec b", "mathbf{b}") for one in crossed]
    assert judged(make, one_benchmark(make, asked), *crossed, *bold).result.rejects == []
    found = judged(make, one_benchmark(make, crossed[0]), crossed[1])
    assert len(found.result.rejects) == 1
