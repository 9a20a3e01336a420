"""The tables of docs/curation.md: what the two searches find, and what they should not.

`python -m experiments.twins [--problems 1000] [--output docs/curation.md]`. One process, a minute
or two; the figures depend on the seed alone.
"""

import argparse
from pathlib import Path

import numpy as np

from experiments.twins.changes import DRESSINGS, EDITS, OTHERS, VARIANTS, Change, other_ask
from experiments.twins.corpus import TEMPLATES, Givens, draw, problem
from training.curation.asked import Asked
from training.curation.decontamination import BenchmarkIndex
from training.curation.duplicates import near_duplicates
from training.recipe.curation import DecontaminationRecipe, DuplicatesRecipe

_START, _END = "<!-- made by python -m experiments.twins -->", "<!-- end -->"
_SEED = 12
_CLEAN_PER_ITEM = 10


def main() -> int:
    """Measures, prints the tables and writes them into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=1000, help="problems to change")
    parser.add_argument("--output", type=Path, help="a page to replace the tables of")
    options = parser.parse_args()
    tables = f"{duplicates_table(options.problems)}\n\n{leaks_table(options.problems)}"
    print(tables)
    if options.output:
        page = options.output.read_text(encoding="utf-8")
        before, rest = page.split(_START)
        after = rest.split(_END)[1]
        text = f"{before}{_START}\n\n{tables}\n\n{_END}{after}"
        options.output.write_text(text, encoding="utf-8")
    return 0


def duplicates_table(num: int) -> str:
    """Pairs that are merged, by what was done to one of them."""
    rng = np.random.default_rng(_SEED)
    originals = distinct(num, rng)
    similarity = DuplicatesRecipe().similarity
    lines = ["| near duplicates | pairs | merged |", "| --- | ---: | ---: |"]
    for words, kinds, total in (
        ("the same", DRESSINGS | EDITS, True),
        ("another", VARIANTS, True),
        ("another", OTHERS, False),
    ):
        counts = [
            (kind, *merged(originals, change, similarity, rng)) for kind, change in kinds.items()
        ]
        if words == "another" and kinds is OTHERS:
            asked = merged(originals, _ask_the_other, similarity, rng)
            counts.append(("the other question", *asked))
        lines += [
            f"| {words}: {kind} | {pairs} | {_share(n, pairs)} |" for kind, pairs, n in counts
        ]
        if total:
            pairs, found = (sum(column) for column in list(zip(*counts, strict=True))[1:])
            lines.append(f"| **{words}, all of these** | {pairs} | **{_share(found, pairs)}** |")
    rows = [problem(str(n), givens.question) for n, givens in enumerate(originals)]
    clean = sum(len(group) - 1 for group in near_duplicates(rows, similarity))
    lines.append(
        f"| clean problems among themselves, rows dropped | {num} | {_share(clean, num)} |"
    )
    return "\n".join(lines)


def _ask_the_other(givens: Givens, _: np.random.Generator) -> str | None:
    return other_ask(givens, TEMPLATES[givens.body])


def merged(
    originals: list[Givens], change: Change, similarity: float, rng: np.random.Generator
) -> tuple[int, int]:
    """Number of pairs of a problem and its changed twin, and how many are in one group."""
    pairs = [
        (each.question, changed) for each in originals if (changed := change(each, rng)) is not None
    ]
    rows = [problem(str(n), text) for n, text in enumerate(text for pair in pairs for text in pair)]
    found = 0
    for group in near_duplicates(rows, similarity):
        found += sum(place % 2 == 0 and place + 1 in group for place in group)
    return len(pairs), found


def leaks_table(num: int) -> str:
    """Rows that are flagged, by what was done to the benchmark's question."""
    rng = np.random.default_rng(_SEED + 1)
    items = distinct(num, rng)
    asked = {(item.body, item.ask, item.numbers[:3]) for item in items}
    index = BenchmarkIndex(
        {"generated": [problem(str(n), item.question) for n, item in enumerate(items)]}
    )
    containment = DecontaminationRecipe().containment
    lines = [
        "| rows | number | flagged as leaks | number variants |",
        "| --- | ---: | ---: | ---: |",
    ]

    def line(words: str, texts: list[str]) -> str:
        rows = [Asked(problem(str(n), text)) for n, text in enumerate(texts)]
        leaked, varied = index.search(rows, containment)
        variants = varied.keys() - leaked.keys()
        shares = f"{_share(len(leaked), len(rows))} | {_share(len(variants), len(rows))}"
        return f"| {words} | {len(rows)} | {shares} |"

    for words, kinds in (("leak", DRESSINGS | EDITS), ("other problem", VARIANTS | OTHERS)):
        for kind, change in kinds.items():
            texts = [text for item in items if (text := change(item, rng)) is not None]
            lines.append(line(f"{words}: {kind}", texts))
    inside = [f"Yesterday we met this riddle. {item.question} Good luck!" for item in items]
    lines.append(line("leak: inside a longer text", inside))
    clean = list[str]()
    while len(clean) < _CLEAN_PER_ITEM * num:
        drawn = draw(rng)
        if (drawn.body, drawn.ask, drawn.numbers[:3]) not in asked:
            clean.append(drawn.question)
    lines.append(line("**clean, of the same templates**", clean))
    return "\n".join(lines)


def distinct(num: int, rng: np.random.Generator) -> list[Givens]:
    """Problems that differ in more than their names."""
    found: dict[tuple[str, str, tuple[int, ...]], Givens] = {}
    while len(found) < num:
        drawn = draw(rng)
        found.setdefault((drawn.body, drawn.ask, drawn.numbers[:3]), drawn)
    return list(found.values())


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.2%}" if part else "0"


if __name__ == "__main__":
    raise SystemExit(main())
