"""95 % intervals of accuracies and of gains."""

from collections.abc import Iterator, Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray

Z_95 = 1.959963984540054  # the normal distribution's 97.5 % quantile
MAX_DRAWS = 2**21  # held at once: 16 MiB, however many clusters there are
MAX_ROUNDING = 1e-12  # between the means of clusters that are the same


def wilson(num_right: int, num_problems: int) -> tuple[float, float]:
    """Wilson's score interval of a proportion, at 95 % (Wilson, JASA 1927).

    The interval of a plain accuracy: its coverage holds near 0 and 1 and on few problems. It takes
    problems to be independent; a benchmark whose problems come in groups needs `cluster_bootstrap`.

    Args:
        num_right: Right answers.
        num_problems: Answers, at least 1.

    Returns:
        Lower and upper bound, in [0, 1].
    """
    share = num_right / num_problems
    scale = 1 + Z_95**2 / num_problems
    centre = (share + Z_95**2 / (2 * num_problems)) / scale
    spread = share * (1 - share) / num_problems + Z_95**2 / (4 * num_problems**2)
    half = Z_95 * sqrt(spread) / scale
    # At 0 or all right the bound is the share itself; floating point would miss it by an ulp.
    low = 0.0 if num_right == 0 else centre - half
    high = 1.0 if num_right == num_problems else centre + half
    return low, high


def cluster_bootstrap(
    values: Sequence[float],
    clusters: Sequence[str],
    generator: np.random.Generator,
    num_resamples: int = 2000,
    *,
    least: float = 0.0,
) -> tuple[float, float]:
    """Interval of a mean, at 95 %: a percentile bootstrap that draws whole clusters.

    Where all clusters have the same mean there is nothing to draw, and the interval is that of
    what was not seen: none of C clusters differs, so that by Wilson's interval at most a share
    z^2 / (C + z^2) of all clusters does, and these may have any mean from `least` to 1. Of values
    that are all 0 or all 1 it is Wilson's own with n = C.

    Args:
        values: One value a problem [N], from `least` to 1.
        clusters: Which cluster each value belongs to [N]; all different for independent values.
        generator: Draws the resamples.
        num_resamples: How many.
        least: 0 for scores, -1 for differences of two.

    Returns:
        The 2.5 % and 97.5 % quantiles of the resampled means, or the interval of equal means.
    """
    _, index = np.unique(np.asarray(clusters), return_inverse=True)
    sums = np.bincount(index, weights=np.asarray(values, dtype=np.float64))  # [C]
    counts = np.bincount(index)  # [C]
    means = sums / counts
    if np.ptp(means) <= MAX_ROUNDING:
        mean = float(means[0])
        _, unseen = wilson(0, len(counts))
        return mean - unseen * (mean - least), mean + unseen * (1.0 - mean)
    resampled = np.concatenate(
        [
            sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
            for drawn in _draws(num_resamples, len(counts), generator)
        ]
    )
    low, high = np.quantile(resampled, [0.025, 0.975])
    return float(low), float(high)


def _draws(
    num_resamples: int, num_clusters: int, generator: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """The clusters of each resample, some resamples at a time [r, C]; r changes no draw."""
    at_once = max(1, MAX_DRAWS // num_clusters)
    for start in range(0, num_resamples, at_once):
        size = (min(at_once, num_resamples - start), num_clusters)
        yield generator.integers(num_clusters, size=size)
