"""Algorithm 1 against a worked example, exact probabilities and properties."""

import itertools
import math
from collections import Counter
from typing import ClassVar

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from training.recipe.stages import PadRecipe
from training.rl.advantages import group_advantages
from training.rl.pad import (
    distill,
    effective_sample_size,
    effective_set,
    num_selected,
    prioritized_draw,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


class TestSixSequences:
    """The worked example.

    sequence       0     1     2     3     4     5
    advantage      0     0.02  1     -2    3     9      T_low = 0.03, T_high = 5
    in E           no    no    yes   yes   yes   no     0 teaches nothing, 9 is an outlier
    exp(|A|/tau)               2     4     8            with tau = 1 / ln 2, so exp(|A|/tau) = 2^|A|
    P                          1/7   2/7   4/7          2 + 4 + 8 = 14

    rho = 0.3 keeps k' = min(ceil(0.3 x 6), 3) = 2 of them, without replacement:
    {2, 3}: 1/7 x 2/6 + 2/7 x 1/5 = 11/105
    {2, 4}: 1/7 x 4/6 + 4/7 x 1/3 = 30/105
    {3, 4}: 2/7 x 4/5 + 4/7 x 2/3 = 64/105
    """

    advantages = torch.tensor([0.0, 0.02, 1.0, -2.0, 3.0, 9.0])
    settings: ClassVar = {"low": 0.03, "high": 5.0, "ratio": 0.3, "temperature": 1 / math.log(2)}
    num_draws = 10_500

    def pairs(self):
        generator = seeded()
        drawn = (
            distill(self.advantages, **self.settings, generator=generator).indices
            for _ in range(self.num_draws)
        )
        return Counter(tuple(indices.tolist()) for indices in drawn)

    def test_effective_set(self):
        assert effective_set(self.advantages, low=0.03, high=5.0).tolist() == [2, 3, 4]

    def test_two_of_three_are_kept(self):
        assert num_selected(6, 3, ratio=0.3) == 2

    def test_pairs_come_as_often_as_computed_by_hand(self):
        pairs = self.pairs()
        expected = {(2, 3): 11, (2, 4): 30, (3, 4): 64}
        assert set(pairs) == set(expected)
        observed = [pairs[pair] for pair in expected]
        predicted = [parts / 105 * self.num_draws for parts in expected.values()]
        assert chisquare(observed, predicted).pvalue > 0.01

    def test_the_same_seed_draws_the_same(self):
        assert self.pairs() == self.pairs()

    def test_all_of_e_when_the_ratio_allows_it(self):
        chosen = distill(self.advantages, **self.settings | {"ratio": 1.0}, generator=seeded())
        assert chosen.indices.tolist() == [2, 3, 4]

    def test_bounds_are_inclusive(self):
        assert effective_set(self.advantages, low=1.0, high=3.0).tolist() == [2, 3, 4]

    def test_after_a_refill_rho_still_counts_the_sequences_that_a_step_asks_for(self):
        # 12 sequences were sampled, 6 are a step's: ceil(0.3 x 6) = 2 are kept, not ceil(0.3 x 12).
        twice = self.advantages.repeat(2)
        chosen = distill(twice, **self.settings, generator=seeded(), batch_size=6)
        assert len(chosen.indices) == 2

    def test_nothing_effective_selects_nothing(self):
        indices = distill(torch.zeros(6), **self.settings, generator=seeded()).indices
        assert indices.tolist() == [] and indices.dtype == torch.long


def subset_probabilities(weights, size):
    """Exact: sums successive draws without replacement over every order."""
    probabilities = Counter()
    for order in itertools.permutations(range(len(weights)), size):
        probability, left = 1.0, sum(weights)
        for index in order:
            probability *= weights[index] / left
            left -= weights[index]
        probabilities[tuple(sorted(order))] += probability
    return probabilities


@pytest.mark.parametrize(("temperature", "size"), [(1.0, 3), (0.3, 2), (5.0, 4)])
def test_selection_frequencies_match_the_exact_probabilities(temperature, size):
    magnitudes = torch.tensor([0.35, 0.54, 0.72, 0.94, 1.62, 2.47])
    weights = [math.exp(value / temperature) for value in magnitudes.tolist()]
    exact = subset_probabilities(weights, size)
    assert sum(exact.values()) == pytest.approx(1.0)
    generator, num_draws = seeded(1), 12_000
    observed = Counter(
        tuple(
            prioritized_draw(
                magnitudes, size=size, temperature=temperature, generator=generator
            ).indices.tolist()
        )
        for _ in range(num_draws)
    )
    # Chi-square needs about five expected draws in a cell: rare subsets share one.
    frequent = [subset for subset, p in exact.items() if p * num_draws >= 5]
    rare_expected = num_draws * (1.0 - sum(exact[subset] for subset in frequent))
    rare_observed = num_draws - sum(observed[subset] for subset in frequent)
    expected = [exact[subset] * num_draws for subset in frequent]
    counts = [observed[subset] for subset in frequent]
    if rare_expected >= 5:
        expected, counts = [*expected, rare_expected], [*counts, rare_observed]
    else:
        assert rare_observed <= 25
        scale = sum(counts) / sum(expected)
        expected = [value * scale for value in expected]
    assert chisquare(counts, expected).pvalue > 0.01


@settings(deadline=None, derandomize=True)
@given(num=st.integers(0, 500), percent=st.integers(1, 100))
def test_the_size_is_the_exact_ceiling(num, percent):
    assert num_selected(num, num, ratio=percent / 100) == -(-num * percent // 100)


class TestDefaultsKeepTheMinority:
    """The arithmetic of T_high with G = 8 and 0/1 rewards: |A| of majority and minority."""

    table: ClassVar = {1: (0.354, 2.475), 2: (0.540, 1.620), 3: (0.725, 1.208), 4: (0.935, 0.935)}

    @staticmethod
    def advantages(num_right):
        rewards = torch.tensor([1.0] * num_right + [0.0] * (8 - num_right))
        return group_advantages(rewards, torch.zeros(8, dtype=torch.long))

    @pytest.mark.parametrize("num_right", range(1, 8))
    def test_arithmetic(self, num_right):
        majority, minority = self.table[min(num_right, 8 - num_right)]
        magnitudes = sorted(self.advantages(num_right).abs().tolist())
        assert magnitudes[0] == pytest.approx(majority, abs=5e-4)
        assert magnitudes[-1] == pytest.approx(minority, abs=5e-4)

    @pytest.mark.parametrize("num_right", range(1, 8))
    def test_default_bounds_keep_the_whole_group(self, num_right):
        defaults = PadRecipe()
        effective = effective_set(self.advantages(num_right), low=defaults.low, high=defaults.high)
        assert effective.tolist() == list(range(8))

    @pytest.mark.parametrize("num_right", [1, 2, 3])
    def test_released_bounds_lose_the_right_answers_of_hard_prompts(self, num_right):
        effective = effective_set(self.advantages(num_right), low=0.03, high=0.97)
        assert effective.tolist() == list(range(num_right, 8))

    @pytest.mark.parametrize("num_right", [1, 7])
    def test_even_large_groups_stay_within_the_default_bounds(self, num_right):
        rewards = torch.zeros(64)
        rewards[:num_right] = 1.0
        advantages = group_advantages(rewards, torch.zeros(64, dtype=torch.long))
        assert advantages.abs().max() < PadRecipe().high


class TestWeights:
    magnitudes = torch.tensor([0.35, 0.54, 0.72, 0.94, 1.62, 2.47])

    @pytest.mark.parametrize(("size", "temperature"), [(2, 1.0), (4, 0.3)])
    def test_weighted_inclusion_of_every_sequence_averages_to_one(self, size, temperature):
        generator, num_draws = seeded(3), 20_000
        totals = torch.zeros(6, dtype=torch.float64)
        squares = torch.zeros(6, dtype=torch.float64)
        for _ in range(num_draws):
            chosen = prioritized_draw(
                self.magnitudes, size=size, temperature=temperature, generator=generator
            )
            totals[chosen.indices] += chosen.weights.double()
            squares[chosen.indices] += chosen.weights.double().square()
        means = totals / num_draws
        errors = ((squares / num_draws - means.square()) / num_draws).sqrt()
        assert ((means - 1.0).abs() <= 4.0 * errors + 1e-9).all()

    def test_without_a_choice_there_is_no_bias(self):
        chosen = prioritized_draw(self.magnitudes, size=6, temperature=1.0, generator=seeded())
        assert chosen.weights.tolist() == [1.0] * 6

    def test_effective_sample_size(self):
        assert effective_sample_size(torch.ones(5)) == pytest.approx(5.0)
        assert effective_sample_size(torch.tensor([3.0, 1.0])) == pytest.approx(16 / 10)
        assert effective_sample_size(torch.ones(0)) == 0.0
