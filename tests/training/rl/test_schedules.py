"""Schedules: the paper's values, and transformers' schedulers as an independent source."""

import pytest
import torch
from transformers import get_cosine_schedule_with_warmup

from training.rl.schedules import entropy_coefficient, learning_rate_factor, pad_temperature


def test_tau_falls_linearly_from_1_to_0_3():
    taus = [pad_temperature(step, 8) for step in range(8)]
    assert taus == pytest.approx([1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3])


def test_tau_of_a_single_step_and_beyond_the_end():
    assert pad_temperature(0, 1) == 1.0
    assert pad_temperature(99, 8) == pytest.approx(0.3)


def test_entropy_bonus_of_the_paper():
    paper = {"coefficient": 0.02, "decay": 0.985, "warmup_updates": 140}
    assert entropy_coefficient(140, **paper) == pytest.approx(0.02)
    assert entropy_coefficient(141, **paper) == pytest.approx(0.0197)
    assert entropy_coefficient(240, **paper) == pytest.approx(0.02 * 0.985**100)
    ramp = [entropy_coefficient(step, **paper) for step in range(141)]
    assert ramp == sorted(ramp) and ramp[0] > 0.0


def test_entropy_bonus_of_the_released_code_is_zero_while_it_warms_up():
    released = {"coefficient": 0.02, "decay": 0.985, "warmup_updates": 20, "warmup": "zero"}
    assert [entropy_coefficient(step, **released) for step in range(20)] == [0.0] * 20
    assert entropy_coefficient(20, **released) == pytest.approx(0.02)


def test_without_warm_up_the_bonus_starts_whole():
    assert entropy_coefficient(0, coefficient=0.1, decay=0.5, warmup_updates=0) == 0.1


@pytest.mark.parametrize(("num_steps", "warmup_ratio"), [(40, 0.05), (100, 0.1), (10, 0.0)])
def test_cosine_decay_equals_transformers_after_the_warm_up(num_steps, warmup_ratio):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    num_warmup = round(warmup_ratio * num_steps)
    theirs = get_cosine_schedule_with_warmup(optimizer, num_warmup, num_steps)
    for step in range(num_steps):
        ours = learning_rate_factor(step, num_steps, warmup_ratio=warmup_ratio, schedule="cosine")
        if step >= num_warmup:
            assert ours == pytest.approx(theirs.get_last_lr()[0])
        else:
            assert ours == pytest.approx((step + 1) / num_warmup)
        assert 0.0 < ours <= 1.0
        optimizer.step()
        theirs.step()


def test_constant_rate_after_the_warm_up():
    factors = [
        learning_rate_factor(step, 5, warmup_ratio=0.4, schedule="constant") for step in range(5)
    ]
    assert factors == [0.5, 1.0, 1.0, 1.0, 1.0]


def test_a_warm_up_of_the_whole_run():
    factors = [
        learning_rate_factor(step, 4, warmup_ratio=1.0, schedule="cosine") for step in range(4)
    ]
    assert factors == [0.25, 0.5, 0.75, 1.0]
