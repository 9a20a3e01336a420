"""95 % intervals of accuracies and of gains."""

from collections.abc import Sequence
from math import sqrt

import numpy as np

Z_95 = 1.959963984540054  # the normal distribution's 97.5 % quantile


def wilson(num_right: int, num_problems: int) -> tuple[float, float]:
    """Wilson's score interval of a proportion, at 95 % (Wilson, JASA 1927).

    The interval of a plain accuracy: its coverage holds near 0 and 1 and on few problems, where a
    bootstrap of equal outcomes has no width. It takes problems to be independent; a benchmark
    whose problems come in groups needs `cluster_bootstrap`.

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
) -> tuple[float, float]:
    """Percentile bootstrap interval of a mean, at 95 %, drawing whole clusters.

    Args:
        values: One value a problem [N].
        clusters: Which cluster each value belongs to [N]; all different for independent values.
        generator: Draws the resamples.
        num_resamples: How many.

    Returns:
        The 2.5 % and 97.5 % quantiles of the resampled means.
    """
    _, index = np.unique(np.asarray(clusters), return_inverse=True)
    num_clusters = int(index.max()) + 1
    sums = np.bincount(index, weights=np.asarray(values, dtype=np.float64))  # [C]
    counts = np.bincount(index)  # [C]
    # How often each cluster is drawn in each resample [R, C].
    draws = generator.multinomial(
        num_clusters, np.full(num_clusters, 1 / num_clusters), size=num_resamples
    )
    means = (draws @ sums) / (draws @ counts)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
