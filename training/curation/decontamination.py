"""Decontamination: no set may hold a question of the evaluation's benchmarks.

A row leaks a question when, whatever the dressing, it says the same, or when it has at least half
of the question's word 8-grams, all that decides its answer, and no word in another one's place: any
one shared n-gram would flag most clean rows of a shared template. Both are compared a second time
without choices at their ends. Of a question with pictures, the row must show the same ones: equal
pixels beside such a text, or equal files beside a text that is merely similar. With the same answer
they may look alike; or the row has none, as where a figure is drawn by code or was lost, and a long
text with the question's numbers, or its answer (`training.curation.asked`).
Rows that differ from a question in their numbers alone are a class of their own, `number variants`:
no leaks of it.
"""

import hashlib
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from training.curation.asked import Asked
from training.curation.ngrams import NgramIndex
from training.curation.step import StepResult, split
from training.curation.wording import Wording, holds
from training.recipe import curation as steps
from training.records import EncodedImage, Problem

STEP = steps.DECONTAMINATION
LEAK = "question of a benchmark"
NUMBER_VARIANT = "number variant of a benchmark's question"
_BATCH_ROWS = 1000


class _Texts:
    """The texts of some questions, found whole or inside others.

    Args:
        wordings: By the question's number.
    """

    def __init__(self, wordings: Mapping[int, Wording]) -> None:
        self._items, self._wordings = list(wordings), list(wordings.values())
        self._grams = NgramIndex([wording.tokens for wording in self._wordings])
        self._signs = np.array(list(map(_signs_mask, self._wordings)), dtype=np.uint64)
        self._places: dict[str, list[int]] = defaultdict(list)
        for item, wording in wordings.items():
            self._places[wording.squeezed].append(item)

    def found(self, rows: Mapping[int, Wording], containment: float) -> Iterable[tuple[int, int]]:
        """Pairs of a row and a question that it holds.

        Args:
            rows: By the row's number.
            containment: Least share of a question's 8-grams.
        """
        if not rows or not self._items:
            return
        numbers, wordings = list(rows), list(rows.values())
        for number, row in rows.items():
            yield from ((number, item) for item in self._places.get(row.squeezed, []))
        places, texts = self._grams.contained([row.tokens for row in wordings], containment)
        signs = np.array(list(map(_signs_mask, wordings)), dtype=np.uint64)
        # Most pairs of a shared template go here: the question has a number that the row lacks.
        may_hold = (self._signs[texts] & ~signs[places]) == 0
        for place, text in zip(places[may_hold].tolist(), texts[may_hold].tolist(), strict=True):
            if holds(wordings[place], self._wordings[text]):
                yield numbers[place], self._items[text]


def _signs_mask(wording: Wording) -> int:
    """A bit for each sign that decides: who has all signs of another has all its bits."""
    mask = 0
    for sign in wording.signs:
        mask |= _bit(sign)
    return mask


@lru_cache(maxsize=2**16)
def _bit(sign: str) -> int:
    return 1 << (zlib.crc32(sign.encode("utf-8", "surrogatepass")) % 64)


