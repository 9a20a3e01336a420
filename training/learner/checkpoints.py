"""Step checkpoints: what a training stage needs to go on as if it had never stopped.

    folder/step-00000020/
      state.json              counts of the loop and of the learner: data position, schedules
      learner-0.safetensors   rank 0's share of weights and moments, and its random generators
      learner-1.safetensors   ...
      history/                the output's files so far: metrics.jsonl, samples.jsonl

Each node has such a folder on its own disk, with the shares of its ranks; on rank 0's node is the
history. Whoever resumes reads them all from one folder.

Data order, draws and schedules are functions of the seed and of these counts
(`training.runtime.seeds`, `training.rl.schedules`), so counts, weights and moments are all there
is to keep.

Until a step's first update weights and moments are those of the step before: whatever the step has
done by then is dropped when the stage is told to stop, and the state saved is that step's end.

Saving copies to host memory and returns; a thread writes the files, one save at a time, and the
folder gets its name last: what is called `step-...` is complete. Whoever keeps checkpoints renames
such a folder to take it; of those not taken, only the newest stays, and in a stage that validates
the one with the best score.
"""

import json
import math
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, NoReturn, Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from contracts.errors import DataError, Preempted
from training.learner.learner import Learner
from training.recipe.recipe import CheckpointsRecipe
from training.runtime import device, rhythm
from training.runtime.log import say
from training.runtime.metrics import Metric
from training.runtime.preemption import Notice, Stop
from training.runtime.random_state import Tensors, random_state, restore_random_state

STATE = "state.json"
HISTORY = "history"
POLL_SECONDS = 0.05


class LoopState(Protocol):
    """A dataclass with the loop's counts; `step` counts the steps that are done."""

    __dataclass_fields__: ClassVar[dict[str, Any]]
    step: int


@dataclass(frozen=True)
class Places:
    """Where a stage's step checkpoints lie; nothing is saved or read where there is None.

    Attributes:
        save: Receives `step-...` folders.
        resume: One such folder to go on from.
    """

    save: Path | None = None
    resume: Path | None = None


@dataclass(frozen=True)
class _Boundary:
    """What a checkpoint holds of the end of a step, beside weights, moments and the history.

    Attributes:
        step: Which step's end it is.
        values: The counts, as they are written into `STATE`.
        generators: See `random_state`; so are the texts.
        texts: Of the generators.
        keeps_best: See `Checkpoints.after_step`.
    """

    step: int
    values: dict[str, Any]
    generators: Tensors
    texts: dict[str, str]
    keeps_best: bool


