"""The gate on rollouts while a stage of RL trains: its steps so far, every so many of them.

The stage's own process knows nothing of it. What it appends to `metrics.jsonl` comes by here, as it
comes by the display; an error that is raised here ends the stage as a person would: it saves its
last step, or the one that has begun to update, and a later run goes on from there.
"""

from collections.abc import Callable

from data_checks.gate import GateError, check_steps, describe
from infra.launcher import Metrics
from training.recipe.recipe import Recipe
from training.recipe.stages import RlStage


class RolloutsWatch:
    """Asks the gate as often as the recipe says; each broken expectation is told once.

    Args:
        recipe: The run's recipe; `gates.rollouts` holds what it demands.
        stage: The stage that trains.
        warn: Takes what is broken and does not stop the stage, in words.
        after: The step that a resumed stage goes on after: it shows those before again, and they
            count, but they were looked at in their time.
    """

    def __init__(
        self, recipe: Recipe, stage: RlStage, warn: Callable[[str], None], after: int = 0
    ) -> None:
        self._recipe, self._stage, self._warn = recipe, stage, warn
        self._after = after
        self._steps: list[Metrics] = []
        self._told: set[str] = set()

    def see(self, step: Metrics) -> None:
        """Takes the figures of the next step.

        Raises:
            GateError: A check failed whose severity is `error`, and the recipe asks no person: the
                gate behind the stage would.
        """
        gate, num_steps = self._recipe.gates.rollouts, len(self._steps) + 1
        self._steps.append(step)
        is_last = step["step"] == step["num_steps"]  # then the gate behind the stage looks
        is_new = step["step"] > self._after
        if not gate.every_steps or num_steps % gate.every_steps or is_last or not is_new:
            return
        where = f"the first {num_steps} steps of {self._stage.name}, which trains"
        try:
            checked = check_steps(self._recipe, self._stage, self._steps, where=where)
        except GateError as error:
            if gate.on_failure == "fail":
                raise
            checked = error.checked
        new = [check for check in checked.record.failed if check.name not in self._told]
        self._told.update(check.name for check in new)
        for check in new:
            self._warn(describe(check))
