"""Generated word problems: few templates and many numbers, the worst case for finding twins."""

from dataclasses import dataclass

import numpy as np

from training.records import Problem

# Each body presents its givens, and each of its asks makes another problem of them.
TEMPLATES: dict[str, tuple[str, ...]] = {
    "A baker fills {a} trays with {b} rolls each and keeps {c} of the rolls for the evening, "
    "while {n} carries the others to the market in the old town.": (
        "How many rolls does {n} carry to the market?",
        "How many rolls would there be with 3 trays more?",
    ),
    "{n} has {a} marbles and {m} has {b} marbles. During the break {n} gives {c} marbles to {m}, "
    "and nobody else plays with them on that day.": (
        "How many marbles does {m} have at the end of the day?",
        "How many marbles does {n} have at the end of the day?",
    ),
    "A train leaves the harbour at noon and goes {a} kilometres an hour for {b} hours, waits at "
    "a bridge for {c} minutes, and goes on to the mountains at the same speed.": (
        "How many kilometres has the train gone when it stops at the bridge?",
        "After how many minutes does the train leave the bridge?",
    ),
    "In a garden there are {a} rows of {b} roses, and {c} tulips stand between the wall and the "
    "little pond where {n} likes to read in summer.": (
        "How many flowers are there in the garden?",
        "How many more roses than tulips are there in the garden?",
    ),
    "Let f(x) = {a}*x + {b} and let g(x) = (x - {c})/2, where x is any real number, and think of "
    "the two graphs in one system of coordinates.": (
        "Find f(g({c})).",
        "Find the largest integer below g({a}) + f({b}).",
    ),
    "The numbers {a}, {b}, {c} and {d} are written on four cards, and the cards lie on a table "
    "with their faces up in that order from one end to the other.": (
        "What is the largest number that two of the cards have together?",
        "What is the mean of the numbers on the four cards?",
    ),
    "A rectangle has sides of {a} cm and {b} cm, and a second rectangle of the same shape has its "
    "shorter side {c} cm longer than the shorter side of the first.": (
        "What is the area of the second rectangle in square centimetres?",
        "What is the perimeter of the second rectangle in centimetres?",
    ),
    "A shop sells pens for {a} coins and rulers for {b} coins. {n} pays with a note of {d} coins "
    "for {c} pens and one ruler, and puts the change into a box.": (
        "How many coins does {n} get back in the shop?",
        "How many pens could {n} buy with the change?",
    ),
    r"In triangle $ABC$ let $\theta$ be the angle at $A$ with $\theta = {a}^\circ$, let "
    r"$\angle B = {b}^\circ$, and draw a segment $\overline{{AC}}$ of length ${c}\pi$ below it.": (
        r"Find $\sin \theta + \cos {b}^\circ$.",
        r"Find the largest of $\frac{{\sqrt{{3}}}}{{2}}$ and $\log_2 {c}$ and $\tan \theta$.",
    ),
    r"For real numbers $a_1, a_2, \ldots, a_n \in \mathbb{{R}}$ we know that "
    r"$\left| a_1 - {a} \right| \leq {b}$ and $a_2 \neq {c}$, and a table shows the others.": (
        r"Find $\sum_{{k=1}}^{{3}} a_k + \sqrt[3]{{8}}$.",
        r"Find the largest $x$ with $\lfloor x \rfloor = \left(\frac34\right)^2 + {b}$.",
    ),
    r"A positive integer $n$ leaves $n \equiv {a} \pmod{{{b}}}$, and the factor of $7!/3!$ is "
    r"given with $m!=120$, and a second integer $k$ "
    r"is $\binom{{{c}}}{{2}}$ on the last page of the book.": (
        r"Find $\gcd(n, {b}) + k$.",
        r"How many more divisors than $n$ does $1 + 2 + \cdots + {c}$ have?",
    ),
}
NAMES = ("Ann", "Bob", "Carla", "David", "Emine", "Farid", "Greta", "Hiro")


@dataclass(frozen=True)
class Givens:
    """What makes one problem: its template, its numbers and its names."""

    body: str
    ask: str
    numbers: tuple[int, int, int, int]
    names: tuple[str, str]

    @property
    def question(self) -> str:
        """The problem's text."""
        a, b, c, d = self.numbers
        text = f"{self.body} {self.ask}"
        return text.format(a=a, b=b, c=c, d=d, n=self.names[0], m=self.names[1])


def draw(rng: np.random.Generator) -> Givens:
    """One problem."""
    body = list(TEMPLATES)[rng.integers(len(TEMPLATES))]
    ask = TEMPLATES[body][rng.integers(len(TEMPLATES[body]))]
    return Givens(body, ask, draw_numbers(rng), draw_names(rng))


def draw_numbers(rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Four different numbers from 11 to 99: none of them is one of a template's own."""
    a, b, c, d = (int(n) for n in rng.choice(np.arange(11, 100), size=4, replace=False))
    return a, b, c, d


def draw_names(rng: np.random.Generator) -> tuple[str, str]:
    """Two different names."""
    first, second = rng.choice(NAMES, size=2, replace=False)
    return str(first), str(second)


def problem(identity: str, question: str) -> Problem:
    """A text problem of that question, with one answer for all."""
    return Problem(
        id=identity,
        source="twins",
        modality="text",
        family="twins",
        template="twins",
        level=None,
        question=question,
        images=[],
        answer="1",
        solution=None,
        reading=None,
        pass_rate=None,
    )
