"""Whether two policies differ on the same problems: exact p-values, and Holm's correction."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def sign_flip_p(changes: Sequence[int], clusters: Sequence[str]) -> float:
    """Two-sided p-value of a paired difference, by the sign-flip test over clusters.

    If neither policy were better, the change of each cluster would be as likely with its sign
    turned (Fisher, The Design of Experiments, 1935). The changes are whole numbers, so that the
    distribution of their sum over all 2^C turns is worked out instead of drawn. With one answer a
    problem, each a cluster of its own, this is McNemar's exact test (Psychometrika 1947). Credits
    of halves are counted in halves: p is the same in any unit.

    Args:
        changes: What the one policy has more than the other, in whole units [N].
        clusters: Which cluster each change belongs to [N].

    Returns:
        Probability of a sum at least as far from 0; 1 where nothing changed.
    """
    _, index = np.unique(np.asarray(clusters), return_inverse=True)
    sums = np.zeros(int(index.max()) + 1, dtype=np.int64)
    np.add.at(sums, index, np.asarray(changes, dtype=np.int64))
    sizes, counts = np.unique(np.abs(sums[sums != 0]), return_counts=True)
    # The sum of the changes that keep a positive sign; the whole sum is twice this less `total`.
    positive: NDArray[np.floating] = np.ones(1)
    for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
        step = np.zeros(size * count + 1)
        step[::size] = _fair_flips(count)
        positive = np.convolve(positive, step)
    total = positive.size - 1
    sum_of_turns = 2 * np.arange(positive.size) - total
    return min(1.0, float(positive[np.abs(sum_of_turns) >= abs(int(sums.sum()))].sum()))


def _fair_flips(count: int) -> NDArray[np.float64]:
    """Probability of 0 to `count` heads in as many flips of a fair coin [count + 1], exact."""
    all_ways, ways = 2**count, 1  # in integers: p-values are compared with bounds
    shares = np.empty(count + 1)
    for heads in range(count + 1):
        shares[heads] = ways / all_ways
        ways = ways * (count - heads) // (heads + 1)
    return shares


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values (Scandinavian Journal of Statistics 1979), in the order given.

    Rejecting what is at most alpha keeps the chance of any false rejection in the family at most
    alpha, however the tests depend on each other.

    Args:
        p_values: Of one family of tests [M].
    """
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
