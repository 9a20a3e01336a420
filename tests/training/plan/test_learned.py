"""What the learner really holds, tensor by tensor, is what the plan says: to the byte."""

import pytest
import torch
from safetensors import safe_open

from tests.training.plan.peaks import num_bytes, parts_of
from tests.training.plan.tiny import SIZES, new_policy, new_sequences, new_stage, stage_learner
from training.learner.checkpoints import Checkpoints, Places
from training.model.forward import ForwardSettings
from training.plan.learned import (
    Learned,
    checkpoint_bytes,
    held,
    layers_in_a_bucket,
    learned,
)
from training.plan.shape import shape_at
from training.recipe.recipe import CheckpointsRecipe
from training.recipe.stages import LoraRecipe
from training.runtime import device
from training.sft.train import SftState, token_mean_loss


@pytest.fixture(autouse=True, scope="module")
def process_group():
    device.start(1)


def updated_learner(size, stage, dtype, zero_stage, *, offload=False):
    policy, shape = new_policy(size, dtype)
    hardware = {"zero_stage": zero_stage, "offload_optimizer": offload}
    learner = stage_learner(policy, stage, dtype, **hardware)
    batch = new_sequences(policy, length=64, count=2)
    learner.update(batch, token_mean_loss(batch), ForwardSettings())
    return policy, shape, learner


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("zero_stage", [0, 1, 2, 3])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_weights_masters_and_moments(size, zero_stage, dtype):
    stage = new_stage(10**6)
    policy, shape, learner = updated_learner(size, stage, dtype, zero_stage)
    planned = held(learned(shape, stage), dtype=dtype, zero_stage=zero_stage, num_ranks=1)
    found = parts_of(policy, learner, zero_stage)
    assert found == [planned.weights, planned.master, planned.moments]


@pytest.mark.parametrize(
    "changes",
    # What the texts give no gradient keeps no sum of gradients either.
    [{"lora": LoraRecipe(rank=4)}, {"freeze": ("vision_tower", "projector")}],
    ids=["adapters", "language model"],
)
@pytest.mark.parametrize("zero_stage", [1, 2, 3])
def test_an_offloaded_optimizer_is_in_host_memory(zero_stage, changes):
    dtype, stage = "bfloat16", new_stage(10**6, **changes)
    _, shape, learner = updated_learner(SIZES[0], stage, dtype, zero_stage, offload=True)
    planned = held(
        learned(shape, stage), dtype=dtype, zero_stage=zero_stage, num_ranks=1, offload=True
    )
    assert planned.optimizer == 0
    zero, masters = learner._engine.optimizer, learner._sharded._masters()
    moments = [learner._adamw.state[m][name] for m in masters for name in ("exp_avg", "exp_avg_sq")]
    found = [*masters, *(master.grad for master in masters), *moments]
    if zero_stage == 3:
        found.append(zero.grad_partitions_flat_buffer)
    else:
        found += zero.param_buffer_of_bit16_for_cpu_offload_groups
        found += [zero.temp_grad_buffer_for_cpu_offload, *zero.accumulated_grads_in_cpu.values()]
    assert num_bytes(found) == planned.host


PLACES = [(0, False), *((zero, offload) for zero in (1, 2, 3) for offload in (False, True))]


@pytest.mark.parametrize(("zero_stage", "offload"), PLACES)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_gradients_and_buckets_between_updates(zero_stage, offload, dtype):
    """What DeepSpeed keeps of them after an update; an offloaded optimizer's host has the rest."""
    stage = new_stage(10**6)
    policy, shape, learner = updated_learner(SIZES[0], stage, dtype, zero_stage, offload=offload)
    planned = held(
        learned(shape, stage), dtype=dtype, zero_stage=zero_stage, num_ranks=1, offload=offload
    )
    zero, found = learner._engine.optimizer, [p.grad for p in policy.model.parameters()]
    if not offload:
        found += [master.grad for master in learner._sharded._masters()]
    if zero_stage == 3:
        found += [bucket.buffer for bucket in zero.ipg_buckets.values()]
        found += [] if offload else [zero.grad_partitions_flat_buffer]
    elif zero_stage > 0:
        found += [part for bucket in zero.ipg_buckets.values() for part in bucket.buffer]
        kept = [*zero.averaged_gradients.values(), *zero.all_grad_tensors.values()]
        found += [tensor for tensors in kept if tensors for tensor in tensors]
        found += [zero.temp_grad_buffer_for_gpu_offload] if offload else []
    assert num_bytes([one for one in found if one is not None]) == planned.standing


@pytest.mark.parametrize(
    "changes",
    [{"lora": LoraRecipe(rank=4)}, {"freeze": ("vision_tower",)}, {}],
    ids=["adapters", "frozen tower", "everything"],
)
@pytest.mark.parametrize("size", SIZES[:2])
def test_what_learns(size, changes):
    stage = new_stage(10**6, **changes)
    _, shape, learner = updated_learner(size, stage, "float32", 0)
    trained = learner._trained
    planned = learned(shape, stage)
    assert planned.sizes == tuple(p.numel() for p in trained)


@pytest.mark.parametrize("zero_stage", [0, 2, 3])
@pytest.mark.parametrize("changes", [{"lora": LoraRecipe(rank=4)}, {}], ids=["adapters", "all"])
def test_checkpoint_files(tmp_path, zero_stage, changes):
    """The tensors in the learner's files, but for the random generators."""
    stage = new_stage(10**6, **changes)
    _, shape, learner = updated_learner(SIZES[1], stage, "bfloat16", zero_stage)
    (tmp_path / "output").mkdir()
    state = SftState(step=1)
    with Checkpoints(
        CheckpointsRecipe(), Places(save=tmp_path), tmp_path / "output", learner, state
    ) as checkpoints:
        checkpoints.after_step(score=1.0, is_last=True)
    written = 0
    for file in tmp_path.glob("step-*/learner-*.safetensors"):
        with safe_open(file, framework="pt") as opened:
            names = [name for name in opened.keys() if not name.startswith("random/")]  # noqa: SIM118
            written += sum(opened.get_tensor(name).nbytes for name in names)
        generators = torch.get_rng_state().nbytes
        header = int.from_bytes(file.read_bytes()[:8], "little")
        assert file.stat().st_size == 8 + header + written + generators
    assert written == checkpoint_bytes(learned(shape, stage)) == learner.state_bytes


def test_tensors_that_a_share_touches():
    """Twelve elements in three tensors for two ranks: the second one is part of both halves."""
    assert Learned(12, 0, (3, 4, 5)).most_of_a_share(2) == 4 + 5
    assert Learned(12, 0, (3, 4, 5)).most_of_a_share(1) == 12
    assert Learned(12, 0, (6, 6)).most_of_a_share(2) == 6


@pytest.mark.parametrize(
    ("name", "changes", "layers"),
    [
        # 500 M elements: six layers of 77.1 M, since the tied head comes last.
        ("3B", {}, 6),
        # The head alone has 545 M.
        ("7B", {}, 0),
        ("3B", {"freeze": ("language_model",)}, 0),
        ("3B", {"lora": LoraRecipe(rank=4)}, 0),
    ],
)
def test_layers_before_the_first_full_bucket(name, changes, layers):
    shape = shape_at(f"Qwen/Qwen2.5-VL-{name}-Instruct")
    assert layers_in_a_bucket(shape, new_stage(10**6, **changes)) == layers
