"""Attention for decoding and for pictures, against torch's kernels and stock transformers."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.functional import scaled_dot_product_attention

from training.model import attention
from training.model.encoding import TokenSequence, collate, encode_prompt
from training.model.forward import hidden_states
from training.rollout.protocol import Prompt
from training.runtime import device


@pytest.mark.parametrize("scale", [None, 0.7])
def test_a_decoding_step_attends_as_the_fused_kernel(scale: float | None) -> None:
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(5, 2, 3, 8, generator=generator)
    key, value = torch.randn(2, 5, 2, 11, 8, generator=generator)
    mask = torch.zeros(5, 1, 1, 11)
    mask[1, ..., 4:7] = -torch.inf
    mask[4, ..., 1:] = -torch.inf
    expected = scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale)
    torch.testing.assert_close(device.attend(query, key, value, mask, scale), expected)


def test_views_of_a_wider_cache_are_attended_to_without_their_rest() -> None:
    generator = torch.Generator().manual_seed(1)
    query = torch.randn(3, 2, 2, 8, generator=generator)
    key, value = torch.randn(2, 3, 2, 20, 8, generator=generator)
    mask = torch.zeros(3, 1, 1, 20)
    expected = device.attend(
        query, key[:, :, :9].clone(), value[:, :, :9].clone(), mask[..., :9].clone(), None
    )
    key[:, :, 9:] = torch.nan
    attended = device.attend(query, key[:, :, :9], value[:, :, :9], mask[..., :9], None)
    assert torch.equal(attended, expected)


@pytest.mark.parametrize("scale", [None, 0.7])
def test_packed_rows_attend_as_under_a_mask_of_blocks(scale: float | None) -> None:
    generator = torch.Generator().manual_seed(2)
    states = torch.randn(3, 12, 2, 8, generator=generator)
    row = torch.tensor([0] * 5 + [1] + [2] * 6)
    expected = scaled_dot_product_attention(
        *states.transpose(1, 2), attn_mask=row[:, None] == row, scale=scale
    )
    starts = torch.tensor([0, 5, 6, 12], dtype=torch.int32)
    attended = device.attend_packed(*states, starts, 6, scale)
    torch.testing.assert_close(attended, expected.transpose(0, 1))


def test_a_gpus_kernel_takes_what_packed_attention_hands_it() -> None:
    with FakeTensorMode():  # shapes and types alone: no GPU is needed
        states = torch.empty(3, 749, 16, 80, dtype=torch.bfloat16, device="cuda")
        starts = torch.tensor([0, 512, 549, 749], dtype=torch.int32, device="cuda")
        attended = device.attend_packed(*states, starts, 512, 0.1)
    assert attended.shape == (749, 16, 80)
    assert attended.device.type == "cuda"


def test_a_vision_tower_attends_once_a_layer_and_computes_what_the_stock_loop_computes(
    tiny_policy, images, monkeypatch
):
    def counted(*arguments):
        calls.append(arguments)
        return attend(*arguments)

    calls, attend = [], device.attend_packed
    monkeypatch.setattr(device, "attend_packed", counted)
    prompt = encode_prompt(tiny_policy, Prompt("What?", images[:2]))
    batch = collate(tiny_policy, [TokenSequence(prompt, torch.tensor([1]))])
    with torch.no_grad():
        packed = hidden_states(tiny_policy, batch)
        assert len(calls) == tiny_policy.model.config.vision_config.depth
        tiny_policy.model.set_attn_implementation("sdpa")
        stock = hidden_states(tiny_policy, batch)
        attention.use(tiny_policy.model)
    assert len(calls) == tiny_policy.model.config.vision_config.depth
    assert torch.equal(packed, stock)
