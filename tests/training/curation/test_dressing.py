"""One question in two writings is read alike, and what decides its answer is read."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.twins.changes import VARIANTS
from experiments.twins.corpus import draw
from experiments.twins.dressings import DRESSINGS
from training.curation.decontamination import Asked, BenchmarkIndex
from training.curation.wording import read

ALIKE = [
    (r"It has $30^\circ$C", "It has 30 °C"),
    (r"An angle of $30^\circ$", "An angle of 30 degrees"),
    (r"$12\%$ of it", "12 percent of it"),
    (r"Sell $n$ for \$n", "Sell n for $n$"),
    ("* red\n* blue", "• red\n• blue"),
    (r"$\left\lfloor\frac{n}{2}\right\rfloor$", "⌊n/2⌋"),
    (r"$\frac{1}{\sqrt{2}+1}$", "1/(√2+1)"),
    (r"$A \setminus B$", r"$A \backslash B$"),
    (r"An angle is $30^\circ$ and the other twice.", "An angle is 30° and the other twice."),
    (r"An angle is $30^\circ$ and", r"An angle is $30\degree$ and"),
    (r"An angle is $30^{\circ}$ and", "An angle is 30º and"),
    (r"An angle is $30^{\circ}$ and", "An angle is 30˚ and"),
    (r"$\angle A = 30^\circ$ and $\angle B = 70^\circ$", "∠A = 30° and ∠B = 70°"),
    (r"$\angle A = 30^\circ$", "angle A = 30°"),
    (r"Find $\sin 30^\circ$", r"Find sin 30^\circ"),
    (r"$\log_2 8$", "log_2 8"),
    (r"$\gcd(4,6)$", "gcd(4, 6)"),
    (r"$\operatorname{lcm}(4,6)$", "lcm(4, 6)"),
    (r"$\theta + \alpha$", "θ + α"),
    (r"$2\theta$", "2 theta"),
    (r"$\sin\theta\cos\varphi$", "sin θ cos ϕ"),
    (r"$\alpha\beta$", "αβ"),
    (r"$2\pi r$", "2πr"),
    (r"$2\pi r$", "2 pi r"),
    (r"$\alpha - \beta$", "alpha - beta"),
    (r"$\sin x - \cos x$", "sin x - cos x"),
    (r"$a \in \{1,2\}$", "a ∈ {1,2}"),
    (r"$\sum_{i=1}^4 i$", "∑_{i=1}^4 i"),
    (r"$\lfloor 3.7\rfloor$", "⌊3.7⌋"),
    (r"$\left\lceil 3.7\right\rceil$", "⌈3.7⌉"),
    (r"$1+2+\ldots+100$", "1+2+...+100"),
    (r"$1+2+\dots+100$", "1+2+…+100"),
    (r"$1+2+\cdots+100$", "1 + 2 + ⋯ + 100"),
    (r"$a_1, a_2, \ldots, a_n$", "a_1,a_2,...,a_n"),
    (r"$a_1, a_2, \ldots , a_n$ are. Find it", "a₁, a₂, ... , aₙ are. Find it"),
    (r"$\left(\frac34\right)^2$", r"\bigl(\frac34\bigr)^2"),
    (r"$\left(\frac34\right)^2$", "(3/4)^2"),
    ("$|x-3|$", r"$\lvert x-3\rvert$"),
    ("$|x-3|$", r"$\left| x-3\right|$"),
    ("$|x-3|$", r"$\bigl|x-3\bigr|$"),
    (r"$x\equiv 3 \pmod{5}$", "x ≡ 3 (mod 5)"),
    (r"$x\equiv 3 \pmod 5$", "x ≡ 3 (mod 5)"),
    (r"$x\equiv 3 \pmod{p-1}$", "x ≡ 3 (mod p-1)"),
    (r"$7 \bmod 5$", "7 mod 5"),
    (r"$x \neq 3$", r"$x \not= 3$"),
    (r"$x \neq 3$", "x != 3"),
    (r"$x \neq 3$", "x ≠ 3"),
    (r"$x \notin A$", r"$x \not\in A$"),
    (r"$x \not\equiv 1$", "x ≢ 1"),
    (r"$\mathbb{R}$", "ℝ"),
    (r"$\mathbb{R}$", "R"),
    (r"$\mathbb R$", r"$\mathbf{R}$"),
    (r"$\sqrt[3]{8}$", "∛8"),
    (r"$\sqrt[3]{8}$", "sqrt[3](8)"),
    (r"$\sqrt3$", "√3"),
    (r"$\sqrt{3}$", r"$\sqrt 3$"),
    (r"$\sqrt{3}$", "sqrt(3)"),
    (r"$\sqrt{x+1}$", "√(x+1)"),
    (r"$\binom{5}{2}$", r"$\binom52$"),
    (r"$\binom{5}{2}$", r"${5 \choose 2}$"),
    (r"$\binom{n+1}{2}$", r"${{n+1} \choose {2}}$"),
    (r"$\overline{AB} = 5$", "AB = 5"),
    (r"In $\triangle ABC$", "In triangle ABC"),
    (r"In $\triangle ABC$", "In △ABC"),
    ("\\begin{align*} x+y&=3 \\\\ x-y&=1 \\end{align*}", "$x+y=3$, $x-y=1$"),
    ("\\[\\left\\{\\begin{array}{l} x+y=3 \\\\ x-y=1 \\end{array}\\right.\\]", "x+y=3, x-y=1"),
    ("$5!/3!$", "5 ! / 3 !"),
    ("3/4 or 5/6, and by how much", "3/4 or 5/6 -- and by how much"),
    ("3/4 or 5/6, and by how much", "3/4 or 5/6 — and by how much"),
    ("3/4 or 5/6, and by how much", "3/4 or 5/6 - and by how much"),
    ("12 **red** balls", "12 red balls"),
    ("12 *red* balls", "12 red balls"),
    ("12 __red__ balls", "12 red balls"),
    ("Find **12** of `them`", "Find 12 of them"),
    (r"$\frac{\sqrt{3}}{2}$", r"$\sqrt{3}/2$"),
    (r"$\frac{x+1}{2^{n}}$", "(x+1)/2^n"),
    (r"$\frac{1}2$", "1/2"),
    (r"$\frac ab$", "a/b"),
    (r"$\frac{\frac12}{3}$", "(1/2)/3"),
    (r"${a \over b}$", "a/b"),
    ("$2^{-3}$", "2^(-3)"),
    ("$2^{-3}$", "2⁻³"),
    ("$2^{n+1}$", "2ⁿ⁺¹"),
    (r"$2\frac12$", "2½"),
    ("$e^{xy}$", "e^(xy)"),
    (r"the $10^{\text{th}}$ term", "the 10th term"),
    ("the $10^{th}$ term", "the 10th term"),
    ("a 3-digit number", "a 3 digit number"),
    ("$x$-axis", "x-axis"),
    (r"$\mathit{x}$-axis", "x-axis"),
    (r"$\theta$-axis", "θ-axis"),
    (r"a \(3\)-digit number", "a $3$-digit number"),
    (r"the \( xy \)-plane", "the $xy$-plane"),
    ("the $ xy $-plane", "the $xy$-plane"),
    (r"$\lim_{x \to 0} f(x)$", "lim_{x→0} f(x)"),
    (r"$\lim_{x \to 0} f(x)$", "lim_{x->0} f(x)"),
    (r"$A \cup B$", "A ∪ B"),
    (r"$\mathrm{A} \cap \emptyset$", "A ∩ ∅"),
    ("ratio 3:4", "ratio $3 : 4$"),
    ("f(x) = x**2 + 1", "f(x) = x^2+1"),
    (r"\[\boxed{5}\hspace{1cm}+3\]", "5+3"),
    ("((x+1))^2", "(x+1)^2"),
    (r"$x\leqslant 3$", "x ≤ 3"),
    (r"$\infty$", "∞"),
    (r"$\infty$", "infinity"),
    ("Thanks!", "Thanks ."),
    ("### Problem 3.\nWhat is 5?", "What is 5?"),
    (r"$x \in [0, \infty)$", "x∈[0,∞)"),
    (r"$\vec{a}$", r"$\vec a$"),
    (r"$f\circ g$", "f∘g"),
    (r"$\Delta ABC$ + $\Omega$", "ΔABC + Ω"),
    (r"$\|x\|$", r"$\lVert x\rVert$"),
    (r"the $3^{rd}$, $21^{\text{st}}$ and $11^{th}$ of them", "the 3rd, 21st and 11th of them"),
    ("- red\n- blue", "* red\n* blue"),
    ("Ann - who has 5 - and Bob", "Ann, who has 5, and Bob"),
    ("$n!=120$", "n! = 120"),
    (r"$1, 3, \ldots, 99$", "1, 3, …, 99"),
    ("Well... it is 5", "Well, it is 5"),
    (
        r"$\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}$",
        "$\\begin{pmatrix}1&2\\\\\n3&4\\\\ \\end{pmatrix}$",
    ),
    ("$a_1, a_2, \\ldots, a_n$", "a_1 a_2 ... a_n"),
    (r"the $n^{\text{th}}$ term", "the nth term"),
    (r"the $n$-th term", r"the \(n\)th term"),
    (r"the $n^{th}$ term", "the $n$th term"),
    (r"the $10$-th term", "the 10th term"),
    (r"the $(n+1)^{\text{th}}$ term", "the (n+1)-th term"),
    (r"$30^{\mathrm{o}}$", r"$30^\circ$"),
    (r"$x^{o}$", "x°"),
    ("a 3x3 grid", r"a $3\times 3$ grid"),
    ("a 2 x 3 x 4 box", r"a $2 \times 3 \times 4$ box"),
    ("> What is\n> 5 + 5?", "What is 5 + 5?"),
    ("Solve this.\n\n> What is 5?", "Solve this.\n\nWhat is 5?"),
    ("What is 5?<br/>Or 6?<br>", "What is 5? Or 6?"),
    (r"$x \in \R$, $n \in \ZZ$", r"$x \in \mathbb{R}$, $n \in \mathbb{Z}$"),
    (r"$\bar z$", r"$\overline{z}$"),
    (r"$\bar{AB} = 5$", "AB = 5"),
    (r"$\{x : |x| < 3\}$", r"$\{x \mid |x| < 3\}$"),
    (r"$\{(x, y) : x = y\}$", r"$\{(x, y) | x = y\}$"),
]
OTHERS = [
    ("e^{-xy}", "e^{-x}y"),
    (r"\sqrt{xy}", r"\sqrt{x}y"),
    (r"\frac{x}{yz}", r"\frac{x}{y}z"),
    ("2^{-ab}", "2^{-a}b"),
    (r"\overline{ab}", r"\overline{a}b"),
    ("3:4", "3,4"),
    ("f^{-1}(3)", "f^{-1(3)}"),
    ("(A ∪ B) ∩ C", "A ∪ (B ∩ C)"),
    (r"0.\overline{3}", "0.3"),
    ("5 - 3", "5 3"),
    ("x -- 3", "x 3"),
    (r"\sin 30^\circ", r"\sin 30"),
    (r"x\in A", r"x\notin A"),
    (r"\theta+1", r"\alpha+1"),
    ("n!", "n"),
    ("(n+1)!", "n+1"),
    (r"\sin x - \cos x", r"\sin x \cos x"),
    (r"\sqrt[3]{2x}", r"\sqrt[3]{2}x"),
    (r"\binom{5}{2}", r"\frac52"),
    ("cos x", "sin x"),
    ("x - two", "x two"),
    (r"\bar z+1", "z+1"),
    (r"\vec{AB}", "AB"),
    ("2 * 3 * 4", "2 3 4"),
    ("Is a *b* c", "Is a b c"),
    ("3 *x* y", "3 x y"),
    (r"\alpha-\beta", r"\alpha\beta"),
    (r"x \to 0", "x - 0"),
    (r"1 \over 2", "1 2"),
    ("f(3)^2", "f(3^2)"),
    ("f'(3)^2", "f'(3^2)"),
    ("(f + g)(3)^2", "(f + g)(3^2)"),
    (r"\sin(x)^2", r"\sin(x^2)"),
    (r"\log_2(8)^2", r"\log_2(8^2)"),
    ("2^{st}", "2st"),
    ("5 - speed", "5 speed"),
    ("x - abs y", "x abs y"),
    ("is revenue - cost", "is revenue cost"),
    (r"\text{revenue} - \text{cost}", r"\text{revenue} \text{cost}"),
    ("is -five", "is five"),
    ("is $-abc$", "is $abc$"),
    (r"is \(-abc\)", r"is \(abc\)"),
    ("between -ten and ten", "between ten and ten"),
    ("n!=120", "n≠120"),
    ("{1, 2, ..., 10}", "{1, 2, 10}"),
    ("the $n$th term", "the $k$th term"),
    ("2x = 3", "2 * 3"),
    ("x\n> 5", "x 5"),
    ("3^{a}", "3°"),
    (r"\{3:4\}", r"\{3|4\}"),
    ("f(x)-th(x)", "f(x) th(x)"),
    ("1+2+...+10", "1+2+10"),
    (
        r"\begin{pmatrix}1&2\\2&4\end{pmatrix}",
        r"\begin{pmatrix}1&2&2&4\end{pmatrix}",
    ),
]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_two_writings_of_one_thing_are_read_alike(one, other):
    assert (read(one).tokens, read(one).key) == (read(other).tokens, read(other).key)


@pytest.mark.parametrize(("one", "other"), OTHERS)
def test_what_decides_is_no_dressing(one, other):
    assert read(one).key != read(other).key
    assert read(one).squeezed != read(other).squeezed


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    kinds=st.sets(st.sampled_from(sorted(DRESSINGS)), min_size=1),
)
def test_no_dressings_together_hide_a_leak_or_a_changed_number(make, seed, kinds):
    rng = np.random.default_rng(seed)
    asked = draw(rng)
    dressed, variant = asked.question, VARIANTS["all numbers changed"](asked, rng)
    for kind in (kind for kind in DRESSINGS if kind in kinds):  # in the order of the list
        dressed, variant = (DRESSINGS[kind](text, rng) for text in (dressed, variant))
    index = BenchmarkIndex({"exam": [make(0, question=asked.question)]})
    rows = [Asked(make(1, question=dressed)), Asked(make(2, question=variant))]
    leaks, _ = index.search(rows, 0.5)
    assert leaks == {0: 0}, dressed


HOSTILE = (
    "{x+",
    r"\frac",
    r"\frac{",
    r"\text{a",
    r"\overline{",
    "**a ",
    "*ab",
    "^ ",
    "- ",
    "—-",
    "..",
    r"\begin{pmatrix}\\",
)


@pytest.mark.parametrize("piece", [*HOSTILE, ". ", ":", "(x", "'"])
def test_a_hostile_text_is_read_in_a_pass(piece):
    """What looked at the rest of the text for each of these took hours."""
    assert read(f"What is 3? {piece * (2**17 // len(piece))}").tokens[:3] == ("what", "is", "3")
