"""Activations: what autograd saves is counted, and the peak of an update is measured."""

import pytest
import torch
import torch.distributed as dist

from drills.gpu_check.allocated import allocations
from tests.training.plan.peaks import (
    ADAPTERS,
    PATCHES,
    TOLERANCE,
    UP_TO_THE_LOWEST,
    Case,
    measured,
    planned_peak,
)
from tests.training.plan.tiny import SIZES, new_policy, new_sequences, new_stage
from training.model.adapters import attach_adapters
from training.model.forward import ForwardPass, ForwardSettings
from training.plan.activations import MicroBatch, activations, text_layer, vision_layer
from training.recipe.stages import LoraRecipe
from training.runtime import device

TOKENS = 320


@pytest.fixture(autouse=True, scope="module")
def process_group():
    device.start(1)


def saved_bytes(policy, sequences):
    """Distinct storages that autograd saves in one forward pass, the weights left out."""
    weights = {p.untyped_storage().data_ptr() for p in policy.model.parameters()}
    saved, kept = {}, []

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            saved[storage.data_ptr()] = storage.nbytes()
            kept.append(tensor)  # what was freed would give its address away
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        ForwardPass(policy)(sequences, ForwardSettings())
    return sum(saved.values())


def difference_of_a_layer(size, deeper, dtype, lora=None, with_image=False):
    found = []
    for one in (size, deeper):
        policy, shape = new_policy(one, dtype)
        policy.model.train()
        if lora:
            attach_adapters(policy.model, lora, torch.Generator().manual_seed(0))
        sequences = new_sequences(policy, length=TOKENS, count=1, with_image=with_image)
        found.append(saved_bytes(policy, sequences))
    return found[1] - found[0], shape


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("lora", [None, LoraRecipe(rank=4)], ids=["whole", "adapters"])
@pytest.mark.parametrize("size", SIZES)
def test_what_a_decoder_layer_saves_is_exact(size, dtype, lora):
    deeper = type(size)(**{**vars(size), "num_layers": size.num_layers + 1})
    difference, shape = difference_of_a_layer(size, deeper, dtype, lora)
    number = {"float32": 4, "bfloat16": 2}[dtype]
    assert difference == TOKENS * text_layer(shape.text, number, lora.rank if lora else None)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_the_vision_tower_saves(dtype):
    policy, shape = new_policy(SIZES[2], dtype)
    policy.model.train()
    with_image = saved_bytes(policy, new_sequences(policy, length=TOKENS, count=1, with_image=True))
    without = saved_bytes(policy, new_sequences(policy, length=TOKENS, count=1))
    stage = new_stage(TOKENS)
    planned = [
        activations(shape, stage, MicroBatch(TOKENS, n), dtype=dtype, checkpointing=False).saved
        for n in (PATCHES, 0)
    ]
    assert with_image - without == pytest.approx(planned[0] - planned[1], rel=TOLERANCE)
    assert vision_layer(shape.vision, 4) > vision_layer(shape.vision, 2)


CASES = [
    *(Case(size, 0, ck) for size in range(5) for ck in (False, True)),
    *(Case(4, zero, ck) for zero in (1, 2, 3) for ck in (False, True)),
    *(Case(3, zero, True, dtype="bfloat16") for zero in (0, 2)),
    *(Case(size, 0, ck, ADAPTERS) for size in range(1, 5) for ck in (False, True)),
    *(Case(size, 0, bool(size % 2), images=True) for size in range(5)),
    *(Case(4, zero, True, images=True) for zero in (1, 2, 3)),
    *(Case(4, zero, images=True) for zero in (2, 3)),
    *(Case(4, zero, ck, bucket_share=UP_TO_THE_LOWEST) for zero in (2, 3) for ck in (False, True)),
    *(Case(4, zero, True, images=True, bucket_share=UP_TO_THE_LOWEST) for zero in (2, 3)),
]


@pytest.mark.parametrize("case", CASES, ids=map(str, CASES))
def test_the_peak_of_an_update(case, monkeypatch):
    """What an update makes on top of what the learner holds, over two micro-batches."""
    peak, planned = measured(case)["peak"], planned_peak(case, 1, monkeypatch)
    print(f"measured {peak / 1e6:.2f} MB, planned {planned / 1e6:.2f} MB", peak / planned)
    assert peak == pytest.approx(planned, rel=TOLERANCE)


LARGE_HEAD_CASES = [
    *(Case(size, zero, ck) for size in (5, 6) for zero in (0, 2, 3) for ck in (False, True)),
    *(Case(6, zero, ck, bucket_share=0.59) for zero in (2, 3) for ck in (False, True)),
]


@pytest.mark.parametrize("case", LARGE_HEAD_CASES, ids=map(str, LARGE_HEAD_CASES))
def test_the_gradient_of_a_large_head(case, monkeypatch):
    """A tied one waits for the embedding's, beside all layers; another is handed to a bucket."""
    peak, planned = measured(case)["peak"], planned_peak(case, 1, monkeypatch)
    print(f"measured {peak / 1e6:.2f} MB, planned {planned / 1e6:.2f} MB", peak / planned)
    assert peak == pytest.approx(planned, rel=TOLERANCE)


def test_the_measure_itself():
    """Four megabytes and two more, of which the four have gone."""
    torch.zeros(1)
    with allocations() as measured:
        first = torch.empty(2**20)
        second = torch.empty(2**19)
        del first
        torch.empty(2**18)
    assert measured.peak == pytest.approx(second.nbytes * 3, rel=0.01)


@pytest.mark.parametrize("with_view", [False, True])
def test_what_gloo_lets_go_of_last_is_not_held(with_view):
    """A hundred sums, one after the other: of many the thread that is not profiled is the last."""
    with allocations() as measured:
        for _ in range(100):
            tensor = torch.empty(2**18)
            view = tensor[:1] if with_view else None
            dist.all_reduce(tensor)
            del tensor, view
    assert measured.peak == pytest.approx(2**20, rel=0.01)


def test_a_sum_of_what_another_operation_has_yet_to_let_go_of():
    """Then less hold the tensor after the sum than before: whoever waits for as many is stuck."""
    with allocations() as measured:
        for _ in range(100):
            tensor = torch.empty(2**18)
            dist.broadcast(tensor, 0)
            dist.all_reduce(tensor)
            del tensor
    assert measured.peak >= 2**20
