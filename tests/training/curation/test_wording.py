import pytest

from training.curation.wording import holds, read, same_problem
from training.curation.words import DECIDING, OWN

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
    ("It has 12,000 of 1,500", r"It has $12,\!000$ of $1\,500$"),
    ("It has 12,000", "It has 12\u202f000"),
    ("Find f'(2) + g''(x).", r"Find $f^{\prime}(2) + g^{\prime\prime}(x)$"),
    ("Find f'(2) + g''(x).", "find f′(2) + g″(x)"),
    ("Is A'B'C' a triangle?", r"Is $A^\prime B^\prime C^\prime$ a triangle"),
    ("Tom's x's aren't 'a' or the boys' ones.", 'Toms xs arent "a" or the boys ones'),
    ("Find x_1 + 10_2", r"Find $x_{1} + 10₂$"),
    ("Is x in [1, 30)?", r"Is $x$ in \(\left[1; 30\right)\)"),
    ("[Hint: draw it.] What is 3 [5 marks]?", "Hint: draw it. What is 3 (5 marks)?"),
    (r"\\[ x + 1 \\]", r"\[ x + 1 \]"),
    ("2x/3 + (2x)^2 + 1/(2x)", r"$\frac{2x}{3} + \left(2x\right)^{2} + \dfrac{1}{2x}$"),
    ("e^(2x) + √(3y)", r"$e^{2x} + \sqrt{3y}$"),
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
    ("Find f'(2)", "Find f(2)"),
    ("Find f''(2)", "Find f'(2)"),
    ("the triangle A'B'C'", "the triangle ABC"),
    ("y'' + y' = 0", "y' + y' = 0"),
    ("in [1, 30]", "in (1, 30)"),
    ("in [-1, 30]", "in (-1, 30)"),
    ("in [1, 30]", "in [1, 30)"),
    ("in (1, 30]", "in (1, 30)"),
    ("in [0, infinity)", "in (0, infinity)"),
    ("2[x] + 1", "2x + 1"),
    ("(2x)^2", "2x^2"),
    ("(3! 2 n)!", "3! 2 n!"),
    (r"$\frac{1}{2x}$", r"$\frac{1}{2}x$"),
    (r"$e^{2x}$", r"$e^{2}x$"),
    (r"$\sqrt{2x}$", r"$\sqrt{2}x$"),
    ("Convert 101_2", "Convert 1012"),
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


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("1, 23 and 4", "1,23 and 4"),
        ("12, 345 and 4", "12,345 and4"),  # a number of thousands or two: nobody can tell
        ("f (x y)", "f(xy)"),
    ],
)
def test_no_way_to_set_spaces_makes_a_difference(text, same):
    assert read(text).squeezed == read(same).squeezed


def test_where_a_number_ends_does_make_one():
    assert read("1, 23 and 4").squeezed != read("12, 3 and 4").squeezed


@pytest.mark.parametrize("word", sorted(OWN))
def test_a_word_of_its_own_right_misspells_no_other(word):
    """Each of the list is one slip from a deciding word, or it need not be there."""
    asked = "How many apples are in all?"
    assert read(f"How many {word} apples are in all?").key == read(asked).key
    near = (other for other in DECIDING if len(other) > 5)
    assert word not in DECIDING and any(is_one_slip(word, other) for other in near)


def is_one_slip(word, other):
    """By making every slip."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    cuts = [(word[:n], word[n:]) for n in range(len(word) + 1)]
    slips = {a + c + b for a, b in cuts for c in letters}
    slips |= {a + c + b[1:] for a, b in cuts for c in ("", *letters)}
    return other in slips | {a + b[1] + b[0] + b[2:] for a, b in cuts if len(b) > 1}


@pytest.mark.parametrize("word", ["there", "tiles", "light", "water", "price", "power"])
def test_a_short_word_misspells_no_deciding_one(word):
    asked = "How many apples are in all?"
    assert same_problem(
        read(f"How many apples are {word} in all? Who asks?"), read(f"{asked} Who asks?")
    )


def test_a_row_holds_a_question_inside_a_longer_text():
    assert holds(read(f"Here is a riddle. {STORY} Thank you, and 5 greetings."), read(STORY))
    assert not holds(read(f"Here is a riddle. {OTHER['the other way']}"), read(STORY))


def test_signs_of_other_scripts_decide():
    assert not same_problem(read("最大的数是多少"), read("最小的数是多少"))


def test_groups_are_opened_to_a_bounded_depth_and_hide_nothing_beyond():
    nested = read("{" * 40 + "x+1" + "}" * 40 + "y")
    assert nested.tokens == ("(", "x", "+", "1", ")", "y")
    assert read(r"\text{" * 40 + STORY + "}" * 40).tokens == read(STORY).tokens


def test_brackets_as_deep_as_a_text_is_long_are_read():
    """A pass over each bracket's content took hours."""
    assert read("(" * 2**17 + "x" + ")" * 2**17).tokens == ("x",)
    assert read("((x)+(y))(z)").tokens == ("(", "x", "+", "y", ")", "z")
