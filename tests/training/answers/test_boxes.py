"""What stands around a box: what belongs to the answer, and what makes the box a part of more."""

import pytest

from training.answers import extract_boxed
from training.answers.boxed import extract_labelled
from training.answers.verifier import verify_in_process


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        # a member of something, or a bound
        (r"$x \in \{\boxed{5}, 6\}$", None),
        (r"$\{6, \boxed{5}\}$", None),
        (r"$(\boxed{5}, 6)$", None),
        (r"$(6, \boxed{5})$", None),
        (r"(\boxed{5})", "5"),
        (r"$x > \boxed{5}$", None),
        (r"$x \ge \boxed{5}$", None),
        (r"$\boxed{5} < x$", None),
        (r"$\boxed{5} = 6$", None),
        (r"$6 = \boxed{5}$", None),
        (r"$5 = \boxed{5}$", "5"),
        (r"$2 + 3 = \boxed{5}$", "5"),
        (r"$\log \boxed{5}$", None),
        (r"$\boxed{5}!$", None),
        (r"$\boxed{5} \pm 1$", None),
        # denied, or beside others
        (r"It cannot be $\boxed{5}$.", None),
        (r"It isn't $\boxed{5}$.", None),
        (r"$\boxed{5}$ is wrong.", None),
        (r"$\boxed{5}$, no wait, 6", None),
        (r"$\boxed{5}$ (alternatively $6$)", None),
        (r"$\boxed{5}$ is right.", "5"),
        (r"$\boxed{5}$ or so", None),
        (r"$\boxed{5}$ or more", None),
        (r"at least $\boxed{5}$ are needed", "5"),
        (r"$x \in \boxed{[1,2]}$", "[1,2]"),
        (r"$\boxed{8}$ pairs", "8 pairs"),
        (r"less than $\boxed{5}$", None),
        (r"between $4$ and $\boxed{5}$", None),
        (r"twice $\boxed{5}$", None),
        (r"the square root of $\boxed{5}$", None),
        (r"minus $\boxed{5}$", None),
        (r"$\boxed{5}$ plus 1", None),
        (r"$\boxed{5}$ to $6$", None),
        (r"$\boxed{5}$--$6$", None),
        (r"Is it $\boxed{5}$?", None),
        (r"~~$\boxed{5}$~~", None),
        (r"$\cancel{\boxed{5}}$", None),
        (r"$\overline{\boxed{5}}$", None),
        (r"$\mathbf{\boxed{5}}$", "5"),
        # a formula that goes on
        (r"$\boxed{5} x$", None),
        (r"\[\boxed{5} \bmod 7\]", None),
        (r"$|\boxed{5}|$", None),
        (r"$\boxed{5} \cup \{6\}$", None),
        (r"$\boxed{5} \text{ km} + 1$", None),
        (r"$\boxed{5} \text{ or } 6$", None),
        (r"$$x = \boxed{5}.$$ We are done, and $x > 4$.", "5"),
        (r"$x = \boxed{5} \text{, as wanted} \quad \blacksquare$", "5"),
        (r"It is $20, she pays: \boxed{5}, which leaves $15.", "5"),
        (r"<answer>\boxed{5}</answer>", "5"),
        (r"\boxed{5} </answer>", "5"),
        (r"\boxed{5}<|im_end|>", "5"),
        (r"\boxed{5}<br> or 6", None),
        (r"\boxed{5} < 6", None),
        (r"> \boxed{5}", "5"),
        (r"=> \boxed{5}", "5"),
        (r"1. \boxed{5}", "5"),
        (r"x > \boxed{5}", None),
        (r"0.\boxed{5}", None),
        (r"\boxed{5}:2", None),
        (r"\text{\boxed{5}}^2", None),
        (r"\boxed{5} more than 2", None),
        (r"\boxed{5} and a half", None),
        (r"\boxed{5}, no, 6", None),
        (r"\boxed{5}. Actually, it is 6.", None),
        ("\\boxed{12}.\n\nNo 5 is left over.", "12"),
        (r"\boxed{12}. No 5 is left over.", "12"),
        (r"\boxed{12}. Actually, the 13 others left.", "12"),
        ("\\boxed{12}.\nHmm, is it 13?", None),
        ("\\boxed{12}.\n\nWait, it is 13.", None),
        ("\\boxed{12}.\n\nActually, it is 13.", None),
        (r"\boxed{12} more than twice that", None),
        ("So he has 12.\n\\boxed{12}", "12"),
        ("= 12.\n\\boxed{12}", "12"),
        ("$12.\n\\boxed{12}", "12"),
        ("7 +\n\\boxed{5}", None),
        ("<answer>\n\\boxed{5}\n</answer>", "5"),
        (r"Tom has \boxed{5} more than Ann.", "5"),
        (r"\boxed{12} less than Mary", "12"),
        (r"\boxed{12} fewer than before", "12"),
        (r"$\boxed{5}$ less than $x$", None),
        (r"\boxed{5} greater than -2", None),
        (r"<answer>$\boxed{5}$</answer>", "5"),
        (r"**$\boxed{5}$**", "5"),
        # what belongs to it
        (r"$\boxed{30}^\circ$", r"30^\circ"),
        (r"$\boxed{30}^{\circ}$", r"30^\circ"),
        (r"\boxed{30}°", r"30^\circ"),
        (r"$\boxed{30}_5$", "30_5"),
        (r"$\boxed{5} \text{ km}$", "5 km"),
        (r"$\boxed{5}$ km", "5 km"),
        (r"$\boxed{5}\,\mathrm{cm}^2$", "5 cm^2"),
        (r"$\boxed{30}$ cm$^2$", "30 cm^2"),
        (r"$\boxed{5}$ miles per hour", "5 miles per hour"),
        (r"$\boxed{5} \text{ boys}$", "5 boys"),
        (r"$\boxed{5}$ in total", "5"),
        (r"$\boxed{5}$ times he won", "5"),
        (r"$\boxed{5} \text{ dozen}$", None),
        (r"$\boxed{5} \text{ squared}$", None),
        (r"$\boxed{5}^2$", None),
        (r"$\boxed{50}$%", "50%"),
        (r"$\boxed{50}$\%", "50%"),
        (r"<Answer>\boxed{5}</Answer>", "5"),
        ("\\boxed{15}\n\n- 7 is the first number", "15"),
        (r"$\boxed{15} - 7$", None),
        (r"$\boxed{10\pi} \approx 31.4$", r"10\pi"),
        (r"$\boxed{10\pi} \approx 31.4 + 1$", None),
        (r"\huge{\boxed{5}}", "5"),
    ],
)
def test_what_is_extracted(text, answer):
    assert extract_boxed(text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"$y = \boxed{5}$", "y = 5"),
        (r"So $x_1 = \boxed{5}$.", "x_1 = 5"),
        (r"\[AB = \boxed{5}\]", "AB = 5"),
        (r"$2y = \boxed{5}$", "5"),
        (r"$f(x) = y = \boxed{5}$", "5"),
        (r"$y = \boxed{x = 5}$", "x = 5"),
        (r"\boxed{5}", "5"),
        (r"$a = \boxed{3}$ and $b = \boxed{4}$", "3 or 4"),
        ("5", None),
    ],
)
def test_the_name_before_a_box(text, answer):
    assert extract_labelled(text) == answer


