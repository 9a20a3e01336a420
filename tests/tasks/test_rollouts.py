"""The gate on rollouts while a stage trains."""

import pytest

from data_checks.gate import GateError
from drills.disturbed import new_recipe
from tasks import stages
from tasks.rollouts import RolloutsWatch
from training.recipe.recipe import Recipe


def watching(after=0, **gate):
    """A watch on six steps of RL that looks every second one, and what it tells."""
    values = new_recipe("multimodal_rl").model_dump(mode="json")
    values["stages"][1]["num_steps"] = 6
    values["gates"]["rollouts"] |= {"every_steps": 2, "max_truncated": 0.5} | gate
    recipe, told = Recipe.model_validate(values), list[str]()
    return RolloutsWatch(recipe, recipe.stages[1], told.append, after), told


def feed(watch, truncated, start=1):
    """Steps with these shares of responses without an end."""
    for number, share in enumerate(truncated, start):
        watch.see({"step": number, "num_steps": 6, "reward": 0.5, "truncated_fraction": share})


def test_a_bound_that_breaks_while_rl_trains_is_told_once_and_at_the_next_look():
    watch, told = watching(severity="warning")
    feed(watch, [0.5, 0.5, 0.6])
    assert told == []
    feed(watch, [0.4], start=4)
    assert told == [
        "steps: truncated: expected at most 0.5, in 100% of the steps, observed 1 of 4 rows break "
        "it (step 3)"
    ]
    feed(watch, [0.9, 0.9], start=5)  # behind the last step another gate looks
    assert len(told) == 1


def test_a_bound_of_severity_error_stops_the_stage():
    watch, told = watching()
    with pytest.raises(GateError) as caught:
        feed(watch, [0.5, 0.6])
    assert caught.value.record.name == "rollouts-multimodal_rl" and told == []
    assert caught.value.broken_rows == {"steps: truncated": ["step 2"]}
    assert "the first 2 steps of multimodal_rl, which trains" in str(caught.value)


def test_a_stage_that_goes_on_is_not_stopped_for_a_past_that_is_shown_again():
    watch, told = watching(after=2, share_of_steps=0.5)
    feed(watch, [0.6, 0.6, 0.1, 0.1])  # all of the first look, half of the next
    assert told == []


def test_where_a_person_is_to_be_asked_the_stage_goes_on_and_says_so():
    watch, told = watching(on_failure="pause")
    feed(watch, [0.6, 0.6, 0.6, 0.6])
    assert len(told) == 1 and "steps: truncated: " in told[0]


def test_by_default_nobody_looks_before_the_stage_is_done():
    watch, told = watching(every_steps=0)
    feed(watch, [0.6] * 5)
    assert told == []


def test_what_the_gate_saw_of_a_stage_that_it_stops_is_shown(monkeypatch):
    watch, _ = watching()
    shown = []
    monkeypatch.setattr(stages, "run_stage", lambda *_: feed(watch, [0.6, 0.6]))
    monkeypatch.setattr(stages, "show_gate", lambda run, checked: shown.append(checked.record.name))
    rl = new_recipe("multimodal_rl").stages[1]
    with pytest.raises(GateError, match="steps: truncated"):
        stages.train.fn(None, rl, None, None)
    assert shown == ["rollouts-multimodal_rl"]
