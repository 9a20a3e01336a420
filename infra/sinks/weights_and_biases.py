"""Weights & Biases: one run a stage, its id made of the stage's key.

`WANDB_API_KEY` and the other variables of its client hold what it needs to know; with
`WANDB_MODE=offline` it writes files for `wandb sync` and asks nobody.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from infra.sinks.sink import SinkRun

if TYPE_CHECKING:
    from wandb import Run

_ending_core = Lock()


class WeightsAndBiases:
    """A run of W&B.

    Args:
        run: Whose figures these are.
        folder: Of this machine's files of W&B. Beside them is noted which step was the last one of
            each run: what was logged offline is in no server that could be asked. Online the
            server alone counts: a step is noted before it is sent.
    """

    def __init__(self, run: SinkRun, folder: Path) -> None:
        import wandb

        folder.mkdir(parents=True, exist_ok=True)
        self._core = wandb.setup()
        try:
            self._run = self._begun(run, folder)
        except wandb.Error:
            raise  # the core lives, and says what the server has answered
        except Exception:
            _end_core(self._core)
            raise
        self._note = folder / f"{run.id}.json"
        self.place = self._run.url or f"{folder} (offline)"
        # A resumed run's next step, as the server has it; 0 of a new one. Offline there is no url.
        self.last_step = max(self._run.step - 1, 0) if self._run.url else _noted(self._note)

    @staticmethod
    def _begun(run: SinkRun, folder: Path) -> "Run":
        import wandb

        return wandb.init(
            project=run.project,
            id=run.id,
            name=f"{run.recipe}/{run.stage}",
            group=run.recipe,
            job_type=run.stage,
            config={**run.settings, "started_by": run.run},
            dir=str(folder),
            resume="allow",
            reinit="create_new",
            settings=wandb.Settings(
                # A stage's log and machine are none of its business.
                console="off",
                silent=True,
                save_code=False,
                disable_git=True,
                x_disable_stats=True,
                x_disable_meta=True,
            ),
        )

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Logs a step; the client sends it in the background."""
        self._run.log(dict(figures), step=step, commit=True)
        partial = self._note.with_suffix(".partial")
        partial.write_text(json.dumps({"last_step": step}), encoding="utf-8")
        partial.replace(self._note)

    def drop(self) -> None:
        """Ends the run as failed, which the next `init` takes back, and its core with it."""
        with suppress(Exception):  # its core may be dead
            self._run.finish(exit_code=1)
        _end_core(self._core)

    def close(self, *, succeeded: bool) -> None:
        """Sends the rest, and marks the run as finished or failed."""
        self._run.finish(exit_code=0 if succeeded else 1)


def _end_core(core: object) -> None:
    """Ends the client's process, `wandb-core`, unless another sink has ended it already.

    All runs of a process share it, and the client never begins a new one by itself: once it is
    dead, every `init` raises. Runs beside this one are opened anew, too.
    """
    import wandb

    # The core's exit code, too, which is not 0 where it was killed, is raised as an exit.
    with _ending_core, suppress(Exception, SystemExit):
        if wandb.setup() is core:
            wandb.teardown(exit_code=1)


def _noted(note: Path) -> int:
    """The step of a note; 0 without one, or if a crash of the machine has cut it."""
    try:
        return int(json.loads(note.read_text(encoding="utf-8"))["last_step"])
    except (FileNotFoundError, ValueError):
        return 0
