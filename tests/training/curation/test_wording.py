import pytest

from training.curation.wording import holds, read, same_problem

DRESSED = [
    ("What is 3*x + 1?", r"What is $3 \times x+1$ ?"),
    ("Is x <= 2?", r"is \(x \leq 2\)"),
    ("What is 1/2 of 1,000 apples?", r"What is $\dfrac{1}{2}$ of $1{,}000$ apples"),
    ("Find (x + 1)/(2).", r"Find $\frac{x+1}{2}$"),
    ("Find sqrt of 2^(n+1)", r"Find sqrt of \(2^{n+1}\)"),
    ("The side is 5 cm. What is the area?", r"The side is $5\text{ cm}$. What is the area?"),
    ("x(y + 2)", r"$x\left( y+2 \right)$"),
    ("x^2 + 1", "x² + 1"),
    ("x^-1 + a*b", r"$x^{-1} \text{+ } \mathrm{a \cdot b}$"),
    (r"$\binom{n+1}{2}$", r"$\dbinom{n+1}{2}$"),
    (r"$\binom{n+1}{2}$", r"${n+1 \choose 2}$"),
    (r"$\tbinom n2$", r"$n \choose 2$"),
    ("What is 3?", "Question: what is 3? Let's think step by step."),
    ("What is 3?", r"Please solve the following problem. Problem 3. What is 3?"),
    (
        "What is 3?",
        r"What is 3? Reason step by step and put your final answer in \boxed{}.",
    ),
    ("It has 7.50 and 0.5", "it  has 7.5, and .5?"),
]
DIFFERENT = [
    ("2(3 + 4)", "2*3 + 4"),
    ("(a + b)c", "a + bc"),
    (r"$\sqrt{x} + 1$", r"$\sqrt{x + 1}$"),
    ("x2", "x²"),
    ("1, 23", "12, 3"),
    ("-5", "5"),
    ("A ∪ B", "A ∩ B"),
    ("5!", "5"),
    ("x_1 + 3", "x_2 + 3"),
    ("3(-5)", "3 - 5"),
    (r"$\frac{1}{23}$", r"$\frac{12}{3}$"),
]


@pytest.mark.parametrize(("plain", "dressed"), DRESSED)
def test_dressing_is_not_read(plain, dressed):
    assert read(plain).tokens == read(dressed).tokens


@pytest.mark.parametrize(("left", "right"), DIFFERENT)
def test_what_decides_is_read(left, right):
    assert read(left).key != read(right).key


STORY = "Ann has 12 apples and Bob has 7 apples. How many apples does Ann have more than Bob?"
EDITED = {
    "a typing error": STORY.replace("apples.", "aples."),
    "a filler": "Read carefully: " + STORY,
    "how to answer": STORY + " Give your answer as a whole number.",
    "another way to ask": "A train goes at 60 km an hour. Compute its speed in metres a second.",
}
OTHER = {
    "names exchanged": STORY.replace("does Ann", "does Bob").replace("than Bob", "than Ann"),
    "the other way": STORY.replace("more", "fewer"),
    "another number": STORY.replace("12", "13"),
    "another question": STORY.replace("How many apples does Ann have more than Bob?", "Who wins?"),
    "negated": STORY.replace("Bob has 7", "Bob has not 7"),
    "words exchanged in the middle": STORY.replace("Ann has 12", "Bob has 12").replace(
        "Bob has 7", "Ann has 7"
    ),
}


@pytest.mark.parametrize("edit", EDITED)
def test_an_edit_leaves_a_problem_the_same(edit):
    plain = STORY
    if edit == "another way to ask":
        plain = "A train goes at 60 km an hour. Find its speed in metres a second."
    assert same_problem(read(plain), read(EDITED[edit]))
    assert same_problem(read(EDITED[edit]), read(plain))


@pytest.mark.parametrize("change", OTHER)
def test_a_change_of_meaning_makes_another_problem(change):
    assert not same_problem(read(STORY), read(OTHER[change]))
    assert not same_problem(read(OTHER[change]), read(STORY))


def test_a_row_holds_a_question_inside_a_longer_text():
    assert holds(read(f"Here is a riddle. {STORY} Thank you, and 5 greetings."), read(STORY))
    assert not holds(read(f"Here is a riddle. {OTHER['the other way']}"), read(STORY))


def test_signs_of_other_scripts_decide():
    assert not same_problem(read("最大的数是多少"), read("最小的数是多少"))


def test_groups_are_opened_to_a_bounded_depth_and_hide_nothing_beyond():
    nested = read("{" * 40 + "x+1" + "}" * 40)
    assert nested.tokens == ("(",) * 16 + ("x", "+", "1") + (")",) * 16
    assert read(r"\text{" * 40 + STORY + "}" * 40).tokens == read(STORY).tokens


def test_brackets_as_deep_as_a_text_is_long_are_read():
    """A pass over each bracket's content took hours."""
    assert read("(" * 2**17 + "x" + ")" * 2**17).tokens == ("x",)
    assert read("((x)+(y))(z)").tokens == ("(", "x", "+", "y", ")", "z")
