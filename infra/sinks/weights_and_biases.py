"""Weights & Biases: one run a stage, its id made of the stage's key.

`WANDB_API_KEY` and the other variables of its client hold what it needs to know; with
`WANDB_MODE=offline` it writes files for `wandb sync` and asks nobody.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from infra.sinks.sink import SinkRun


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
        self._run = wandb.init(
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
        self._note = folder / f"{run.id}.json"
        self.place = self._run.url or f"{folder} (offline)"
        # A resumed run's next step, as the server has it; 0 of a new one. Offline there is no url.
        self.last_step = max(self._run.step - 1, 0) if self._run.url else _noted(self._note)

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Logs a step; the client sends it in the background."""
        self._run.log(dict(figures), step=step, commit=True)
        partial = self._note.with_suffix(".partial")
        partial.write_text(json.dumps({"last_step": step}), encoding="utf-8")
        partial.replace(self._note)

    def close(self, *, succeeded: bool) -> None:
        """Sends the rest, and marks the run as finished or failed."""
        self._run.finish(exit_code=0 if succeeded else 1)


def _noted(note: Path) -> int:
    """The step of a note; 0 without one, or if a crash of the machine has cut it."""
    try:
        return int(json.loads(note.read_text(encoding="utf-8"))["last_step"])
    except (FileNotFoundError, ValueError):
        return 0
