"""Text families: a level is a number of steps, and each trace writes its steps after the givens."""

from collections.abc import Sequence

import numpy as np

from training.pocket.family import NAMES, Facts, Family

LARGEST_TOTAL = 99  # running totals stay within two digits

SUM_ASKS = (
    "Add them all.",
    "What is the sum?",
    "Find the total.",
    "What do they make together?",
)
TURN_ASKS = (
    "Add and subtract in turn.",
    "Use plus and minus in turn.",
    "What is the result of plus and minus in turn?",
    "In turn add and subtract.",
)
TOTAL_ASKS = {"sum": SUM_ASKS, "turns": TURN_ASKS}
HOUR_ASKS = ("What hour is it then?", "Find the hour.", "Which hour is it?", "What is the hour?")


def named(values: Sequence[str], first: int = 0) -> list[str]:
    """Values with their names in front, e.g. `a3`, `b+4`."""
    return [f"{NAMES[first + place]}{value}" for place, value in enumerate(values)]


def running(start: str | int, moves: Sequence[str], totals: Sequence[int]) -> str:
    """A chain of steps, e.g. `5 a+3=8 b-2=6`; the moves bring their names."""
    return " ".join([str(start), *(f"{m}={t}" for m, t in zip(moves, totals, strict=True))])


def apply_move(total: int, move: str) -> int:
    """One step: `+3`, `-2`, `*2` or `/3`."""
    sign, amount = move[0], int(move[1:])
    changed = {"+": total + amount, "-": total - amount, "*": total * amount}
    return total // amount if sign == "/" else changed[sign]


def run_moves(start: int, moves: Sequence[str]) -> list[int]:
    """The totals after each move."""
    totals = []
    for move in moves:
        start = apply_move(start, move)
        totals.append(start)
    return totals


def signed_moves(
    rng: np.random.Generator, start: int, num_moves: int, *, low: int, high: int
) -> list[str]:
    """Random `+d` and `-d`, d from 1 to 9, that keep the running total within [low, high]."""
    moves, total = [], start
    for _ in range(num_moves):
        allowed = [
            f"{sign}{amount}"
            for sign in "+-"
            for amount in range(1, 10)
            if low <= apply_move(total, f"{sign}{amount}") <= high
        ]
        moves.append(str(rng.choice(allowed)))
        total = apply_move(total, moves[-1])
    return moves


def draw_totals(
    rng: np.random.Generator,
    level: int,
    *,
    smallest: int = 1,
    rules: Sequence[str] = ("sum", "turns"),
) -> Facts:
    """Level + 1 numbers, to add up or to add and subtract in turn."""
    rule = str(rng.choice(rules))
    while True:
        numbers = [int(n) for n in rng.integers(smallest, 10, size=level + 1)]
        moves = [
            f"{'-' if rule == 'turns' and place % 2 else '+'}{number}"
            for place, number in enumerate(numbers[1:])
        ]
        totals = run_moves(numbers[0], moves)
        if min(totals) >= 0:
            break
    values = tuple(str(number) for number in numbers)
    steps = running(f"a{numbers[0]}", named(moves, 1), totals)
    items = named(values)
    return Facts(" ".join(items), values, steps, str(totals[-1]), {"list": ", ".join(items)}, rule)


def _draw_chain(rng: np.random.Generator, level: int) -> Facts:
    start = int(rng.integers(1, 30))
    moves, total = [], start
    for _ in range(level):
        double = total <= 20 and rng.random() < 0.25
        moves += ["*2"] if double else signed_moves(rng, total, 1, low=0, high=LARGEST_TOTAL)
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
    factor = int(rng.choice([1, 2, 3])) if level > 1 else 1
    unknown = int(rng.integers(1, 31 // factor))
    moves = signed_moves(rng, factor * unknown, level - (factor > 1), low=0, high=LARGEST_TOTAL)
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
    start = int(rng.integers(5, 30))
    up, down = int(rng.integers(3, 10)), int(rng.integers(1, 4))
    moves = [f"+{up}" if step % 2 == 0 else f"-{down}" for step in range(level)]
    totals = run_moves(start, moves)
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
        starts = [int(n) for n in rng.integers(1, 30, size=len(names))]
        moves = [
            signed_moves(rng, start, int(num), low=0, high=LARGEST_TOTAL)
            for start, num in zip(starts, num_moves, strict=True)
        ]
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
    rule = str(rng.choice(["cm", "dm"]))
    while True:
        long = rng.random(level + 1) < 0.3
        amounts = [
            int(n)
            for n in np.where(
                long, rng.integers(1, 4, size=level + 1), rng.integers(1, 10, size=level + 1)
            )
        ]
        sizes = [10 * n if is_long else n for n, is_long in zip(amounts, long, strict=True)]
        if sum(sizes) <= LARGEST_TOTAL:
            break
    units = np.where(long, "dm", "cm").tolist()
    values = tuple(f"{n}{unit}" for n, unit in zip(amounts, units, strict=True))
    moves = [f"+{size}" for size in sizes[1:]]
    total = sum(sizes)
    answer = str(total) if rule == "cm" else f"{total // 10}.{total % 10}"
    steps = running(f"a{sizes[0]}", named(moves, 1), run_moves(sizes[0], moves))
    items = named(values)
    return Facts(" ".join(items), values, steps, answer, {"list": ", ".join(items)}, rule)


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
    """Level + 1 shapes, each worth the points of its kind."""
    names = ("circle", "square", "triangle")
    points = dict(zip(names, (int(n) for n in rng.permutation(9)[:3] + 1), strict=True))
    values = tuple(str(name) for name in rng.choice(names, size=level + 1))
    amounts = [points[value] for value in values]
    moves = [f"+{amount}" for amount in amounts[1:]]
    steps = running(f"a{amounts[0]}", named(moves, 1), run_moves(amounts[0], moves))
    items = [f"{name} {value}" for name, value in zip(NAMES, values, strict=False)]
    slots = {name: str(amount) for name, amount in points.items()} | {"list": ", ".join(items)}
    return Facts(" ".join(items), values, steps, str(sum(amounts)), slots)


def draw_hours(rng: np.random.Generator, level: int) -> Facts:
    """An hour from 1 to 12 and as many moves as the level says, later or earlier."""
    start = int(rng.integers(1, 13))
    moves = [f"{rng.choice(['+', '-'])}{rng.integers(1, 10)}" for _ in range(level)]
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
        ("Lengths: {list}.", "Here are lengths: {list}.", "Take {list}.", "Look at {list}."),
        {
            unit: (
                f"What is the sum in {unit}?",
                f"Find the total in {unit}.",
                f"Add them all in {unit}.",
                f"What do they make together in {unit}?",
            )
            for unit in ("cm", "dm")
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
        {"only": SUM_ASKS},
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
