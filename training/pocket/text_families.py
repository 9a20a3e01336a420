"""Text families: a level is a number of steps, and each trace writes its steps after the givens."""

from collections.abc import Mapping, Sequence

import numpy as np

from training.pocket.family import NAMES, Facts, Family
from training.pocket.steps import (
    LARGEST_TOTAL,
    ONE_DIGIT,
    apply_move,
    bounded_walk,
    named,
    run_moves,
    running,
    signed,
)

DIGIT_ASKS = (
    "What is the last digit of the sum?",
    "Find the last digit of the sum.",
    "Add them all. What is the last digit?",
    "Add them all and find the last digit.",
)
SCORE_ASKS = ("What is the total?", "Find the total.", "What is the result?", "Find the result.")
TURN_ASKS = (
    "Subtract and add in turn.",
    "Use minus and plus in turn.",
    "What is the result of minus and plus in turn?",
    "In turn subtract and add.",
)
TOTAL_ASKS = {"digit": DIGIT_ASKS, "turns": TURN_ASKS}
HOUR_ASKS = ("What hour is it then?", "Find the hour.", "Which hour is it?", "What is the hour?")


def draw_totals(
    rng: np.random.Generator,
    level: int,
    *,
    smallest: int = 1,
    rules: Sequence[str] = ("digit", "turns"),
) -> Facts:
    """Level + 1 digits, to add up (only the last digit counts) or to subtract and add in turn."""
    rule = str(rng.choice(rules))
    first = int(rng.integers(smallest, 10))
    if rule == "turns":
        signs = [1 if place % 2 else -1 for place in range(level)]
        digits = [[sign * digit for digit in range(smallest, 10)] for sign in signs]
        amounts = bounded_walk(rng, first, digits)
        totals = run_moves(first, [signed(amount) for amount in amounts])
    else:
        amounts = [int(digit) for digit in rng.integers(smallest, 10, size=level)]
        totals, last = [], first
        for amount in amounts:
            totals.append(last + amount)
            last = totals[-1] % 10
    moves = [
        f"{'-' if rule == 'turns' and n % 2 == 0 else '+'}{abs(a)}" for n, a in enumerate(amounts)
    ]
    values = tuple(str(abs(amount)) for amount in [first, *amounts])
    items = named(values)
    return Facts(
        " ".join(items),
        values,
        running(f"a{first}", named(moves, 1), totals),
        str(totals[-1] % 10 if rule == "digit" else totals[-1]),
        {"list": ", ".join(items)},
        rule,
    )


def _draw_chain(rng: np.random.Generator, level: int) -> Facts:
    start = int(rng.integers(1, LARGEST_TOTAL + 1))
    moves, total = [], start
    for _ in range(level):
        double = 0 < 2 * total <= LARGEST_TOTAL and rng.random() < 0.25
        moves.append("*2" if double else signed(bounded_walk(rng, total, [ONE_DIGIT])[0]))
        total = apply_move(total, moves[-1])
    return _told_moves(start, moves, run_moves(start, moves))


def _told_moves(start: int, moves: Sequence[str], totals: Sequence[int]) -> Facts:
    """Facts of a start and named moves from it."""
    items = named(moves)
    return Facts(
        " ".join([str(start), *items]),
        tuple(moves),
        running(start, items, totals),
        str(totals[-1]),
        {"start": str(start), "moves": ", ".join(items)},
    )


