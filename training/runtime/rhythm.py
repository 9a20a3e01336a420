"""How often to save a stage's state: what a save costs against what a kill loses."""

import math
from collections.abc import Iterable

# Assumptions: bytes a second that a node brings to its disk, and as many to the store; how long a
# machine stays before it is wanted back (a Slurm job's day).
SAVED_A_SECOND, BETWEEN_KILLS_SECONDS = 1e9, 24 * 3600.0
# However small the state: each save is an upload and an entry of the store as well.
LEAST_MINUTES = 5.0
FLOAT32 = 4


def state_bytes(sizes: Iterable[int]) -> int:
    """Float32 weights, two moments and AdamW's count of each: all ranks' files of a step together.

    File headers and random generators come on top: some kilobytes a rank.

    Args:
        sizes: Elements of each parameter that learns.
    """
    return sum(3 * FLOAT32 * size + FLOAT32 for size in sizes)


def save_seconds(num_bytes: int, num_nodes: int) -> float:
    """How long each node writes its share of a step checkpoint."""
    return num_bytes / num_nodes / SAVED_A_SECOND


def planned_minutes(seconds: float) -> float:
    """After how many minutes to save again where a save takes so many seconds."""
    return max(best_minutes(seconds, BETWEEN_KILLS_SECONDS), LEAST_MINUTES)


def best_minutes(save_seconds: float, between_kills_seconds: float) -> float:
    """How far apart checkpoints lose the least time (Young, CACM 17(9), 1974).

    The first order: a save every t costs save / t of the time, and a kill loses t / 2.
    """
    return math.sqrt(2 * save_seconds * between_kills_seconds) / 60.0
