import tracemalloc
from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from training.evaluation.paired import holm, sign_flip_p

P_VALUES = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=10)


def names(count):
    return [str(n) for n in range(count)]


@pytest.mark.parametrize(
    ("gained", "lost", "p"),
    # 6 of 6: 2 / 2^6. 8 of 10: 2 (45 + 10 + 1) / 2^10. As many of both, or none: 1.
    [(6, 0, 0.03125), (8, 2, 112 / 1024), (2, 8, 112 / 1024), (5, 5, 1.0), (0, 0, 1.0)],
)
def test_one_answer_a_problem_is_mcnemars_test_worked_by_hand(gained, lost, p):
    changes = [1] * gained + [-1] * lost + [0] * 7
    assert sign_flip_p(changes, names(len(changes))) == pytest.approx(p, rel=1e-12)


@given(st.integers(0, 400), st.integers(0, 400))
def test_mcnemars_test_agrees_with_scipy(gained, lost):
    changes = [1] * gained + [-1] * lost + [0]
    expected = stats.binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    assert sign_flip_p(changes, names(len(changes))) == pytest.approx(expected, rel=1e-9)


@given(st.lists(st.tuples(st.integers(-4, 4), st.sampled_from("abcdefgh")), min_size=1))
def test_clusters_are_turned_whole_in_every_possible_way(rows):
    changes, clusters = [change for change, _ in rows], [cluster for _, cluster in rows]
    sums = [sum(change for change, one in rows if one == name) for name in sorted(set(clusters))]
    turned = [
        abs(sum(sign * value for sign, value in zip(signs, sums, strict=True)))
        for signs in product((1, -1), repeat=len(sums))
    ]
    expected = sum(value >= abs(sum(sums)) for value in turned) / len(turned)
    assert sign_flip_p(changes, clusters) == pytest.approx(expected, rel=1e-9)


def test_it_agrees_with_scipys_permutations_of_a_large_sample():
    changes = np.random.default_rng(4).integers(-3, 5, 60)
    drawn = stats.permutation_test(
        (changes,),
        lambda values, axis: values.sum(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=50_000,
        rng=np.random.default_rng(5),
    )
    assert 0.001 < drawn.pvalue < 0.2
    assert sign_flip_p(changes.tolist(), names(60)) == pytest.approx(drawn.pvalue, rel=0.1)


def test_copies_within_a_cluster_are_no_more_evidence():
    changes = [1] * 9 + [-1] * 2
    once = sign_flip_p(changes, names(11))
    assert once == pytest.approx(2 * sum(comb(11, k) for k in (9, 10, 11)) / 2**11)
    assert sign_flip_p(changes * 5, names(11) * 5) == pytest.approx(once)
    assert sign_flip_p(changes * 5, names(55)) < once / 100


def test_holm_worked_by_hand():
    # 0.01 x 4; 0.02 x 3; 0.03 x 2, no less than the one before; 0.04 x 1, the same.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([0.3]) == [0.3]
    assert holm([]) == []


@given(P_VALUES, st.floats(0.001, 0.999))
def test_holm_rejects_what_his_procedure_rejects(p_values, alpha):
    """Step down from the smallest: stop at the first p above alpha over what is left."""
    order = np.argsort(p_values, kind="stable")
    rejected = set()
    for rank, index in enumerate(order):
        if min(1.0, (len(p_values) - rank) * p_values[index]) > alpha:
            break
        rejected.add(int(index))
    assert {n for n, p in enumerate(holm(p_values)) if p <= alpha} == rejected


def test_many_changes_take_little_memory():
    """Of 8000 flips the ways of all numbers of heads, held at once, are eight million bytes."""
    changes = [1] * 4100 + [-1] * 3900
    expected = stats.binomtest(4100, 8000).pvalue
    tracemalloc.start()
    found = sign_flip_p(changes, names(8000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == pytest.approx(expected, rel=1e-9)
    assert peak < 4e6
