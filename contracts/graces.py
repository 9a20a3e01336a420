"""How long whoever waits for a stage's end gives it, from the inside out.

A stage that is told to stop saves; its flow, or the driver of its nodes, stores that; the flow then
waits for its metrics sinks, and says how it ended; the worker waits for the flow, and what ends the
worker waits for that. Each time is made of those inside it,
so that nobody is killed who still saves or stores.
"""

LONGEST_GRACE_SECONDS = 1200.0  # that a recipe may ask for (`checkpoints.grace_seconds`)
MARGIN_SECONDS = 15.0  # to hear of the end, and to reap
UPLOAD_SECONDS = 1000.0  # of 100 GB, a step checkpoint of revisual-7b, at 100 MB/s
SINKS_SECONDS = 60.0  # for all of a stage's metrics sinks to take its last steps
TOLD_SECONDS = 60.0  # for a flow to say how it ended, also to a server that is just restarted


def ended_seconds(grace_seconds: float) -> float:
    """Until a stage's supervisor has ended: a grace for its command, one for what that leaves.

    Args:
        grace_seconds: The recipe's; here and below.
    """
    return 2 * grace_seconds + MARGIN_SECONDS


def stored_seconds(grace_seconds: float) -> float:
    """Until what a stage has saved is in the store as well."""
    return ended_seconds(grace_seconds) + UPLOAD_SECONDS


# From SIGTERM to SIGKILL of a worker or of a run of its, whatever the recipe.
WORKER_GRACE_SECONDS = stored_seconds(LONGEST_GRACE_SECONDS) + SINKS_SECONDS + TOLD_SECONDS