@pytest.mark.parametrize(
    ("question", "text", "right"),
    [
        ("Find $x$.", r"$y = \boxed{5}$", False),
        ("Find $x$.", r"$x = \boxed{5}$", True),
        ("How many apples are left?", r"$x = \boxed{5}$", True),
        ("What is the radius?", r"$d = \boxed{5}$", False),
        ("How many metres is it?", r"$\boxed{5}$ km", False),
        ("How many metres is it?", r"$\boxed{5}$ m", True),
        ("How many girls are there?", r"$\boxed{5} \text{ boys}$", False),
        ("Find the angle.", r"$\boxed{5}^\circ$", True),
    ],
)
def test_it_is_judged(question, text, right):
    assert (verify_in_process(text, "5", question) == "right") is right


@pytest.mark.parametrize(
    ("response", "reference", "outcome"),
    [
        ("so \\boxed{5,000}\n\\boxed{5000}", "5000", "right"),
        (r"$\boxed{0.5}$ $$\boxed{\frac12}$$", r"\frac12", "right"),
        (r"\boxed{x=2} or \boxed{2}", "2", "right"),
        (r"\boxed{2\sqrt{2}}, \boxed{\sqrt{8}}", r"\sqrt{8}", "right"),
        (r"\boxed{3} or \boxed{4}", "3 or 4", "right"),
        (r"\boxed{5,000} \boxed{5001}", "5000", "wrong"),
        (r"\boxed{0.67} \boxed{2/3}", r"\frac23", "wrong"),
        (r"\boxed{2 + 3} \boxed{5}", "5", "wrong"),  # work left undone is no answer by itself
        (r"\boxed{7} \boxed{7.0} \boxed{8}", "7", "wrong"),
    ],
)
def test_boxes_side_by_side_are_right_if_each_is(response, reference, outcome):
    assert verify_in_process(response, reference) == outcome
