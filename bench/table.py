"""Measurements as rows of a table: ours, the peer's, their ratio and the bar it must meet."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

PACKAGES = ("torch", "transformers", "trl", "deepspeed", "math-verify")


@dataclass(frozen=True)
class Row:
    """One comparison within one run.

    Attributes:
        name: What was measured.
        unit: Of both measurements.
        ours: Our measurement.
        peer: What it is compared with.
        side: Whether the ratio ours / peer must be at most or at least the bar.
        bar: None where the ratio is shown without a claim.
    """

    name: str
    unit: str
    ours: float
    peer: float
    side: Literal["at most", "at least"]
    bar: float | None

    @property
    def ratio(self) -> float:
        """Ours over the peer's."""
        return self.ours / self.peer

    @property
    def verdict(self) -> str:
        """Whether the bar is met, and by how much it is missed."""
        if self.bar is None:
            return "-"
        gap = self.ratio - self.bar if self.side == "at most" else self.bar - self.ratio
        return "met" if gap <= 0 else f"missed by {gap:.2f}"


def machine() -> str:
    """What the figures were taken on."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return f"{os.cpu_count()} cores ({model}), Python {platform.python_version()}, {versions}"


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown."""
    lines = [
        "| measured | ours | peer | ratio | bar | |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        bar = "-" if row.bar is None else f"{row.side} {row.bar:g}"
        values = f"{row.ours:.3g} {row.unit} | {row.peer:.3g} {row.unit} | {row.ratio:.2f}"
        lines.append(f"| {row.name} | {values} | {bar} | {row.verdict} |")
    return "\n".join(lines)
