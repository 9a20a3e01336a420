"""The check's result as Markdown, to be pasted into an issue."""

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime

from contracts.secrets import without_secrets
from contracts.texts import marked
from drills.gpu_check.outcome import Figure, Outcome


def markdown(outcomes: Sequence[Outcome], *, num_gpus: int, code: str) -> str:
    """The report.

    Args:
        outcomes: Of all parts that were asked for, in order.
        num_gpus: That torch finds.
        code: The project's version.
    """
    counts = ", ".join(
        f"{sum(one.status == status for one in outcomes)} {status}"
        for status in ("passed", "failed", "skipped")
    )
    lines = [
        f"## GPU check of revisual {code}: {counts}",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, "
        f"{os.cpu_count()} CPU cores, {num_gpus} GPU(s)",
    ]
    if num_gpus == 0:
        lines += ["", "**No GPU: everything below ran on the CPU, and says nothing about GPUs.**"]
    lines += ["", "| part | result | seconds | why |", "|---|---|---:|---|"]
    lines += [
        f"| {one.part} | {one.status} | {one.seconds:.0f} | {_cell(one.reason)} |"
        for one in outcomes
    ]
    for one in outcomes:
        lines += _figures(one)
    return without_secrets(marked("\n".join(lines) + "\n"))


def _figures(one: Outcome) -> list[str]:
    if not one.figures and not one.log:
        return []
    lines = ["", f"### {one.part}", ""]
    if one.figures:
        lines += ["| figure | value |", "|---|---:|"]
        lines += [f"| {_cell(name)} | {_cell(_shown(v))} |" for name, v in one.figures.items()]
    if one.log:
        indented = "\n".join(f"    {line}" for line in one.log.splitlines())
        lines += ["", "The end of what it printed:", "", indented]
    return lines


def _shown(value: Figure) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else value


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
