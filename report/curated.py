"""The section about curation: what each set holds, and why every other row was left out."""

from report.blocks import Block, Link, Prose, Section, Table
from report.evidence import Evidence

DATASHEET = "datasheet.html"  # beside the report


def curation(evidence: Evidence) -> Section:
    """Rows in, rows in each set, rows rejected by step and reason."""
    summary = evidence.curation
    if summary is None:
        return Section("Curation", "curation", (Prose("There is no summary.", "bad"),))
    sets = tuple(
        (
            name,
            str(one.num_problems),
            str(one.shortfall),
            _listed(one.by_family),
            _listed(one.by_level),
        )
        for name, one in summary.sets.items()
    )
    rejects = tuple(
        (source, step, reason, str(count))
        for source, steps in summary.rejected.items()
        for step, reasons in steps.items()
        for reason, count in reasons.items()
    )
    counts = (
        f"{summary.rows_in} rows came in; {summary.rows_in_sets} went into sets and "
        f"{summary.rows_rejected} were left out, each with its reason."
    )
    columns = ("set", "problems", "short of", "families", "levels")
    blocks: list[Block] = [
        Prose(counts),
        Table("Curated sets", columns, "lrrll", sets),
        Table("Rows left out", ("source", "step", "reason", "rows"), "lllr", rejects),
    ]
    if evidence.has_datasheet:
        blocks.insert(1, Link("The data’s sheet: sources, topics, lengths, examples", DATASHEET))
    return Section("Curation", "curation", tuple(blocks))


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in counts.items())
