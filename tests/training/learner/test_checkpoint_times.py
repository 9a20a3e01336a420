"""When a step checkpoint is due: by steps, by the first rank's clock, and after the last step."""

import pytest

from contracts.errors import DataError, OutOfMemoryError
from training.learner.checkpoints import Checkpoints, Places
from training.learner.learner import Learner
from training.recipe.recipe import CheckpointsRecipe, HardwareRecipe
from training.recipe.stages import OptimizerRecipe
from training.runtime import device, rhythm
from training.sft.train import SftState


class Clock:
    """Goes on by so many minutes with each step."""

    def __init__(self, minutes):
        self.minutes, self._taken = minutes, 0.0

    def tick(self):
        self._taken += self.minutes

    def __call__(self):
        return 60.0 * self._taken


def steps_saved(learner, folder, minutes, num_steps, **recipe):
    """The steps after which a loop of `minutes` a step saves."""
    clock, state, saved = Clock(minutes), SftState(), []
    output, places = folder / "output", Places(save=folder / "saved")
    output.mkdir(parents=True, exist_ok=True)
    with Checkpoints(
        CheckpointsRecipe(**recipe), places, output, learner, state, clock
    ) as checkpoints:
        while state.step < num_steps:
            state.step += 1
            clock.tick()
            checkpoints.after_step(score=0.0, is_last=state.step == num_steps)
            checkpoints.wait()
            device.barrier()
            saved.extend(int(one.name[5:]) for one in places.save.glob("step-*"))
            device.barrier()
    return sorted(set(saved))


@pytest.mark.parametrize(
    ("minutes", "every_minutes", "every_steps", "expected"),
    [
        (1.0, 100.0, 4, [4, 8, 9]),  # by steps, and the last in any case
        (1.0, 3.0, None, [3, 6, 9]),  # by minutes alone
        (1.0, 3.0, 100, [3, 6, 9]),  # by minutes
        (2.0, 3.0, 100, [2, 4, 6, 8, 9]),
        (1.0, 3.0, 4, [3, 4, 7, 8, 9]),  # whichever comes first, and each counts for the other
        (1.0, 100.0, None, [9]),
        (9.0, 3.0, 100, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
    ],
)
def test_a_checkpoint_is_due_by_steps_or_by_minutes_and_at_the_end(
    minutes, every_minutes, every_steps, expected, tiny_policy, tmp_path
):
    device.start(1)
    learner = new_learner(tiny_policy)
    due = {"every_minutes": every_minutes, "every_steps": every_steps}
    assert steps_saved(learner, tmp_path / "loop", minutes, 9, **due) == expected


@pytest.mark.parametrize(
    ("every_steps", "expected"),
    [
        (4, "3 finished steps, those since step 4;"),
        (None, "7 finished steps, those since the start;"),
    ],
)
def test_an_error_that_ends_the_stage_says_what_it_costs(
    every_steps, expected, tiny_policy, tmp_path
):
    device.start(1)
    (tmp_path / "output").mkdir()
    rest = (tmp_path / "output", new_learner(tiny_policy), SftState())

    def fails(places):
        recipe = CheckpointsRecipe(every_steps=every_steps, every_minutes=60.0)
        with (
            pytest.raises(OutOfMemoryError) as caught,
            Checkpoints(recipe, places, *rest) as checkpoints,
        ):
            for rest[-1].step in range(1, 8):
                checkpoints.after_step(score=0.0, is_last=False)
                checkpoints.wait()
            raise OutOfMemoryError("none", where="update", rule="it fits", fix="lower it")
        return getattr(caught.value, "__notes__", [])

    (note,) = fails(Places(save=tmp_path / "saved"))
    assert f"lost:  {expected}" in note
    assert "checkpoints.every_minutes (60.0)" in note
    assert f"checkpoints.every_steps ({every_steps or 'none'})" in note
    assert fails(Places()) == []  # where nothing is to be saved, nothing would lower it


def test_a_checkpoint_that_could_not_be_written_is_none(tiny_policy, tmp_path):
    device.start(1)
    (tmp_path / "output").mkdir()
    state, saved = SftState(), tmp_path / "saved"
    rest = (Places(save=saved), tmp_path / "output", new_learner(tiny_policy), state)
    recipe = CheckpointsRecipe(every_steps=2, every_minutes=60.0)
    with pytest.raises(DataError) as caught, Checkpoints(recipe, *rest) as checkpoints:
        for state.step in range(1, 6):
            checkpoints.after_step(score=0.0, is_last=False)
            checkpoints.wait()
            if state.step == 2:
                (saved / ".step-00000004").touch()  # stands where the folder is to be
    (note,) = caught.value.__notes__
    assert "lost:  2 finished steps, those since step 2;" in note


def test_without_minutes_the_plan_says_how_far_apart(tiny_policy, tmp_path, monkeypatch):
    """Young's interval of the bytes that the learner writes; five minutes where that is less."""
    device.start(1)
    learner = new_learner(tiny_policy)
    assert steps_saved(learner, tmp_path / "least", 2.0, 9) == [3, 6, 9]
    sizes = [one.numel() for one in tiny_policy.model.parameters()]
    num_bytes = 12 * sum(sizes) + 4 * len(sizes)
    # So slow a disk that a save takes 3.375 s: the root of 2 * 3.375 * 86,400 is 763.7 s.
    monkeypatch.setattr(rhythm, "SAVED_A_SECOND", num_bytes / 3.375)
    assert steps_saved(learner, tmp_path / "planned", 6.4, 9) == [2, 4, 6, 8, 9]
    assert steps_saved(learner, tmp_path / "planned later", 6.3, 9) == [3, 6, 9]


def new_learner(policy):
    return Learner(
        policy,
        optimizer=OptimizerRecipe(learning_rate=1e-3),
        hardware=HardwareRecipe(),
        num_updates=10,
        tokens_per_micro_batch=100,
    )
