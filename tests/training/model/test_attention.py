"""Attention for decoding against torch's fused kernel, which computes it another way."""

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

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
