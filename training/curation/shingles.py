"""Shingles, MinHash and n-grams as arrays of 64-bit hashes.

Near duplicates are found as by Broder (MinHash) with bands (locality-sensitive hashing): two
texts whose shingles have the Jaccard similarity s share a band with 1 - (1 - s^8)^16, which is
0.95 at 0.8 and 0.9999 at 0.9. All draws are fixed: the same texts give the same hashes.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]

SHINGLE_CHARACTERS = 5
NUM_BANDS, BAND_ROWS = 16, 8
_SEED = 2506_04207
_BASE = np.uint64(0x100000001B3)  # of the rolling hash, FNV's prime: any odd number would do
_BATCH_SHINGLES = 2**20  # of one pass: 8 MB a permutation


def mixed(values: Hashes) -> Hashes:
    """Spreads 64-bit values over all bits, one to one (the finaliser of SplitMix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def windows(values: Hashes, width: int) -> Hashes:
    """A hash of each `width` neighbouring values, [n - width + 1]."""
    num = len(values) - width + 1
    hashes = np.zeros(max(num, 0), dtype=np.uint64)
    for offset in range(width if num > 0 else 0):
        hashes = hashes * _BASE + values[offset : offset + num]
    return mixed(hashes)


def shingles(text: str, key: int) -> Hashes:
    """The distinct character 5-grams of a text, each hashed together with its key.

    Texts with other keys share none. A shorter text is filled up with spaces.

    Args:
        text: The text.
        key: A 64-bit hash of what may not differ.

    Returns:
        Sorted, at least one.
    """
    encoded = text.ljust(SHINGLE_CHARACTERS).encode("utf-32-le", "surrogatepass")
    characters = np.frombuffer(encoded, dtype=np.uint32).astype(np.uint64)
    return np.unique(mixed(windows(characters, SHINGLE_CHARACTERS) ^ np.uint64(key)))


def jaccard(left: Hashes, right: Hashes) -> float:
    """Shared / all shingles, of two sets that are not both empty."""
    shared = len(np.intersect1d(left, right, assume_unique=True))
    return shared / (len(left) + len(right) - shared)


def bands(sets: Sequence[Hashes]) -> Hashes:
    """The bands of each set's MinHash signature: sets that share one are candidates.

    Returns:
        [len(sets), 16], each band a hash of eight minima under permutations of its own.
    """
    found = np.empty((len(sets), NUM_BANDS), dtype=np.uint64)
    start = 0
    while start < len(sets):
        stop, size = start + 1, len(sets[start])
        while stop < len(sets) and size + len(sets[stop]) <= _BATCH_SHINGLES:
            size += len(sets[stop])
            stop += 1
        found[start:stop] = _bands(sets[start:stop])
        start = stop
    return found


def _bands(sets: Sequence[Hashes]) -> Hashes:
    generator = np.random.default_rng(_SEED)
    shape = (NUM_BANDS, BAND_ROWS)
    factors = generator.integers(2**63, size=shape, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    terms = generator.integers(2**63, size=shape, dtype=np.uint64)
    values = np.concatenate(sets)
    starts = np.cumsum([0, *map(len, sets)])[:-1]
    found = np.zeros((len(sets), NUM_BANDS), dtype=np.uint64)
    for band in range(NUM_BANDS):
        for factor, term in zip(factors[band], terms[band], strict=True):
            smallest = np.minimum.reduceat(values * factor + term, starts)
            found[:, band] = mixed(found[:, band] * _BASE + smallest)
    return found
