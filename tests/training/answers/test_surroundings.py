"""Where what stands before a box is looked for: nowhere else would it be found."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from training.answers.surroundings import _BEFORE, denied_or_part

PARTS = (
    *("\\frac", "\\sqrt", "\\log", "\\text", "\\neq", "\\{", "\\", "{", "}", "(", "[", ",", ", "),
    *(
        " ",
        "\n",
        "$",
        "-",
        "+",
        "^",
        "_",
        "<",
        "≤",
        "!=",
        "1",
        "23",
        "4.",
        "x",
        "ab",
        "is ",
        "are ",
    ),
    *("not ", "n't ", "equal to ", "minus ", "between ", " and ", "less than ", "half of ", " or "),
    *("square root of ", "A long sentence that says nothing. ", " " * 12, "{12}", "x" * 90),
)
TEXTS = st.lists(st.sampled_from(PARTS), max_size=30).map("".join)


@given(TEXTS)
@settings(max_examples=500)
@example("\\frac{" + "1 + " * 100 + "1}{")
@example("\\frac{1}{2}" * 30 + " = \\sqrt{" + "x" * 300)
@example(": " + ", ".join(["12"] * 60) + ", ")
@example("are $2$" + ", $3$" * 30 + ", $")
@example("not" + " " * 200)
@example("x" * 99 + "\\{" + "a" * 60)
@example("x" * 300 + " between " + "a" * 20 + " and ")
def test_the_end_is_enough(text):
    assert denied_or_part(text) == (_BEFORE.search(text) is not None)
