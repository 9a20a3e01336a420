"""The arms of the ablation: which rows each one takes, and with which weights."""

from collections import Counter
from typing import ClassVar

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from training.rl.arms import Batch, is_real_draw, mask, num_useful, population, select
from training.rl.pad import Selection, distill, effective_set, num_selected


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def new_batch(advantages):
    """A step's sequences, one group each: only `dynamic` looks at groups."""
    return Batch(advantages, advantages, torch.arange(len(advantages)), size=len(advantages))


advantage_lists = st.lists(st.floats(-1e6, 1e6, allow_nan=False, width=32), min_size=0, max_size=40)


@settings(deadline=None, derandomize=True)
@given(
    advantages=advantage_lists,
    low=st.floats(1e-3, 1.0),
    span=st.floats(0.0, 1e6),
    ratio=st.floats(0.01, 1.0),
    temperature=st.floats(1e-6, 1e6),
    strategy=st.sampled_from(["pad", "filter", "random", "none"]),
    seed=st.integers(0, 1000),
)
def test_properties(advantages, low, span, ratio, temperature, strategy, seed):
    values = torch.tensor(advantages, dtype=torch.float32)
    batch = new_batch(values)
    recipe = {"low": low, "high": low + span, "ratio": ratio, "temperature": temperature}
    chosen = select(batch, **recipe, generator=seeded(seed), strategy=strategy)
    indices = chosen.indices.tolist()
    effective = effective_set(values, low=low, high=low + span).tolist()
    size = num_selected(len(values), len(effective), ratio=ratio)

    assert indices == sorted(set(indices)), "ascending, none twice"
    assert all(0 <= index < len(values) for index in indices)
    if strategy == "pad":
        assert set(indices) <= set(effective) and len(indices) == size
    elif strategy == "filter":
        assert indices == effective
    elif strategy == "random":
        assert len(indices) == size
    else:
        assert indices == list(range(len(values)))
    assert torch.isfinite(chosen.weights).all() and (chosen.weights >= 1.0).all()
    assert len(chosen.weights) == len(indices)
    again = select(batch, **recipe, generator=seeded(seed), strategy=strategy)
    assert again.indices.tolist() == indices


