"""What was thought before a solution, in the format that the cold start teaches.

Sets of long chains have the thoughts in a column beside the solution, without the tags in which the
model that wrote them has put them: `<think>`, the thoughts, `</think>`, and then the solution.
"""

OPEN, CLOSE = "<think>", "</think>"


def with_thoughts(thoughts: str | None, solution: str | None) -> str | None:
    """A trace of thoughts and the solution behind them, both whole.

    Tags around the thoughts are not written twice. Thoughts without a solution are no trace, and a
    solution without thoughts stays as it is.
    """
    if thoughts is None or solution is None:
        return solution
    inner = thoughts.strip().removeprefix(OPEN).removesuffix(CLOSE).strip()
    return f"{OPEN}\n{inner}\n{CLOSE}\n\n{solution}" if inner else solution


def behind_thoughts(trace: str) -> str:
    """What a reader is told: all of a trace that has no thoughts."""
    return trace.rpartition(CLOSE)[2]
