"""How much of each benchmark question's n-grams each row has, for many of both at once."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from training.curation.shingles import Hashes, mixed, windows

NGRAM_TOKENS = 8
Tokens = Sequence[str]
_ROUNDING = 1e-9


class NgramIndex:
    """The distinct 8-grams of some texts; a text of fewer tokens has none and is never found."""

    def __init__(self, texts: Sequence[Tokens]) -> None:
        self._ids: dict[str, int] = {}
        for text in texts:
            for token in text:
                self._ids.setdefault(token, len(self._ids) + 1)  # 0 is any other token
        grams = [self._grams(text) for text in texts]
        self._known: Hashes = np.unique(np.concatenate([np.empty(0, np.uint64), *grams]))
        self._sizes = np.array([len(each) for each in grams], dtype=np.int64)
        self._columns = self._matrix(grams).T.tocsr()

    def contained(self, rows: Sequence[Tokens], least: float) -> list[tuple[int, int]]:
        """Pairs of a row and a text of which the row has at least this share of the 8-grams.

        Args:
            rows: The rows' tokens.
            least: From 0 to 1; what shares nothing is never found.

        Returns:
            Places of row and text, in their order.
        """
        if not len(self._known) or not rows:
            return []
        shared = (self._matrix([self._grams(row) for row in rows]) @ self._columns).tocoo()
        row, text = shared.coords
        enough = shared.data >= least * self._sizes[text] - _ROUNDING
        return sorted(zip(row[enough].tolist(), text[enough].tolist(), strict=True))

    def _grams(self, tokens: Tokens) -> Hashes:
        ids = np.array([self._ids.get(token, 0) for token in tokens], dtype=np.uint64)
        return np.unique(windows(mixed(ids + np.uint64(1)), NGRAM_TOKENS))

    def _matrix(self, grams: Sequence[Hashes]) -> csr_array:
        """[texts, known n-grams], 1 where a text has one."""
        places = list[npt.NDArray[np.intp]]()
        for each in grams:
            found = np.minimum(np.searchsorted(self._known, each), max(len(self._known) - 1, 0))
            places.append(found[self._known[found] == each] if len(self._known) else found[:0])
        ends = np.cumsum([0, *map(len, places)])
        columns = np.concatenate([np.empty(0, np.intp), *places])
        ones = np.ones(len(columns), dtype=np.int32)
        return csr_array((ones, columns, ends), shape=(len(grams), len(self._known)))
