"""How a stage's processes ended: by their exit code, and in their own words."""

import signal

from contracts.job import Job, Outcome
from infra.supervisor import STOP_SIGNALS


def signal_of(code: int) -> signal.Signals | None:
    """The signal that an exit code stands for, which is 128 and its number; None for any other."""
    try:
        return signal.Signals(code - 128)
    except ValueError:  # 255 is no signal, but what a program may end with
        return None


def outcome_of(job: Job) -> Outcome | None:
    """How a job ended, in its own words; None if it has left none."""
    if not job.outcome.is_file():
        return None
    return Outcome.model_validate_json(job.outcome.read_text(encoding="utf-8"))


def is_finished(code: int, outcome: Outcome | None) -> bool:
    """Whether a stage has done all its work: also where it was told to stop when it had.

    Args:
        code: Of its supervisor, which ends as it was told to, whatever its command says.
        outcome: What the stage said itself.
    """
    is_told = signal_of(code) in STOP_SIGNALS
    return code == 0 or (is_told and outcome is not None and outcome.status == "done")
