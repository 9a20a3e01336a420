"""What the driver of a stage and its nodes say to one another."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from signal import SIGINT, SIGTERM

from contracts.artifact import Artifact, Record
from contracts.job import Job, Outcome
from infra.digests import FileEntry
from infra.ends import signal_of

KILLED_CODE = 128 + 9  # SIGKILL, of whatever ended a node


class Placement(Record):
    """Which nodes a stage wants, and of which cluster.

    Attributes:
        field: Where the recipe asks for it, for errors.
        address: `host:port` of the cluster; None for a Ray of one's own.
        nodes: How many.
        cpus: Of each node.
        gpus: Of each node.
        needs_gpus: Whether nodes without them will not do; else they compute on their CPUs if the
            cluster has too few others.
        timeout_seconds: How long to wait for them.
        store: The artifact store that all must reach.
    """

    field: str
    address: str | None
    nodes: int
    cpus: int
    gpus: int
    needs_gpus: bool
    timeout_seconds: float
    store: str


class NodesTask(Record):
    """One stage for some nodes. Nothing in it is secret: Ray keeps it in its own memory.

    Attributes:
        placement: The nodes.
        job: What is asked; its folders are the driver's.
        recipe: The resolved recipe, JSON.
        run: Names the nodes' scratch folders.
        inputs: References to what the job reads, by the job's names.
        resume: Reference to the step checkpoint to go on from.
        code: Digest of the project's sources; the nodes have the same.
        modules: Digests of the modules of functions of the user's own, and of what they import.
        num_processes: On each node.
        threads_per_process: CPU threads of each.
        grace_seconds: From SIGTERM to SIGKILL.
        variables: Names of variables that hold secrets which the stage needs.
    """

    placement: Placement
    job: Job
    recipe: str
    run: str
    inputs: dict[str, Artifact]
    resume: Artifact | None
    code: str
    modules: dict[str, str]
    num_processes: int
    threads_per_process: int
    grace_seconds: float
    variables: tuple[str, ...]

    @property
    def saves_steps(self) -> bool:
        """Whether the job trains; else it draws responses."""
        return self.job.stage not in ("curate", "evaluate")


class End(Record):
    """How a node's processes ended.

    Attributes:
        code: Of the node's supervisor.
        outcome: What the processes said themselves.
    """

    code: int
    outcome: Outcome | None = None


class Upload(Record):
    """A node's share of a step checkpoint, on its way into the store or there.

    Attributes:
        step: Which one.
        files: What lies in the store; None while it is on its way.
        problem: Why it could not be stored; else empty.
    """

    step: int
    files: tuple[FileEntry, ...] | None = None
    problem: str = ""


@dataclass(frozen=True)
class Report:
    """What a node has to tell since it was asked last.

    Attributes:
        log: The next bytes of its log.
        metrics: The next bytes of its metrics; of the first node alone.
        meet: Where the first node's agent listens, once it does; empty before, and elsewhere.
        steps: The step checkpoints whose share is complete on its disk.
        chunks: Files that wait to be fetched, by their names: responses, and what was found in
            shards.
        upload: The last one that was asked for.
        end: How its processes ended; None while they run.
    """

    log: bytes = b""
    metrics: bytes = b""
    meet: str = ""
    steps: tuple[int, ...] = ()
    chunks: tuple[str, ...] = ()
    upload: Upload | None = None
    end: End | None = None


class Uploaded(Record):
    """Lies in the place of a step checkpoint whose files are in the store already.

    Attributes:
        location: Of the artifact to be, in the store.
        files: All nodes' files, sorted by path.
    """

    location: str
    files: tuple[FileEntry, ...]


UPLOADED = "uploaded.json"


def read_uploaded(folder: Path) -> Uploaded | None:
    """What of a step checkpoint is in the store already; None if its files lie in the folder."""
    path = folder / UPLOADED
    if not path.is_file():
        return None
    return Uploaded.model_validate_json(path.read_text(encoding="utf-8"))


class Weight(IntEnum):
    """How much an end explains: of several nodes' ends the heaviest is the cause."""

    DONE = 0
    PREEMPTED = 1
    LOST = 2  # it missed another one
    CRASHED = 3
    KILLED = 4
    REFUSED = 5  # a rule is broken, and the message names it


def weight_of(end: End) -> Weight:
    """How much one node's end explains."""
    status = None if end.outcome is None else end.outcome.status
    if status == "refused":
        return Weight.REFUSED
    if end.code == 0:
        return Weight.DONE
    ended_by = signal_of(end.code)
    if ended_by not in (None, SIGTERM, SIGINT):
        return Weight.KILLED
    if status == "lost":
        return Weight.LOST
    if status == "preempted" or ended_by is not None:
        return Weight.PREEMPTED
    return Weight.CRASHED


def cause(ends: Sequence[End]) -> End:
    """The end that explains how all ended, the first of equal ones.

    Args:
        ends: Of all nodes.
    """
    return max(ends, key=weight_of)
