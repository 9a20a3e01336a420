"""What a stage's figures look like while it runs: one Markdown page, written anew every few steps.

Curves are block characters: the Prefect UI shows Markdown without pictures of ours.
"""

import itertools
import math
from collections.abc import Sequence

from infra.launcher import Metrics
from report.numbers import duration, figure
from training.runtime.metrics import HEADLINES

BLOCKS = "▁▂▃▄▅▆▇█"
CURVE_WIDTH = 16  # characters: what the UI has room for
# What a person looks at first, in this order; the other figures follow as the stage names them.
FIRST = (*HEADLINES, "validation_accuracy", "effective_fraction", "zero_variance_fraction")
_COUNTERS = ("step", "num_steps", "seconds")


def page(stage: str, steps: Sequence[Metrics]) -> str:
    """Every figure of a stage with its curve so far, as Markdown.

    Args:
        stage: Its name.
        steps: The lines of its `metrics.jsonl`, at least one, in order.
    """
    last = steps[-1]
    names = {name: None for step in steps for name in step if name not in _COUNTERS}
    ordered = [name for name in FIRST if name in names]
    ordered += [name for name in names if name not in FIRST]
    lines = [
        f"**{stage}**: step {last['step']} of {last['num_steps']}, {duration(last['seconds'])}",
        "",
        "| figure | first | now | so far | between |",
        "|---|---|---|---|---|",
    ]
    for name in ordered:
        values = [step[name] for step in steps if step.get(name) is not None]
        if values:
            first, now, low, high = (
                figure(float(value)) for value in (values[0], values[-1], min(values), max(values))
            )
            lines.append(f"| {name} | {first} | {now} | {sparkline(values)} | {low} – {high} |")
    return "\n".join(lines)


def sparkline(values: Sequence[float], width: int = CURVE_WIDTH) -> str:
    """A curve in block characters from the lowest to the highest value; a level one lies low.

    Args:
        values: Finite, at least one.
        width: Most characters; longer curves are means over equal stretches.
    """
    num_stretches = min(width, len(values))
    edges = [index * len(values) // num_stretches for index in range(num_stretches + 1)]
    means = [
        math.fsum(values[start:end]) / (end - start) for start, end in itertools.pairwise(edges)
    ]
    low, high = min(means), max(means)
    scale = (len(BLOCKS) - 1) / (high - low) if high > low else 0.0
    return "".join(BLOCKS[round((mean - low) * scale)] for mean in means)
