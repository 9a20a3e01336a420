"""Attention for decoding and for pictures, registered with transformers under names of its own.

With one query a row, transformers' `sdpa` copies keys and values once per query head of a group
before it attends: more work than the attention. Here the heads that share keys become the queries
of one head instead, and nothing is copied (four times as fast on a CPU, and the same numbers).
All other calls go to `sdpa`.

A vision tower attends within each picture, or each window of one. Stock `sdpa` is called for every
one of them, in every layer; here all of them are one call where the device has a kernel for it.
"""

import inspect

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from training.model.family import PretrainedModel
from training.runtime import device

GROUPED_SDPA = "grouped_sdpa"
# To names with `flash` in them transformers' vision towers hand where each row ends.
PACKED_FLASH = "packed_flash"


def grouped_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **kwargs: object,
) -> tuple[torch.Tensor, None]:
    """Attends; the signature is transformers'.

    Args:
        module: The attention layer.
        query: [R, H, T, D].
        key: [R, K, S, D], where K divides H.
        value: [R, K, S, D].
        attention_mask: [R, 1, T, S], boolean or additive, or None.
        scaling: What the scores are multiplied by; None for 1 / sqrt(D).
        **kwargs: Others that `sdpa` knows.

    Returns:
        The output [R, T, H, D], and None for the weights.
    """
    rows, heads, num_queries, width = query.shape
    if num_queries > 1 or key.shape[1] == heads:
        output: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **kwargs
        )
        return output
    grouped = query.view(rows, key.shape[1], -1, width)
    attended = device.attend(grouped, key, value, attention_mask, scaling)
    return attended.reshape(rows, 1, heads, width), None


def packed_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    *,
    cu_seq_lens_q: torch.Tensor,
    max_length_q: int,
    **kwargs: object,
) -> tuple[torch.Tensor, None]:
    """Attends within rows that lie one behind the other; the signature is transformers'.

    Args:
        module: The attention layer.
        query: [1, H, T, D].
        key: [1, H, T, D].
        value: [1, H, T, D].
        attention_mask: None: all positions of a row see one another.
        scaling: What the scores are multiplied by; None for 1 / sqrt(D).
        cu_seq_lens_q: Where each row begins, and the end of the last one [R + 1], int32.
        max_length_q: Length of the longest row.
        **kwargs: Others that flash attention knows.

    Returns:
        The output [1, T, H, D], and None for the weights.
    """
    query, key, value = (each[0].transpose(0, 1) for each in (query, key, value))
    attended = device.attend_packed(query, key, value, cu_seq_lens_q, max_length_q, scaling)
    return attended[None], None


def register() -> str:
    """Makes the implementations known to transformers; returns the language model's name."""
    AttentionInterface.register(GROUPED_SDPA, grouped_attention)
    AttentionInterface.register(PACKED_FLASH, packed_attention)
    AttentionMaskInterface.register(GROUPED_SDPA, sdpa_mask)
    return GROUPED_SDPA


def use(model: PretrainedModel) -> None:
    """Has a model attend by `grouped_attention`, and its vision tower by `packed_attention` if it
    packs its pictures.
    """
    names = dict.fromkeys(["", *model.config.sub_configs], GROUPED_SDPA)
    if any("cu_seqlens" in inspect.signature(each.forward).parameters for each in model.modules()):
        names["vision_config"] = PACKED_FLASH
    model.set_attn_implementation(names)
