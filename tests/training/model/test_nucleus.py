"""The nucleus found among the most likely tokens, against a sort of the whole vocabulary."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.model import nucleus
from training.model.nucleus import NUM_RANKED, Truncation, nucleus_floor, outside

VOCABULARY = 5 * NUM_RANKED


def sorted_floor(probs, top_p):
    """The definition, over all tokens."""
    ranked = probs.sort(dim=-1, descending=True).values
    before = ranked.cumsum(dim=-1) - ranked
    return ranked.gather(-1, (before < top_p).sum(dim=-1, keepdim=True) - 1)


@st.composite
def distributions(draw):
    """Rows from peaked to flat; coarse logits make ties, also across the last ranked token."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    scales = torch.tensor(draw(st.lists(st.sampled_from([0.0, 0.5, 2.0, 8.0]), min_size=1)))
    logits = torch.randn(len(scales), VOCABULARY, generator=generator) * scales[:, None]
    step = draw(st.sampled_from([0.0, 0.5, 3.0]))
    return (logits if step == 0.0 else (logits / step).round() * step).softmax(-1)


@given(distributions(), st.sampled_from([0.01, 0.5, 0.9, 0.95, 0.999, 0.9999999]))
def test_the_floor_is_that_of_a_whole_sort(probs, top_p):
    assert torch.equal(nucleus_floor(probs, top_p), sorted_floor(probs, top_p))


@given(
    distributions(),
    st.sampled_from([0.3, 0.95]),
    st.sampled_from([0, 50, 3000]),
    st.sampled_from([0.0, 0.01]),
)
def test_what_is_outside_is_that_of_a_whole_sort(probs, top_p, top_k, min_p):
    others = outside(probs, Truncation(1.0, top_k, min_p))
    kept = probs.masked_fill(others, 0.0)
    kept = kept / kept.sum(-1, keepdim=True)
    expected = others | (kept < sorted_floor(kept, top_p))
    assert torch.equal(outside(probs, Truncation(top_p, top_k, min_p)), expected)


@pytest.mark.parametrize("num_equal", [NUM_RANKED - 1, NUM_RANKED, NUM_RANKED + 1])
def test_a_nucleus_that_ends_where_the_ranked_tokens_do(num_equal):
    probs = torch.zeros(1, VOCABULARY)
    probs[0, :num_equal] = 0.5 / num_equal
    probs[0, num_equal:] = 0.5 / (VOCABULARY - num_equal)
    for top_p in (0.499, 0.5, 0.501):
        assert torch.equal(nucleus_floor(probs, top_p), sorted_floor(probs, top_p))


def test_only_rows_whose_mass_is_short_are_sorted(monkeypatch):
    sorted_rows = []

    def sort(values):
        if values.shape[-1] == VOCABULARY:
            sorted_rows.append(len(values))
        return values.sort(dim=-1, descending=True).values

    monkeypatch.setattr(nucleus.device, "sort_descending", sort)
    generator = torch.Generator().manual_seed(0)
    peaked = (8.0 * torch.randn(6, VOCABULARY, generator=generator)).softmax(-1)
    flat = torch.full((2, VOCABULARY), 1 / VOCABULARY)
    nucleus_floor(peaked, 0.95)
    assert sorted_rows == []
    nucleus_floor(torch.cat([peaked, flat]), 0.95)
    assert sorted_rows == [2]