class TestArms:
    advantages = torch.tensor([0.0, 0.0, 1.0, -1.0, 0.0, 2.0, -2.0, 0.0])
    rewards = advantages + torch.tensor([9.0, 9.0, 3.0, 3.0, 3.0, 0.0, 0.0, 0.0])
    groups = torch.tensor([7, 7, 3, 3, 3, 5, 5, 5])
    settings: ClassVar = {"low": 0.03, "high": 10.0, "ratio": 0.5, "temperature": 1.0}

    def chosen(self, strategy, seed=0, **changes):
        settings = self.settings | changes
        batch = Batch(self.advantages, self.rewards, self.groups, size=8)
        return select(batch, **settings, generator=seeded(seed), strategy=strategy).indices.tolist()

    def test_filter_keeps_all_of_e(self):
        assert self.chosen("filter") == [2, 3, 5, 6]

    def test_none_keeps_everything(self):
        assert self.chosen("none") == list(range(8))

    def test_dynamic_drops_only_whole_groups(self):
        # Sequence 4 has a zero advantage, but its group is alive.
        assert self.chosen("dynamic") == [2, 3, 4, 5, 6, 7]

    def test_pad_is_algorithm_1(self):
        settings = self.settings | {"generator": seeded(4), "ratio": 0.25}
        expected = distill(self.advantages, **settings).indices.tolist()
        assert self.chosen("pad", seed=4, ratio=0.25) == expected

    def test_a_refill_counts_what_can_teach_something(self):
        batch = Batch(self.advantages, self.rewards, self.groups, size=8)
        bounds = {"low": 0.03, "high": 10.0}
        assert num_useful(batch, **bounds, strategy="pad") == 4
        assert num_useful(batch, **bounds, strategy="dynamic") == 6  # DAPO counts whole groups

    @pytest.mark.parametrize("strategy", ["pad", "filter", "random", "none", "dynamic", "released"])
    def test_no_arm_selects_or_averages_over_a_masked_row(self, strategy):
        masked = torch.tensor([True, False, True, False, False, False, True, False])
        batch = mask(Batch(self.advantages, self.rewards, self.groups, size=8), masked)
        bounds = {"low": 0.03, "high": 10.0}
        drawn_from = population(batch, **bounds, strategy=strategy).tolist()
        # A masked row's reward still makes its group one whose rewards differ.
        live = {"none": [1, 3, 4, 5, 7], "random": [1, 3, 4, 5, 7], "dynamic": [3, 4, 5, 7]}
        assert drawn_from == live.get(strategy, [3, 5])
        for seed in range(20):
            settings = self.settings | {"generator": seeded(seed)}
            chosen = select(batch, **settings, strategy=strategy).indices.tolist()
            assert set(chosen) <= set(drawn_from)
        assert num_useful(batch, **bounds, strategy=strategy) == (4 if strategy == "dynamic" else 2)

    @pytest.mark.parametrize("strategy", ["pad", "filter", "random", "none", "dynamic", "released"])
    def test_where_every_row_is_masked_nothing_is_selected(self, strategy):
        batch = Batch(self.advantages, self.rewards, self.groups, size=8)
        batch = mask(batch, torch.ones(8, dtype=torch.bool))
        chosen = select(batch, **self.settings, generator=seeded(), strategy=strategy)
        assert len(chosen.indices) == len(chosen.weights) == 0

    def test_a_draw_is_real_if_it_leaves_something_out(self):
        batch = Batch(self.advantages, self.rewards, self.groups, size=8)
        for ratio, is_real in ((0.25, True), (0.5, False)):
            settings = self.settings | {"ratio": ratio}
            selection = select(batch, **settings, generator=seeded(), strategy="pad")
            drawn_from = population(batch, low=0.03, high=10.0, strategy="pad")
            assert is_real_draw(selection, len(drawn_from)) == is_real
        # With replacement more rows than there are may still leave one out.
        repeated = Selection(torch.tensor([2, 2, 3, 5, 5]), torch.ones(5))
        assert is_real_draw(repeated, 4)

    def test_random_is_as_large_as_pad_and_uniform_over_the_batch(self):
        counts = Counter()
        for seed in range(2000):
            chosen = self.chosen("random", seed)
            assert len(chosen) == len(self.chosen("pad", 0)) == 4
            counts.update(chosen)
        assert chisquare([counts[index] for index in range(8)]).pvalue > 0.01

    def test_released_draws_half_as_many_again_with_replacement(self):
        chosen = self.chosen("released", high=1.5)
        assert len(chosen) == 12
        assert set(chosen) == {2, 3}

    def test_released_bounds_are_strict(self):
        assert set(self.chosen("released", high=2.0)) == {2, 3}

    def test_released_trains_on_everything_when_nothing_is_effective(self):
        assert self.chosen("released", low=5.0) == list(range(8))

    def test_released_weighs_by_the_power_of_three_halves(self):
        counts = Counter()
        for seed in range(500):
            counts.update(self.chosen("released", seed))
        powers = {2: 1.0, 3: 1.0, 5: 2**1.5, 6: 2**1.5}
        observed = [counts[index] for index in powers]
        expected = [sum(observed) * power / sum(powers.values()) for power in powers.values()]
        assert chisquare(observed, expected).pvalue > 0.01


class TestWeights:
    def test_random_weights_are_the_inverse_share(self):
        chosen = select(
            new_batch(torch.ones(8)),
            low=0.1,
            high=2.0,
            ratio=0.25,
            temperature=1.0,
            generator=seeded(),
            strategy="random",
        )
        assert chosen.weights.tolist() == [4.0, 4.0]

    def test_released_weights_average_to_one_per_effective_sequence(self):
        advantages = torch.tensor([0.0, 0.5, 0.9, 2.0])
        totals, num_draws = torch.zeros(4), 3000
        generator = seeded()
        for _ in range(num_draws):
            chosen = select(
                new_batch(advantages),
                low=0.03,
                high=0.97,
                ratio=0.5,
                temperature=1.0,
                generator=generator,
                strategy="released",
            )
            totals.index_add_(0, chosen.indices, chosen.weights)
        assert (totals / num_draws).tolist() == pytest.approx([0, 1, 1, 0], abs=0.05)
