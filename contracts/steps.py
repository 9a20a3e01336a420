"""The steps of a stage as lines of its log: its process says them, and whoever watches reads them.

A log comes from wherever the stage runs: another process, a node of a cluster, another pool.
"""

import re
from dataclasses import dataclass

from contracts.texts import one_line

_LINE = re.compile(
    r"(?:node 0: )?"  # of several nodes, the first one's processes speak
    r"step (?P<name>[a-z][a-z ]{0,39}|[\w.]{1,255}:\w{1,255}): (?:begins|ends, (?P<told>.*))"
)


@dataclass(frozen=True)
class StepLine:
    """A line that is about a step.

    Attributes:
        name: The step's, small letters and spaces; of a function, `package.module:name`.
        told: What became of it, in one line; None where it begins.
    """

    name: str
    told: str | None

    def __str__(self) -> str:
        """As the log has it."""
        does = "begins" if self.told is None else f"ends, {one_line(self.told)}"
        return f"step {self.name}: {does}"


def parse_step(line: str) -> StepLine | None:
    """What a line of a log says of a step; None for any other line."""
    found = _LINE.fullmatch(line.rstrip("\n"))
    return None if found is None else StepLine(found["name"], found["told"])
