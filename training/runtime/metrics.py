"""The metrics of a stage: one JSON object a line, flushed at once so that a launcher can follow.

The log gets a line of them for every tenth of the stage.
"""

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training.runtime.log import say

Metric = float | None
HEADLINES = ("loss", "reward", "accuracy", "response_length_tokens", "entropy")


class MetricsLog:
    """Appends to `metrics.jsonl`.

    Args:
        path: The file; created with the first line, or that of a resumed stage, whose seconds
            are counted on. None writes nothing (ranks other than 0).
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._start_seconds = time.monotonic() - _seconds_so_far(path)
        self._tenths_said = 0

    @property
    def seconds(self) -> float:
        """Spent on the stage, in the attempts that this one goes on from too."""
        return time.monotonic() - self._start_seconds

    def write(self, *, step: int, num_steps: int, **values: Metric) -> None:
        """Appends one line.

        Args:
            step: The step just finished, from 1.
            num_steps: How many there will be.
            **values: The measurements; one that is not finite is written as null, which JSON can
                hold.
        """
        if self._path is None:
            return
        seconds = round(self.seconds, 3)
        line: dict[str, Metric] = {"step": step, "num_steps": num_steps, "seconds": seconds}
        line |= {name: _finite(value) for name, value in values.items()}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, allow_nan=False) + "\n")
        tenths = 10 * step // num_steps
        if tenths > self._tenths_said:
            self._tenths_said = tenths
            say(f"{headline(line)}, {seconds:.0f} s")


def headline(line: Mapping[str, Any]) -> str:
    """The step, and the figures a person looks at first.

    Args:
        line: One line of `metrics.jsonl`.
    """
    figures = [f"{name} {line[name]:.3g}" for name in HEADLINES if line.get(name) is not None]
    return ", ".join([f"step {line['step']}/{line['num_steps']}", *figures])


def _seconds_so_far(path: Path | None) -> float:
    if path is None or not path.exists():
        return 0.0
    *_, last = path.read_text(encoding="utf-8").splitlines()
    return float(json.loads(last)["seconds"])


def _finite(value: Metric) -> Metric:
    return value if value is not None and math.isfinite(value) else None
