"""How long whoever waits for a stage's end gives it, from the inside out.

A stage that is told to stop saves; its flow, or the driver of its nodes, stores that; the flow then
waits for its metrics sinks, and says how it ended; the worker waits for the flow, and what ends the
worker waits for that. Each time is made of those inside it,
so that nobody is killed who still saves or stores.
"""

from dataclasses import dataclass

LONGEST_GRACE_SECONDS = 1200.0  # that a recipe may ask for (`checkpoints.grace_seconds`)
MARGIN_SECONDS = 15.0  # to hear of the end, and to reap
UPLOAD_SECONDS = 1000.0  # of 100 GB, a step checkpoint of revisual-7b, at 100 MB/s
SINKS_SECONDS = 60.0  # for all of a stage's metrics sinks to take its last steps
REST_SECONDS = 15.0  # for what the driver of nodes leaves: these have saved and stored by then
TOLD_SECONDS = 60.0  # for a flow to say how it ended, also to a server that is just restarted


@dataclass(frozen=True)
class Grace:
    """What a supervisor gives, each from SIGTERM to SIGKILL.

    Attributes:
        command_seconds: To its command.
        rest_seconds: To what that leaves.
    """

    command_seconds: float
    rest_seconds: float

    @property
    def ended_seconds(self) -> float:
        """Until the supervisor has ended."""
        return self.command_seconds + self.rest_seconds + MARGIN_SECONDS


def stage_grace(grace_seconds: float) -> Grace:
    """Of a stage's supervisor: what its command leaves may still save.

    Args:
        grace_seconds: The recipe's; here and below.
    """
    return Grace(grace_seconds, grace_seconds)


def driver_grace(grace_seconds: float) -> Grace:
    """Of the supervisor of nodes' driver, which waits for their supervisors and their uploads."""
    nodes_seconds = stage_grace(grace_seconds).ended_seconds
    return Grace(nodes_seconds + UPLOAD_SECONDS, REST_SECONDS)


def stored_seconds(grace_seconds: float) -> float:
    """Until what a stage has saved is in the store as well, wherever it runs."""
    return driver_grace(grace_seconds).ended_seconds


# From SIGTERM to SIGKILL of a worker or of a run of its, whatever the recipe.
WORKER_GRACE_SECONDS = stored_seconds(LONGEST_GRACE_SECONDS) + SINKS_SECONDS + TOLD_SECONDS
