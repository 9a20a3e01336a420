"""What a running stage saves, on its way into the store: here the step checkpoints.

The stage's processes write them to this machine's disk (`training.learner.checkpoints`), and know
no store. While the stage runs, a thread here takes the newest, uploads it and forgets it: one at a
time, so that at most three lie on the disk: being written, waiting, being uploaded; in a stage that
validates, the best may wait beside the newest. Step 20 of a stage is entered under the stage's own
key, as `keys/<stage key>/step-00000020`: there the next run looks. When the stage is finished, they
go (`drop_remains`). The responses of curation and
evaluation have a module of their own, `tasks.chunks`.
"""

import json
import math
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Self

from contracts.artifact import Artifact
from contracts.errors import DamagedError, StoreError
from contracts.provenance import Provenance
from infra.cluster.records import read_uploaded
from infra.manifest import Manifest
from infra.names import chunks_key, step_key
from infra.stopping import hear_no_more
from infra.store import Store

POLL_SECONDS = 0.5
KIND = "checkpoint"
Say = Callable[[str], None]


@dataclass(frozen=True)
class ResumePoint:
    """Where a stage goes on.

    Attributes:
        step: The step that is done; 0 for a stage that starts from its beginning.
        folder: The verified copy of its checkpoint.
        artifact: What it is a copy of, for machines that fetch it themselves.
        distrusted: URIs of newer checkpoints that turned out to be damaged.
    """

    step: int = 0
    folder: Path | None = None
    artifact: Artifact | None = None
    distrusted: tuple[str, ...] = ()


def resume_point(store: Store, key: str, work: Path, say: Say) -> ResumePoint:
    """Finds and fetches the newest valid step checkpoint of a stage.

    Args:
        store: Where they lie.
        key: The stage's key.
        work: Receives the copy.
        say: Told of each one that is passed over.

    Raises:
        DamagedError: There are some, and none is valid.
        StoreError: The store cannot be reached.
    """
    damaged: dict[int, str] = {}
    distrusted: list[str] = []
    # Looked for anew each time: another run of the stage may drop one, and has a newer one then.
    while untried := set(store.steps(key)) - set(damaged):
        step = max(untried)
        artifact = store.find(step_key(key, step))
        if artifact is None:
            damaged[step] = "its files are not all there"
        else:
            folder = work / f"resume-{step:08d}"
            try:
                store.copy(artifact, folder)
            except DamagedError as error:
                shutil.rmtree(folder, ignore_errors=True)
                damaged[step] = error.what
                distrusted.append(artifact.uri)
            else:
                say(f"Going on after step {step}: {artifact.uri}")
                return ResumePoint(step, folder, artifact, tuple(distrusted))
        say(f"The checkpoint of step {step} is passed over: {damaged[step]}")
    # A run that has finished the stage meanwhile has removed them: those are not damaged.
    if left := set(store.steps(key)) if damaged else set():
        raise DamagedError(
            "\n  ".join(
                [
                    "None of the stage's step checkpoints is valid:",
                    *(f"step {step}: {damaged[step]}" for step in damaged if step in left),
                ]
            ),
            where=f"{store.root}/keys/{key}",
            rule="a stage that has step checkpoints goes on from the newest that is intact",
            fix="bring the files back; or remove that folder: the stage then starts at its first "
            "step",
        )
    return ResumePoint()


def drop_remains(store: Store, key: str, *, keeps_best: bool) -> None:
    """Removes what a stage saved while it ran, if it is finished; else nothing.

    Args:
        store: Where it lies.
        key: The stage's key.
        keeps_best: Whether the step checkpoint with the best score stays: of a stage that validates
            it may be better than the model that came last.

    Raises:
        StoreError: The store cannot be reached.
    """
    steps, has_chunks = store.steps(key), store.has_entries(chunks_key(key))
    if not (steps or has_chunks) or store.find(key) is None:
        return
    best = best_step(step_scores(store, key)) if keeps_best else None
    for step in steps:
        if step != best:
            store.drop(step_key(key, step))
    if has_chunks:
        store.drop(chunks_key(key))


@dataclass(frozen=True)
class Retention:
    """Which step checkpoints of a stage stay in the store.

    Attributes:
        keep_last: So many of the newest; the one with the best score stays, too.
    """

    keep_last: int

    def outdated(self, scores: Mapping[int, float]) -> list[int]:
        """The steps to drop.

        Args:
            scores: By step; a step without a score counts as the worst.
        """
        newest, best = sorted(scores)[-self.keep_last :], best_step(scores)
        return [step for step in sorted(scores) if step not in newest and step != best]


def best_step(scores: Mapping[int, float]) -> int | None:
    """The step of the highest score, the later of equal ones; None if there are no steps."""
    return max(scores, key=lambda step: (_comparable(scores[step]), step), default=None)