class Checkpoints:
    """Saves a stage's state now and then and when it is told to stop; a context manager.

    Args:
        recipe: How often, by steps and by minutes.
        places: Where.
        output: The stage's output; its files so far belong to the state.
        learner: Weights, moments and their counts.
        state: The loop's counts.
        clock: Seconds that never go back; rank 0's decides for all.
    """

    def __init__(
        self,
        recipe: CheckpointsRecipe,
        places: Places,
        output: Path,
        learner: Learner,
        state: LoopState,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._recipe, self._places, self._output = recipe, places, output
        self._learner, self._state = learner, state
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._writing: Future[None] | None = None
        self._notice = Notice()
        # The last step's end, where no checkpoint of it has been written or read.
        self._unsaved: _Boundary | None = None
        self._newest_step = self._step_before = 0  # of those that have been; the one before that
        self._every_minutes = recipe.every_minutes or rhythm.planned_minutes(
            rhythm.save_seconds(learner.state_bytes, device.num_nodes())
        )
        self._clock = clock
        self._saved_at = clock()
        self._stack = ExitStack()

    def __enter__(self) -> "Checkpoints":
        if self._places.save is not None:
            self._stack.enter_context(self._notice)
            said = "" if self._recipe.every_minutes else ", as the plan finds"
            say(f"Saved every {self._every_minutes:.1f} minutes{said}")
            if device.is_first_of_node():
                # A crashed attempt left them. No rank saves before all have taken part in a step.
                for partial in self._places.save.glob(".*step-*"):
                    shutil.rmtree(partial)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._stack:
            if error is None:
                self.wait()
            elif self._places.save is not None and not isinstance(error, Preempted):
                error.add_note(self._lost())
            # After an error another rank's file may never come: leave that thread behind.
            self._writer.shutdown(wait=error is None, cancel_futures=True)

    def resume(self) -> bool:
        """Goes on from the given checkpoint, if there is one; all ranks take part.

        Returns:
            Whether there was one.

        Raises:
            DataError: It is not a checkpoint of this stage.
        """
        folder = self._places.resume
        if folder is None:
            return False
        saved = json.loads((folder / STATE).read_text(encoding="utf-8"))
        _require_fields(folder, self._state, saved["loop"])
        vars(self._state).update(saved["loop"])
        vars(self._learner.state).update(saved["learner"])
        _read_tensors(folder, self._learner)
        self._newest_step = self._state.step
        if device.rank() == 0:
            shutil.copytree(folder / HISTORY, self._output, dirs_exist_ok=True)
        say(f"Resumed after step {self._state.step}, saved by {saved['num_ranks']} rank(s)")
        return True

    @property
    def stop(self) -> Stop:
        """What a step looks at until its first update; there it is stopped at once.

        Its `agree` saves the end of the step before, if there is no checkpoint of that yet.
        """
        return Stop(lambda: self._notice.came_here, self._stop_before_update)

    def _stop_before_update(self) -> None:
        if self._places.save is None or not device.is_true_anywhere(self._notice.came_here):
            return
        self._leave(self._places.save, self._unsaved)

    def _leave(self, folder: Path, unsaved: _Boundary | None) -> NoReturn:
        """Ends the stage once its newest checkpoint is written; all ranks take part."""
        if unsaved is not None:
            self._save(folder, unsaved)
        self.wait()
        device.barrier()  # a rank that ends early would have the others ended, too
        step = self._newest_step
        raise Preempted(f"step {step} is saved" if step else "no step is finished")

    def _save(self, folder: Path, boundary: _Boundary) -> None:
        """Copies the state of a step's end, and has a thread write the copy."""
        self.wait()
        self._saved_at = self._clock()
        self._writing = self._writer.submit(self._copied(folder, boundary))
        self._step_before, self._newest_step = self._newest_step, boundary.step
        self._unsaved = None

    def after_step(self, *, score: Metric, is_last: bool, keeps_best: bool = False) -> None:
        """Saves if it is time to; called by all ranks after every step.

        Args:
            score: How good the step was; the best step's checkpoint is kept longer.
            is_last: Whether the stage's steps are done. That is saved in any case: writing the
                model may fail, and publishing it.
            keeps_best: Whether the best one waits to be taken even when there is a newer one; then
                every step that has a score is saved.

        Raises:
            Preempted: The stage was told to stop; its state is saved.
            DataError: An earlier checkpoint could not be written.
        """
        if self._places.save is None:
            return
        step, every = self._state.step, self._recipe.every_steps
        is_scheduled = every is not None and step % every == 0
        is_validated = keeps_best and score is not None
        minutes = (self._clock() - self._saved_at) / 60.0
        is_due = minutes >= self._every_minutes
        # One exchange for both. Clocks differ by a little, and a save takes all ranks: the first
        # one's decides.
        asked = device.gather_from_all_ranks((self._notice.came_here, is_due))
        is_told = any(came for came, _ in asked)
        boundary = self._boundary(score, keeps_best)
        if is_told:
            self._leave(self._places.save, boundary)
        if asked[0][1] or is_scheduled or is_validated or is_last:
            self._save(self._places.save, boundary)
        else:
            self._unsaved = boundary

    def finish(self) -> None:
        """Until the last step's checkpoint is written; called by all ranks before the model is.

        Its copies of the weights are gone then.

        Raises:
            Preempted: The stage was told to stop; the next one has but the model to write.
            DataError: The checkpoint could not be written.
        """
        self.wait()
        self._stop_before_update()

    def wait(self) -> None:
        """Waits until the last checkpoint is written; raises what went wrong with it."""
        if self._writing is not None:
            self._writing.result()
            self._writing = None

    def _lost(self) -> str:
        """What an error costs that ends the stage, and what would lower it."""
        is_written = self._writing is None or self._writing.done()
        has_failed = self._writing is not None and is_written and self._writing.exception()
        step = self._step_before if has_failed else self._newest_step
        every_steps = self._recipe.every_steps or "none"
        saved = f"step {step}" if step else "the start"
        saved += "" if is_written else " (still being written)"
        return (
            f"lost:  {self._state.step - step} finished steps, those since {saved}; saving more "
            f"often, by checkpoints.every_minutes ({self._every_minutes:.1f}) or "
            f"checkpoints.every_steps ({every_steps}), would leave less to lose"
        )

    def _boundary(self, score: Metric, keeps_best: bool) -> _Boundary:
        """The end of the step that has just been done."""
        values = {
            "num_ranks": device.world_size(),
            "score": score,
            "loop": asdict(self._state),
            "learner": asdict(self._learner.state),
        }
        return _Boundary(self._state.step, values, *random_state(), keeps_best)

    def _copied(self, folder: Path, boundary: _Boundary) -> Callable[[], None]:
        """Copies the state to host memory; returns what writes the copy."""
        tensors = self._learner.export_state() | boundary.generators
        name, rank = f"step-{boundary.step:08d}", device.rank()
        # Every node has a disk of its own, and on it a folder with the shares of its ranks.
        is_first, num_shares = device.is_first_of_node(), device.ranks_of_node()
        files = sorted(self._output.iterdir()) if is_first else []
        history = {path.name: path.read_bytes() for path in files}

        def write() -> None:
            partial = folder / f".{name}"
            with _clear_errors(folder, name):
                partial.mkdir(parents=True, exist_ok=True)
                unnamed = partial / f".learner-{rank}"
                save_file(tensors, unnamed, boundary.texts)
                unnamed.rename(partial / f"learner-{rank}.safetensors")
                if is_first:
                    _commit(partial, folder / name, boundary.values, history, num_shares)
                    _remove_older(folder / name, keeps_best=boundary.keeps_best)

        return write


def _commit(
    partial: Path, target: Path, values: dict[str, Any], history: dict[str, bytes], num_shares: int
) -> None:
    """Completes a checkpoint once every rank of this node has written its share, and names it."""
    (partial / HISTORY).mkdir()
    for name, data in history.items():
        (partial / HISTORY / name).write_bytes(data)
    (partial / STATE).write_text(json.dumps(values, indent=1), encoding="utf-8")
    # Ranks that died are not waited for long: the launcher ends those that are left.
    while len(list(partial.glob("learner-*.safetensors"))) < num_shares:
        time.sleep(POLL_SECONDS)
    _remove(target)  # of an earlier attempt in the same folder
    partial.rename(target)


def _remove_older(newest: Path, *, keeps_best: bool) -> None:
    """Removes the checkpoints that nobody took in time, save for the best where it is wanted."""
    waiting = sorted(one for one in newest.parent.glob("step-*") if one.name <= newest.name)
    # Of equal ones the newer, as in the store.
    best = max(waiting, key=lambda one: (_score(one), one.name), default=None)
    for folder in waiting:
        if folder != newest and not (keeps_best and folder == best):
            _remove(folder)


def _score(checkpoint: Path) -> float:
    """A checkpoint's score; the lowest where it has none, or has just been taken."""
    try:
        score = json.loads((checkpoint / STATE).read_text(encoding="utf-8"))["score"]
    except FileNotFoundError:
        return -math.inf
    return -math.inf if score is None or math.isnan(score) else float(score)


@contextmanager
def _clear_errors(folder: Path, name: str) -> Iterator[None]:
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise DataError(
            f"The checkpoint {name} cannot be written: {error}.",
            where=str(folder),
            rule="step checkpoints are written to this machine's disk first, with space left",
            fix="make room and start the run again: it goes on from the checkpoint before",
        ) from error


def _remove(folder: Path) -> None:
    """Renames first: whoever takes checkpoints must never get half of one."""
    doomed = folder.with_name(f".removed-{folder.name}")
    with suppress(FileNotFoundError):  # there is none, or it has just been taken
        folder.rename(doomed)
        shutil.rmtree(doomed)


def _read_tensors(folder: Path, learner: Learner) -> None:
    """Restores the learner from all ranks' files, and this rank's random generators."""
    with ExitStack() as stack:
        files = [
            stack.enter_context(safe_open(path, framework="pt"))
            for path in sorted(folder.glob("learner-*.safetensors"))
        ]
        # safetensors' files have keys() but cannot be iterated, whatever SIM118 suggests.
        owners = {name: file for file in files for name in file.keys()}  # noqa: SIM118

        def read(name: str) -> torch.Tensor:
            tensor: torch.Tensor = owners[name].get_tensor(name)
            return tensor

        learner.restore_state(set(owners), read)
        own = folder / f"learner-{device.rank()}.safetensors"
        if not own.exists():
            return  # more ranks than before: the new ones keep the generators they started with
        with safe_open(own, framework="pt") as file:
            # As above: not iterable.
            names = [name for name in file.keys() if name.startswith("random/")]  # noqa: SIM118
            generators = {name: file.get_tensor(name) for name in names}
            restore_random_state(generators, file.metadata())


def _require_fields(folder: Path, state: LoopState, saved: dict[str, Any]) -> None:
    if set(saved) != set(state.__dataclass_fields__):
        raise DataError(
            f"{folder} holds the counts of another kind of stage: {', '.join(sorted(saved))}.",
            where=str(folder / STATE),
            rule=f"the stage counts {', '.join(sorted(state.__dataclass_fields__))}",
            fix="resume from a checkpoint of the same stage, written by the same code",
        )
