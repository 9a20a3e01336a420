"""A stage's metrics on their way to the recipe's sinks: over a retry, and over runs."""

import pytest

from contracts.errors import StageLost
from contracts.job import Job
from drills.disturbed import Stage, Watcher, new_recipe


def processes_that(*attempts):
    """An executor whose attempts show these steps, and are killed, all but the last."""
    left = list(attempts)

    def execute(job: Job, *_: object, on_metrics, **__: object) -> None:
        for step in left.pop(0):
            on_metrics({"step": step, "num_steps": 9, "seconds": 1.0, "loss": 1.0 / step})
        (job.output.parent / "log.txt").touch()
        if left:
            raise StageLost("killed")
        (job.output / "model").mkdir()
        (job.output / "model" / "weights").touch()

    return execute


def test_retries_and_later_runs_go_on_in_the_same_curve(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    stage = Stage(tmp_path, str(tmp_path / "store"))
    logging = {"sinks": ["tensorboard"]}
    values = new_recipe(retries=1).model_dump() | {"logging": logging}
    recipe = type(stage.recipe).model_validate(values)
    display = Watcher()
    with pytest.raises(StageLost):
        stage.make(display, recipe, processes_that([1, 2, 3], [1, 2, 3, 4], []))
    stage.make(display, recipe, processes_that([1, 2, 3, 4, 5, 6]))
    told = [text for text in display.said if text.startswith("Metrics go to tensorboard")]
    assert len(told) == 3  # one for each attempt
    assert told[1].endswith("after step 3") and told[2].endswith("after step 4")
    (folder,) = tmp_path.glob("home/tensorboard/tiny/cold_start-*")
    accumulator = EventAccumulator(str(folder)).Reload()
    assert sorted(one.step for one in accumulator.Scalars("loss")) == [1, 2, 3, 4, 5, 6]


def test_without_sinks_nothing_is_opened(tmp_path):
    stage, display = Stage(tmp_path, str(tmp_path / "store")), Watcher()
    stage.make(display, execute=processes_that([1, 2]))
    assert not any("Metrics go" in text for text in display.said)
    assert display.steps == [1, 2]