class BenchmarkIndex:
    """The questions of all benchmarks, ready to be looked for.

    Attributes:
        names: The benchmark and the id of each question, `benchmark: id`.
        digest: SHA-256, in hex, of all that is looked for and told: the names, the texts, the
            answers and the images' files, however they were read.
    """

    def __init__(self, benchmarks: Mapping[str, Iterable[Problem]]) -> None:
        items = [(name, one) for name, problems in benchmarks.items() for one in problems]
        self.names = [f"{name}: {problem['id']}" for name, problem in items]
        self._items = [Asked(problem) for _, problem in items]
        self._texts = _Texts({n: item.wording for n, item in enumerate(self._items)})
        stems = {n: item.stem for n, item in enumerate(self._items)}
        self._stems = _Texts({n: stem.wording for n, stem in stems.items()})
        self._stems_of_choices = _Texts({n: s.wording for n, s in stems.items() if s.choices})
        bare = {n: item.bare for n, item in enumerate(self._items)}
        self._bare = _Texts({n: stem.wording for n, stem in bare.items() if stem})
        self._without_figures = _Texts({n: s.wording for n, s in stems.items() if not bare[n]})
        self._masked = self._places(lambda item: item.masked)
        self._files = self._places(lambda item: files_digest(item.problem["images"]))
        told = hashlib.sha256()
        for name, item in zip(self.names, self._items, strict=True):
            problem, files = item.problem, files_digest(item.problem["images"])
            told.update(repr((name, problem["question"], problem["answer"], files)).encode())
        self.digest = told.hexdigest()

    def search(
        self, rows: Sequence[Asked], containment: float
    ) -> tuple[dict[int, int], dict[int, int]]:
        """Which rows ask a benchmark's question, and which differ from one in numbers alone.

        Args:
            rows: Problems whose images can be decoded.
            containment: Least share of a question's 8-grams.

        Returns:
            Place of a row -> place of the first such question in `names`: of those that ask it, and
            of those that differ, if at all.
        """
        leaks, variants = dict[int, int](), dict[int, int]()
        for start in range(0, len(rows), _BATCH_ROWS):
            part = rows[start : start + _BATCH_ROWS]
            for place, item in self._leaks(part, containment):
                if part[place].may_leak(self._items[item]):
                    leaks[start + place] = min(item, leaks.get(start + place, item))
            variants |= {start + place: item for place, item in self._variants(part)}
        return leaks, variants

    def _leaks(self, rows: Sequence[Asked], containment: float) -> Iterable[tuple[int, int]]:
        yield from self._texts.found({n: row.wording for n, row in enumerate(rows)}, containment)
        # Stems are compared where one of the two, at least, has choices.
        chosen = {n: row.stem.wording for n, row in enumerate(rows) if row.stem.choices}
        plain = {n: row.stem.wording for n, row in enumerate(rows) if not row.stem.choices}
        for texts, stems in ((self._stems, chosen), (self._stems_of_choices, plain)):
            for place, item in texts.found(stems, containment):
                if rows[place].may_share_stem(self._items[item]):
                    yield place, item
        # As are those of which one has the code of a figure, and the other one has none.
        drawn = {n: row.bare.wording for n, row in enumerate(rows) if row.bare}
        undrawn = {n: row.stem.wording for n, row in enumerate(rows) if not row.bare}
        for texts, stems in ((self._bare, undrawn), (self._without_figures, drawn)):
            for place, item in texts.found(stems, containment):
                if rows[place].may_lack_figure(self._items[item]):
                    yield place, item
        for place, row in enumerate(rows):
            files = files_digest(row.problem["images"])
            for item in self._files.get(files, []) if row.problem["images"] else []:
                # Equal texts are found above: with the same mask, this is a number variant.
                differs = row.masked != self._items[item].masked
                if differs and row.is_about_the_same(self._items[item]):
                    yield place, item

    def _variants(self, rows: Sequence[Asked]) -> Iterable[tuple[int, int]]:
        for place, row in enumerate(rows):
            items = self._masked.get(row.masked, []) if row.wording.numbers else []
            shown = (item for item in items if row.shows(self._items[item]))
            if (first := next(shown, None)) is not None:
                yield place, first

    def _places(self, key: Callable[[Asked], Hashable]) -> dict[Hashable, list[int]]:
        found: dict[Hashable, list[int]] = defaultdict(list)
        for place, item in enumerate(self._items):
            found[key(item)].append(place)
        return dict(found)


def files_digest(encoded: Sequence[EncodedImage]) -> bytes:
    """What equal image files share; SHA-256."""
    digest = hashlib.sha256()
    for image in encoded:
        digest.update(hashlib.sha256(image["bytes"]).digest())
    return digest.digest()


@dataclass(frozen=True)
class Decontaminated:
    """What the step gives back.

    Attributes:
        result: The problems that stay, and the rejects; each names the benchmark's question.
        variants: Number variants of each benchmark's questions, whether they stay or not.
    """

    result: StepResult
    variants: dict[str, int]


def decontaminate(
    problems: Sequence[Problem],
    index: BenchmarkIndex,
    containment: float,
    *,
    reject_variants: bool = False,
) -> Decontaminated:
    """Drops questions of the benchmarks, and counts or drops their number variants.

    Number variants stay by default: they give no answer away, and sets whose questions come from
    templates are full of them.

    Args:
        problems: Problems whose images can be decoded.
        index: The benchmarks' questions.
        containment: Least share of a question's 8-grams.
        reject_variants: Whether number variants go.
    """
    leaks, varied = index.search([Asked(problem) for problem in problems], containment)
    variants = {place: item for place, item in varied.items() if place not in leaks}
    found = {**variants, **leaks} if reject_variants else leaks
    reasons = [
        LEAK if place in leaks else NUMBER_VARIANT if place in found else None
        for place in range(len(problems))
    ]
    details = {place: index.names[item] for place, item in found.items()}
    counts = count_by_benchmark(index.names[item] for item in variants.values())
    return Decontaminated(split(problems, reasons, STEP, details), counts)


def count_by_benchmark(names: Iterable[str]) -> dict[str, int]:
    """How many of these questions, as `BenchmarkIndex.names` has them, are of which benchmark."""
    return dict(sorted(Counter(name.partition(": ")[0] for name in names).items()))
