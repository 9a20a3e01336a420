import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from training.evaluation.intervals import cluster_bootstrap, wilson


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_agrees_with_scipy(counts):
    num_right, num_problems = counts
    expected = stats.binomtest(num_right, num_problems).proportion_ci(0.95, method="wilson")
    assert wilson(num_right, num_problems) == pytest.approx(tuple(expected), abs=1e-12)


@pytest.mark.parametrize(
    ("num_right", "num_problems", "low", "high"),
    # By hand: 1.96 as the quantile, (p + z2/2n -+ z sqrt(p(1-p)/n + z2/4n2)) / (1 + z2/n).
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662)],
)
def test_wilson_worked_by_hand(num_right, num_problems, low, high):
    assert wilson(num_right, num_problems) == pytest.approx((low, high), abs=1e-4)


def test_wilson_never_leaves_the_unit_interval_and_holds_the_share():
    for num_right in range(51):
        low, high = wilson(num_right, 50)
        assert 0.0 <= low <= num_right / 50 <= high <= 1.0


def test_the_bootstrap_of_independent_values_agrees_with_the_normal_interval():
    values = np.random.default_rng(1).normal(3.0, 2.0, size=400)
    low, high = cluster_bootstrap(
        values, [str(n) for n in range(400)], np.random.default_rng(0), num_resamples=8000
    )
    half = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.02)


def test_the_bootstrap_agrees_with_scipy():
    values = np.random.default_rng(2).integers(-1, 2, size=150).astype(float)
    ours = cluster_bootstrap(
        values, [str(n) for n in range(150)], np.random.default_rng(0), num_resamples=20000
    )
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=20000, method="percentile", rng=np.random.default_rng(5)
    ).confidence_interval
    assert ours == pytest.approx(tuple(theirs), abs=0.01)


def test_values_that_always_agree_within_a_cluster_are_one_observation():
    """10 copies of each of 20 values say no more than the 20 values."""
    values = np.random.default_rng(3).integers(0, 2, size=20).astype(float)
    names = [str(n) for n in range(20)]
    single = cluster_bootstrap(values, names, np.random.default_rng(0))
    copied = cluster_bootstrap(
        np.repeat(values, 10), np.repeat(names, 10), np.random.default_rng(0)
    )
    taken_apart = cluster_bootstrap(
        np.repeat(values, 10), [str(n) for n in range(200)], np.random.default_rng(0)
    )
    assert copied == pytest.approx(single)
    assert taken_apart[1] - taken_apart[0] < 0.5 * (single[1] - single[0])


def test_the_same_generator_gives_the_same_interval():
    values, names = [0.0, 1.0, 1.0, 0.0, 1.0], list("abcde")
    once, again, other = (
        cluster_bootstrap(values, names, np.random.default_rng(seed)) for seed in (7, 7, 8)
    )
    assert once == again
    assert once[0] <= 0.6 <= once[1]
    assert other[0] <= 0.6 <= other[1]


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("num_answers", [1, 32])
def test_where_nothing_or_everything_is_right_clusters_are_a_proportion(value, num_answers):
    """AIME: 30 problems of 32 answers each; the answers to a problem are no further evidence."""
    names = [str(n) for n in range(30) for _ in range(num_answers)]
    found = cluster_bootstrap([value] * len(names), names, np.random.default_rng(0))
    expected = stats.binomtest(round(30 * value), 30).proportion_ci(0.95, method="wilson")
    assert found == pytest.approx(tuple(expected), abs=1e-12)


@pytest.mark.parametrize(
    ("value", "least", "low", "high"),
    # By hand: of 10 clusters none differs, so that up to z2 / (10 + z2) = 0.2775 of all do. These
    # may have any value from `least` to 1; the others have the one that was seen.
    [
        (0.5, 0.0, 0.5 - 0.2775 * 0.5, 0.5 + 0.2775 * 0.5),
        (0.0, -1.0, -0.2775, 0.2775),
        (1.0, -1.0, 1.0 - 2 * 0.2775, 1.0),
        (-0.25, -1.0, -0.25 - 0.2775 * 0.75, -0.25 + 0.2775 * 1.25),
    ],
)
def test_equal_values_worked_by_hand(value, least, low, high):
    names = [str(n) for n in range(10) for _ in range(4)]
    found = cluster_bootstrap([value] * 40, names, np.random.default_rng(0), least=least)
    assert found == pytest.approx((low, high), abs=1e-4)


@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.25, 1 / 3, 1.0]), st.sampled_from("abcde")), min_size=1
    )
)
def test_no_interval_is_without_width_or_beyond_what_a_mean_can_be(rows):
    values, names = zip(*rows, strict=True)
    low, high = cluster_bootstrap(values, names, np.random.default_rng(0), num_resamples=200)
    assert 0.0 <= low < high <= 1.0


def test_what_is_held_at_once_changes_no_draw():
    """The whole table of draws, made here at once; there it takes several parts."""
    generator = np.random.default_rng(4)
    values, clusters = generator.random(7000), generator.integers(0, 3000, size=7000)
    clusters[:3000] = np.arange(3000)
    found = cluster_bootstrap(values, [f"{n:04}" for n in clusters], np.random.default_rng(5))
    drawn = np.random.default_rng(5).integers(3000, size=(2000, 3000))
    sums, counts = np.bincount(clusters, values), np.bincount(clusters)
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    assert found == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])), rel=1e-12)


def test_memory_does_not_grow_with_the_resamples():
    """2000 resamples of 20,000 clusters are 320 MB of draws."""
    values = np.random.default_rng(6).integers(0, 2, size=20_000).tolist()
    names = [str(n) for n in range(20_000)]
    tracemalloc.start()
    cluster_bootstrap(values, names, np.random.default_rng(0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6