def _draw_equation(rng: np.random.Generator, level: int) -> Facts:
    factor = int(rng.choice([1, 2])) if level > 1 else 1
    unknown = int(rng.integers(1, LARGEST_TOTAL // factor + 1))
    walk = bounded_walk(rng, factor * unknown, [ONE_DIGIT] * (level - (factor > 1)))
    moves = [signed(amount) for amount in walk]
    right = run_moves(factor * unknown, moves)[-1]
    undo = [f"{'-' if move[0] == '+' else '+'}{move[1:]}" for move in moves]
    steps = named(undo)[::-1] + ([f"/{factor}"] if factor > 1 else [])
    totals = run_moves(right, undo[::-1] + ([f"/{factor}"] if factor > 1 else []))
    first = "x" if factor == 1 else f"{factor}x"
    items = named(moves)
    return Facts(
        " ".join([first, *items, f"={right}"]),
        tuple(moves),
        running(right, steps, totals),
        str(unknown),
        {"first": first, "moves": ", ".join(items), "right": str(right)},
    )


def _draw_sequence(rng: np.random.Generator, level: int) -> Facts:
    while True:
        start, up, down = (int(n) for n in rng.integers((1, 2, 1), (6, 6, 6)))
        moves = [f"+{up}" if step % 2 == 0 else f"-{down}" for step in range(level)]
        totals = run_moves(start, moves)
        if up != down and min(totals) >= 0 and max(totals) <= LARGEST_TOTAL:
            break
    counted = [f"{n}: {m}={t}" for n, (m, t) in enumerate(zip(moves, totals, strict=True), 1)]
    slots = {"start": str(start), "up": str(up), "down": str(down), "count": str(level)}
    values = (f"+{up}", f"-{down}")
    reading = " ".join([str(start), *named(values), f"x{level}"])
    return Facts(reading, values, " ".join([str(start), *counted]), str(totals[-1]), slots)


def _draw_comparison(rng: np.random.Generator, level: int) -> Facts:
    names = ["red", "blue", "green"][: 2 if level < 3 else 3]
    rng.shuffle(names)
    num_moves = rng.multinomial(level - len(names) + 1, [1 / len(names)] * len(names))
    while True:
        starts = [int(n) for n in rng.integers(1, LARGEST_TOTAL + 1, size=len(names))]
        walks = [
            bounded_walk(rng, start, [ONE_DIGIT] * int(num))
            for start, num in zip(starts, num_moves, strict=True)
        ]
        moves = [[signed(amount) for amount in walk] for walk in walks]
        totals = [[s, *run_moves(s, m)] for s, m in zip(starts, moves, strict=True)]
        finals = [total[-1] for total in totals]
        if len(set(finals)) == len(finals):
            break
    readings, steps, first = [], [], 0
    for name, start, move, total in zip(names, starts, moves, totals, strict=True):
        items = named(move, first)
        readings.append(" ".join([name, str(start), *items]))
        steps.append(f"{name} {running(start, items, total[1:])}")
        first += len(items)
    return Facts(
        " ".join(readings),
        tuple(move for row in moves for move in row),
        " ".join(steps),
        names[int(np.argmax(finals))],
        {"rows": ", ".join(readings)},
    )


def _draw_units(rng: np.random.Generator, level: int) -> Facts:
    rule = str(rng.choice(["quarters", "wholes"]))
    units = {1: "quarter", 2: "half", 4: "whole"}
    first = int(rng.choice(list(units)))
    amounts = bounded_walk(rng, first, [[-4, -2, -1, 1, 2, 4]] * level)
    values = (
        f" {units[first]}",
        *(f"{'+' if amount > 0 else '-'}{units[abs(amount)]}" for amount in amounts),
    )
    moves = [signed(amount) for amount in amounts]
    totals = run_moves(first, moves)
    items = named(values)
    return Facts(
        " ".join(items),
        tuple(value.strip() for value in values),
        running(f"a{first}", named(moves, 1), totals),
        str(totals[-1]) if rule == "quarters" else f"{totals[-1]}/4",
        {"list": ", ".join(items)},
        rule,
    )


def _draw_sets(rng: np.random.Generator, level: int) -> Facts:
    first = [int(n) for n in rng.permutation(20)[:level]]
    shared = [n for n in first if rng.random() < 0.4] or [first[0]]
    others = [n for n in range(20) if n not in first]
    second = [*shared, *(int(n) for n in rng.permutation(others)[:2])]
    rng.shuffle(second)
    values = tuple(str(n) for n in [*first, *second])
    items = named(values)
    ours, theirs = items[: len(first)], items[len(first) :]
    checked = zip(ours, first, strict=True)
    steps = " ".join(f"{item} {'yes' if n in shared else 'no'}" for item, n in checked)
    return Facts(
        " ".join(["A", *ours, "B", *theirs]),
        values,
        steps,
        r"\{" + ", ".join(str(n) for n in shared) + r"\}",
        {"first": ", ".join(ours), "second": ", ".join(theirs)},
    )


def draw_points(rng: np.random.Generator, level: int) -> Facts:
    """Level + 1 shapes, each of which wins or loses the points of its kind."""
    names = ("circle", "square", "triangle")
    points = {
        "circle": int(rng.integers(1, 5)),
        "square": -int(rng.integers(1, 5)),
        "triangle": int(rng.integers(1, 5)),
    }
    first = str(rng.choice(["circle", "triangle"]))
    amounts = bounded_walk(rng, points[first], [list(points.values())] * level)
    moves = [signed(amount) for amount in amounts]
    values = (first, *(_shape_worth(points, amount, rng) for amount in amounts))
    totals = run_moves(points[first], moves)
    items = [f"{name} {value}" for name, value in zip(NAMES, values, strict=False)]
    return Facts(
        " ".join(items),
        values,
        running(f"a{points[first]}", named(moves, 1), totals),
        str(totals[-1]),
        {name: signed(points[name]) for name in names} | {"list": ", ".join(items)},
    )


def _shape_worth(points: Mapping[str, int], amount: int, rng: np.random.Generator) -> str:
    return str(rng.choice([name for name, worth in points.items() if worth == amount]))


def draw_hours(rng: np.random.Generator, level: int) -> Facts:
    """An hour from 1 to 12 and as many moves as the level says, later or earlier."""
    start = int(rng.integers(1, 13))
    moves = [f"{rng.choice(['+', '-'])}{rng.integers(1, 4)}" for _ in range(level)]
    hours, hour = [], start
    for move in moves:
        hour = (apply_move(hour, move) - 1) % 12 + 1
        hours.append(hour)
    return _told_moves(start, moves, hours)


POINTS = "A circle is {circle}, a square is {square}, a triangle is {triangle}."

TEXT_FAMILIES = (
    Family(
        "totals",
        (
            "Numbers: {list}.",
            "Here is a list: {list}.",
            "The list is {list}.",
            "Look at the list {list}.",
        ),
        TOTAL_ASKS,
        draw_totals,
    ),
    Family(
        "chain",
        (
            "Start with {start}, then {moves}.",
            "The first number is {start}. Then {moves}.",
            "Take {start}. Then {moves}.",
            "From {start}, {moves}.",
        ),
        {
            "only": (
                "What is the result?",
                "Find the result.",
                "What do you have then?",
                "Which number is it?",
            )
        },
        _draw_chain,
    ),
    Family(
        "equation",
        (
            "Start with {first}, then {moves} makes {right}.",
            "Take {first}. Then {moves} makes {right}.",
            "From {first}, {moves} makes {right}.",
            "The first number is {first}. Then {moves} makes {right}.",
        ),
        {"only": ("What is x?", "Find x.", "Solve for x.", "Which number is x?")},
        _draw_equation,
    ),
    Family(
        "sequence",
        (
            "A sequence: start with {start}, then add {up}, subtract {down}, in turn.",
            "A sequence is {start}, then plus {up}, minus {down}, in turn.",
            "From {start}, add {up} and subtract {down} in turn.",
            "Start with {start} and use plus {up}, minus {down} in turn.",
        ),
        {
            "only": (
                "What is the number after {count} steps?",
                "Find the number after {count} steps.",
                "Take {count} steps. Which number is it?",
                "After {count} steps, what is the number?",
            )
        },
        _draw_sequence,
    ),
    Family(
        "comparison",
        ("Here is a list: {rows}.", "Look at the list: {rows}.", "We see {rows}.", "So {rows}."),
        {
            "only": (
                "Which has the most?",
                "What has the most?",
                "Find the largest.",
                "Which is the largest?",
            )
        },
        _draw_comparison,
    ),
    Family(
        "units",
        ("The list is {list}.", "Here is a list: {list}.", "Take {list}.", "Look at {list}."),
        {
            unit: (
                f"How many {unit} is it?",
                f"Find how many {unit} it is.",
                f"What is the result in {unit}?",
                f"Find the result in {unit}.",
            )
            for unit in ("quarters", "wholes")
        },
        _draw_units,
    ),
    Family(
        "sets",
        (
            "A is {first}. B is {second}.",
            "Set A: {first}. Set B: {second}.",
            "Here is A: {first}, and B: {second}.",
            "A has {first}, and B has {second}.",
        ),
        {
            "only": (
                "What is in A and B?",
                "Which of A are in B?",
                "Find what A has in B.",
                "Find what is in A and B.",
            )
        },
        _draw_sets,
    ),
    Family(
        "points",
        (
            f"{POINTS} Here are {{list}}.",
            f"{POINTS} Look at {{list}}.",
            f"{POINTS} The list is {{list}}.",
            f"{POINTS} Take {{list}}.",
        ),
        {"only": SCORE_ASKS},
        draw_points,
    ),
    Family(
        "hours",
        (
            "The hour is {start}. Then {moves}.",
            "It is {start}, then {moves}.",
            "The clock is at {start}. Then {moves}.",
            "From {start}, {moves}.",
        ),
        {"only": HOUR_ASKS},
        draw_hours,
    ),
)
