import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.curation.decontamination import BenchmarkIndex, decontaminate

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


def test_without_benchmarks_everything_stays(make):
    rows = [make(1), make(2)]
    assert decontaminate(rows, BenchmarkIndex({}), 0.5).result.kept == rows
    assert decontaminate([], one_benchmark(make, ASKED), 0.5).result.kept == []


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_planted_leaks_are_always_caught(make, data):
    """Case, spaces, end marks and dollars around numbers, drawn word by word."""
    text = data.draw(st.sampled_from([ASKED, SHORT]))
    dressings = [str, str.upper, str.title, "${}$".format, " {} ".format, r"\text{{{}}}".format]
    words = [data.draw(st.sampled_from(dressings))(word.strip(".?")) for word in text.split()]
    dressed = data.draw(st.sampled_from([" ", "  ", "\n", "\t "])).join(words)
    found = judged(make, one_benchmark(make, text), dressed)
    assert [one.detail for one in found.result.rejects] == ["exam: b0"]
