"""The datasheet's section about the rows that no set has: why, and which benchmark's question."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from report.blocks import Block, Prose, Section, Table

MAX_ROWS = 200  # of a table
MAX_REASONS = 50  # of a step: a rule of somebody's own may give each row another one
Counts = Mapping[str, int]


def left_out(
    rejected: Mapping[str, Mapping[str, Counts]],
    benchmark_questions: Mapping[str, Counts],
    number_variants: Counts,
    steps: Sequence[str],
) -> Section:
    """Rows by step, reason and source, and by the benchmark's question.

    Args:
        rejected: Rows by source, step and reason.
        benchmark_questions: Those that decontamination left out, by reason and question, which is
            told as `benchmark: id`.
        number_variants: Rows that differ from a benchmark's question in their numbers alone, by
            benchmark, whether they were left out or not.
        steps: Curation's, in the order in which rows pass through them; others are told last.
    """
    of_step = defaultdict[str, Counter[str]](Counter)
    for several in rejected.values():
        for step, reasons in several.items():
            of_step[step].update(reasons)
    place_of = {step: place for place, step in enumerate(steps)}

    def place(step: str) -> int:
        return place_of.get(step, len(place_of))

    steps_table = Table(
        "Rows left out by step",
        ("step", "rows"),
        "lr",
        tuple((step, str(of_step[step].total())) for step in sorted(of_step, key=place)),
    )
    reasons_table = Table(
        "Rows left out by step and reason",
        ("step", "reason", "rows"),
        "llr",
        tuple(
            (step, why, str(count))
            for step in sorted(of_step, key=place)
            for why, count in _most(of_step[step])
        ),
    )
    by_source = Table(
        "The same by source",
        ("source", "step", "reason", "rows"),
        "lllr",
        tuple(
            (source, step, why, str(count))
            for source, several in rejected.items()
            for step, reasons in several.items()
            for why, count in _most(reasons)
        ),
        folded=True,
    )
    blocks = (
        steps_table,
        reasons_table,
        by_source,
        *_benchmarks(benchmark_questions, number_variants),
    )
    return Section("Rows left out", "left-out", blocks)


def _most(reasons: Counts) -> list[tuple[str, int]]:
    """The reasons of most rows; the others in one line, so that no row is missing."""
    ordered = Counter(reasons).most_common()
    others = ordered[MAX_REASONS:]
    if not others:
        return ordered
    told = f"{len(others)} other reasons; summary.json has all"
    return [*ordered[:MAX_REASONS], (told, sum(count for _, count in others))]


def _benchmarks(found: Mapping[str, Counts], number_variants: Counts) -> tuple[Block, ...]:
    """Which question of which benchmark rows were left out for, and their number variants."""
    rows = [
        (benchmark, question, reason, str(count))
        for reason, questions in found.items()
        for name, count in Counter(questions).most_common()
        for benchmark, _, question in [name.partition(": ")]
    ]
    variants = ", ".join(f"{count} of {name}" for name, count in number_variants.items())
    num_questions = len({name for questions in found.values() for name in questions})
    said = [f"Rows were left out for {num_questions} questions of benchmarks."]
    if len(rows) > MAX_ROWS:
        said.append(f"The table has the first {MAX_ROWS}, rejects.parquet all.")
    if variants:
        said.append(f"Rows that differ from a question in their numbers alone: {variants}.")
    table = Table(
        "Rows left out by the benchmark's question",
        ("benchmark", "question", "reason", "rows"),
        "lllr",
        tuple(rows[:MAX_ROWS]),
        folded=True,
    )
    return (Prose(" ".join(said)), *([table] if rows else []))