class Uploads(ABC):
    """Uploads what a running stage saves, in the background; a context manager.

    Leaving it waits for the upload in progress and makes the last one, also if a signal comes
    meanwhile: what is being uploaded is removed right after.

    Args:
        poll_seconds: How often it looks.
        say: Told of what is stored, and of uploads that fail.
    """

    def __init__(self, poll_seconds: float, say: Say) -> None:
        self._poll_seconds, self._tell = poll_seconds, say
        self._stopping = Event()
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="uploads")

    def __enter__(self) -> Self:
        self._running = self._executor.submit(self._run)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._stopping.set()
            # Not by joining its thread: Python 3.11 takes that for ended once a signal cuts a join.
            wait([self._running])
        except BaseException:  # a signal
            hear_no_more()
            wait([self._running])
            raise
        finally:
            self._executor.shutdown()
        self._running.result()  # an error nobody expected

    @property
    @abstractmethod
    def saved(self) -> str:
        """What the next run goes on from, a sentence."""

    @abstractmethod
    def upload(self) -> None:
        """Uploads what is there now, if there is something."""

    def _say(self, text: str) -> None:
        # Once its worker is dead nobody reads what a flow's process prints, and rich, which Prefect
        # logs with, ends whoever does so: the uploads go on.
        with suppress(SystemExit):
            self._tell(text)

    def _run(self) -> None:
        """Uploads until told to stop, and what is there then."""
        while not self._stopping.wait(self._poll_seconds):
            self.upload()
        self.upload()


class StepUploads(Uploads):
    """Uploads a running training stage's step checkpoints.

    Args:
        store: Where to.
        key: The stage's key.
        folder: Where the stage's processes save.
        retention: What stays.
        start: Where the stage goes on; what is distrusted there must give way to what is uploaded.
        provenance: For the manifests.
        say: See `Uploads`.

    Attributes:
        step: The newest step that was gone on from or uploaded; 0 if there is none.
    """

    def __init__(
        self,
        store: Store,
        key: str,
        folder: Path,
        *,
        retention: Retention,
        start: ResumePoint,
        provenance: Provenance,
        say: Say,
    ) -> None:
        super().__init__(POLL_SECONDS, say)
        self.step = start.step
        self._store, self._key, self._folder = store, key, folder
        self._retention, self._distrusted = retention, start.distrusted
        self._provenance = provenance
        # Read once: on a small machine every request takes time from the training.
        self._scores: dict[int, float] | None = None

    @property
    def saved(self) -> str:
        """See `Uploads.saved`."""
        if not self.step:
            return "no step is in the store; the next run begins with the first."
        return f"step {self.step} is in the store; the next run goes on after it."

    def upload(self) -> None:
        """Uploads the checkpoints that wait, the newest first."""
        while taken := self._take():
            start_seconds = time.monotonic()
            step = int(taken.name.removeprefix("taken-"))
            try:
                if not self._stays(taken, step):
                    self._forget(taken)
                else:
                    self._publish(taken, step)
                    self.step = max(self.step, step)
                    seconds = time.monotonic() - start_seconds
                    self._say(f"The checkpoint of step {step} is stored, after {seconds:.1f} s")
            except StoreError as error:
                # The stage goes on: it is the next one's turn, and the artifact's at the end.
                self._say(f"The checkpoint of step {step} could not be stored: {error}")
            shutil.rmtree(taken)

    def _stays(self, folder: Path, step: int) -> bool:
        """Whether a checkpoint is worth its upload: an older one may not be the best any more."""
        if step > self.step:
            return True
        scores = self._stored_scores() | {step: _saved_score(folder)}
        return step not in self._retention.outdated(scores)

    def _forget(self, folder: Path) -> None:
        """Removes from the store what is of no use there, if it is there already."""
        uploaded = read_uploaded(folder)
        if uploaded is not None:
            self._store.backend.remove(uploaded.location)

    def _take(self) -> Path | None:
        """Renames the newest complete checkpoint: its writer removes what is called `step-...`."""
        for folder in sorted(self._folder.glob("step-*"), reverse=True):
            taken = folder.with_name(folder.name.replace("step-", "taken-"))
            with suppress(FileNotFoundError):  # a newer one has just replaced it
                return folder.rename(taken)
        return None

    def _publish(self, folder: Path, step: int) -> None:
        score = _saved_score(folder)
        producer = {**self._provenance.producer, "step": str(step), "score": json.dumps(score)}
        provenance = self._provenance.model_copy(update={"producer": producer})
        key, uploaded = step_key(self._key, step), read_uploaded(folder)
        if uploaded is None:
            self._store.publish(folder, KIND, provenance, key=key, distrusted=self._distrusted)
        else:
            manifest = Manifest(kind=KIND, files=uploaded.files, **dict(provenance))
            self._store.enter(uploaded.location, manifest, key, self._distrusted)
        scores = self._stored_scores()
        scores[step] = score
        for outdated in self._retention.outdated(scores):
            self._store.drop(step_key(self._key, outdated))
            del scores[outdated]

    def _stored_scores(self) -> dict[int, float]:
        if self._scores is None:
            self._scores = step_scores(self._store, self._key)
        return self._scores


def step_scores(store: Store, key: str) -> dict[int, float]:
    """The scores of a stage's intact step checkpoints; NaN where there is none."""
    scores: dict[int, float] = {}
    for step in store.steps(key):
        artifact = store.find(step_key(key, step))
        if artifact is not None:
            scores[step] = _written_score(store.manifest(artifact).producer.get("score", ""))
    return scores


def _written_score(text: str) -> float:
    """What a manifest says about a step; NaN for what is no number."""
    try:
        score = json.loads(text)
    except (ValueError, RecursionError):
        return math.nan
    return float(score) if isinstance(score, int | float) else math.nan


def _saved_score(folder: Path) -> float:
    """What a stage's process wrote; NaN where there is no score."""
    score = json.loads((folder / "state.json").read_text(encoding="utf-8"))["score"]
    return math.nan if score is None else float(score)


def _comparable(score: float) -> float:
    return -math.inf if math.isnan(score) else score
