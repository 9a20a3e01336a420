"""An optimizer in host memory takes the steps of one beside the model.

DeepSpeed adds the gradient's norm up in another order there, so that a clipped gradient is scaled
by a factor that differs in its last bits. Where nothing is clipped there is no factor, and every
byte is the same.
"""

import math

import pytest
import torch

from tests.training.plan.tiny import SIZES, new_policy, new_sequences, new_stage, stage_learner
from training.model.forward import ForwardSettings
from training.recipe.stages import OptimizerRecipe
from training.runtime import device
from training.sft.train import token_mean_loss

RATE = 1e-2
UNCLIPPED = 1e6
SHARDED = [1, 2, 3]
TOWER = "model.visual.blocks.0.attn.qkv.weight"


@pytest.fixture(autouse=True, scope="module")
def process_group():
    device.start(1)


def new_learner(*, dtype="float32", max_grad_norm=UNCLIPPED, **hardware):
    """A learner of micro-batches of one sequence."""
    optimizer = OptimizerRecipe(learning_rate=RATE, max_grad_norm=max_grad_norm)
    policy, _ = new_policy(SIZES[0], dtype)
    return policy, stage_learner(policy, new_stage(1, optimizer=optimizer), dtype, **hardware)


def update(policy, learner, *sizes, poison=1.0):
    """One update; negative sizes are those of sequences without an image."""
    batch = [
        new_sequences(policy, length=abs(size), count=1, with_image=size > 0)[0] for size in sizes
    ]
    good = token_mean_loss(batch)

    def loss(scores, rows):
        scores.log_probs.register_hook(lambda gradient: gradient * poison)
        return good(scores, rows)

    return learner.update(batch, loss, ForwardSettings())


def assert_same_bytes(first, second):
    assert first.keys() == second.keys() != set()
    assert all(torch.equal(value, second[name]) for name, value in first.items())


@pytest.mark.parametrize(
    ("dtype", "sizes"), [("float32", (140, 125, -60)), ("bfloat16", (-60, -50))]
)
@pytest.mark.parametrize("zero_stage", SHARDED)
def test_it_steps_in_host_memory_to_the_same_bytes(zero_stage, dtype, sizes):
    states = []
    for offload in (False, True):
        policy, learner = new_learner(dtype=dtype, zero_stage=zero_stage, offload_optimizer=offload)
        assert learner._engine.zero_cpu_offload() == offload
        norms = [update(policy, learner, *sizes).grad_norm for _ in range(2)]
        states.append((learner.export_state(), dict(learner.weights()), norms))
    (state, weights, norms), (other_state, other_weights, other_norms) = states
    assert_same_bytes(state, other_state)
    assert_same_bytes(weights, other_weights)
    assert other_norms == pytest.approx(norms, rel=1e-5)


@pytest.mark.parametrize("zero_stage", SHARDED)
def test_clipping_differs_in_the_last_bits(zero_stage):
    states = []
    for offload in (False, True):
        policy, learner = new_learner(
            max_grad_norm=0.01, zero_stage=zero_stage, offload_optimizer=offload
        )
        for _ in range(3):
            assert update(policy, learner, -60, -50).grad_norm > 0.1
        states.append(learner.export_state())
    for name, value in states[0].items():
        # A factor that is off by 1e-6 moves a weight by no more than that share of its steps.
        torch.testing.assert_close(value, states[1][name], rtol=1e-5, atol=3 * RATE * 1e-5)


@pytest.fixture(scope="module")
def momenta():
    """The tower's, after an update with an image, one without, and one that begins without."""
    policy, learner = new_learner(zero_stage=1)
    return momenta_of(policy, learner)


def momenta_of(policy, learner):
    found = []
    # Micro-batches begin with the longest sequence, and end with a text in all three.
    for sizes in ((125, -60), (-60, -50), (-150, 125, -60)):
        update(policy, learner, *sizes)
        found.append(learner.export_state()[f"exp_avg/{TOWER}"])
    return found


@pytest.mark.parametrize(
    ("zero_stage", "offload"), [(2, False), (3, False), (1, True), (2, True), (3, True)]
)
def test_what_has_no_gradient_keeps_none_of_an_earlier_update(momenta, zero_stage, offload):
    policy, learner = new_learner(zero_stage=zero_stage, offload_optimizer=offload)
    first, faded, last = momenta_of(policy, learner)
    assert first.abs().max() > 0.0
    torch.testing.assert_close(faded, 0.9 * first, rtol=1e-6, atol=0.0)  # AdamW's own factor
    for found, expected in zip((first, faded, last), momenta, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("zero_stage", SHARDED)
def test_a_checkpoint_goes_on_wherever_the_optimizer_is(zero_stage):
    policy, whole = new_learner(zero_stage=zero_stage, offload_optimizer=True)
    update(policy, whole, -60, -50)
    saved = whole.export_state()
    update(policy, whole, -60, -50)
    for offload in (False, True):
        policy, resumed = new_learner(zero_stage=zero_stage, offload_optimizer=offload)
        resumed.restore_state(set(saved), saved.__getitem__)
        resumed.state.num_updates = 1
        assert_same_bytes(resumed.export_state(), saved)
        update(policy, resumed, -60, -50)
        assert_same_bytes(resumed.export_state(), whole.export_state())


@pytest.mark.parametrize("zero_stage", SHARDED)
def test_a_gradient_that_is_not_finite_changes_nothing(zero_stage):
    states = []
    for poisons in ((1.0, math.nan, 1.0), (1.0, 1.0)):
        policy, learner = new_learner(zero_stage=zero_stage, offload_optimizer=True)
        for poison in poisons:
            before = learner.export_state()
            applied = update(policy, learner, -60, -50, poison=poison).applied
            assert applied == math.isfinite(poison)
            if not applied:
                assert_same_bytes(learner.export_state(), before)
        states.append(learner.export_state())
    assert_same_bytes(*states)
