"""How much of each benchmark question's n-grams each row has, for many of both at once."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from training.curation.shingles import Hashes, mixed, windows

NGRAM_TOKENS = 8
Tokens = Sequence[str]
Places = npt.NDArray[np.intp]
_ROUNDING = 1e-9


class NgramIndex:
    """The distinct 8-grams of some texts; a text of fewer tokens has none and is never found."""

    def __init__(self, texts: Sequence[Tokens]) -> None:
        self._ids: dict[str, int] = {}
        for text in texts:
            for token in text:
                self._ids.setdefault(token, len(self._ids) + 1)  # 0 is any other token
        texts_of, grams = self._grams(texts)
        self._known: Hashes = np.unique(grams)
        matrix = self._matrix(texts_of, grams, len(texts))
        self._sizes = np.asarray(matrix.sum(axis=1), dtype=np.int64)
        self._columns = matrix.T.tocsr()

    def contained(self, rows: Sequence[Tokens], least: float) -> tuple[Places, Places]:
        """Pairs of a row and a text of which the row has at least this share of the 8-grams.

        Args:
            rows: The rows' tokens.
            least: From 0 to 1; what shares nothing is never found.

        Returns:
            Places of the rows and of the texts, ordered by row, then by text.
        """
        rows_of, grams = self._grams(rows)
        shared = (self._matrix(rows_of, grams, len(rows)) @ self._columns).tocoo()
        row, text = shared.coords
        enough = shared.data >= least * self._sizes[text] - _ROUNDING
        row, text = row[enough].astype(np.intp), text[enough].astype(np.intp)
        order = np.lexsort((text, row))
        return row[order], text[order]

    def _grams(self, texts: Sequence[Tokens]) -> tuple[Places, Hashes]:
        """All 8-grams of some texts, and which text each is of, as often as they occur."""
        ids = np.array(
            [self._ids.get(token, 0) for text in texts for token in text], dtype=np.uint64
        )
        lengths = np.array([len(text) for text in texts], dtype=np.int64)
        owners = np.repeat(np.arange(len(texts)), lengths)
        grams = windows(mixed(ids + np.uint64(1)), NGRAM_TOKENS)
        firsts, lasts = owners[: len(grams)], owners[NGRAM_TOKENS - 1 :]
        is_inside = firsts == lasts
        return firsts[is_inside], grams[is_inside]

    def _matrix(self, texts_of: Places, grams: Hashes, num_texts: int) -> csr_array:
        """[texts, known n-grams], 1 where a text has one."""
        if not len(self._known):
            return csr_array(np.zeros((num_texts, 0), dtype=np.int32))
        places = np.minimum(np.searchsorted(self._known, grams), len(self._known) - 1)
        is_known = self._known[places] == grams
        coords = (texts_of[is_known], places[is_known])
        ones = np.ones(len(coords[0]), dtype=np.int32)
        shape = (num_texts, len(self._known))
        matrix: csr_array[np.int32, tuple[int, int]] = csr_array((ones, coords), shape=shape)
        matrix.sum_duplicates()
        matrix.data[:] = 1
        return matrix
