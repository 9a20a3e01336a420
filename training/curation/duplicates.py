"""Near duplicates: problems whose questions say the same in nearly the same words.

Numbers, operators and deciding words (`wording.Wording.key`) enter every shingle, so problems that
differ there never meet, however much text they share; plain n-grams merge most of them. Candidates
are compared by their true similarity and word by word. A multimodal problem is near another only
when their pictures have equal pixels: no perceptual hash tells two charts apart.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt

from training import images
from training.answers import AnswerVerifier
from training.curation.agreement import agree, meant
from training.curation.equal_questions import has_boxed_trace, traced_first
from training.curation.shingles import Hashes, bands, jaccard, shingles
from training.curation.step import StepResult, split
from training.curation.wording import Wording, read, same_problem
from training.recipe import curation as steps
from training.records import EncodedImage, Problem

STEP = steps.NEAR_DUPLICATES
REASON = "near duplicate question"
NUM_NEIGHBOURS = 16  # of a row among more that share a band
# Wordings and shingles that are kept: of more rows, some are made anew where they are compared.
NUM_KEPT = 2**14
MAX_COMPARED = 2**18


def drop_near_duplicates(
    problems: Sequence[Problem], similarity: float, verifier: AnswerVerifier
) -> StepResult:
    """Keeps one of each group of near duplicates that have one answer; see `repeats`."""
    found = repeats(problems, similarity, verifier)
    reasons = [REASON if place in found else None for place in range(len(problems))]
    stays = {place: problems[first]["id"] for place, first in found.items()}
    return split(problems, reasons, STEP, stays)


def repeats(
    problems: Sequence[Problem], similarity: float, verifier: AnswerVerifier
) -> dict[int, int]:
    """Near duplicates that have the answer of one that stays: the first that has a boxed trace, or
    else the first.

    Near duplicates whose answers differ all stay: that the texts differ in a word that decides
    is likelier than a wrong reference.

    Args:
        problems: Problems with images that can be decoded.
        similarity: Least Jaccard similarity of two questions' keyed shingles.
        verifier: Tells whether two answers are the same.

    Returns:
        Place of a repeat -> place of the problem that stays.
    """
    groups = near_duplicates(problems, similarity)
    return same_answers(
        groups,
        [problem["question"] for problem in problems],
        [problem["answer"] for problem in problems],
        list(map(has_boxed_trace, problems)),
        verifier,
    )


def same_answers(
    groups: Iterable[Sequence[int]],
    questions: Sequence[str],
    answers: Sequence[str],
    traced: Sequence[bool],
    verifier: AnswerVerifier,
) -> dict[int, int]:
    """Those of near duplicates that have the answer of one that stays; see `repeats`.

    Args:
        groups: Places of near duplicates, rising within a group.
        questions: Of all problems.
        answers: The same.
        traced: Which of all problems have a boxed trace.
        verifier: Tells whether two answers are the same.
    """
    stays = dict[int, int]()
    for group in groups:
        left = list(traced_first(group, traced))
        told = {one: meant(answers[one], questions[one]) for one in group}
        while len(left) > 1:
            first, *others = left
            left = [one for one in others if not agree(told[one], told[first], verifier)]
            stays |= dict.fromkeys(set(others) - set(left), first)
    return stays


def near_duplicates(problems: Sequence[Problem], similarity: float) -> list[list[int]]:
    """Groups of two and more near duplicates, whatever their answers are.

    Which groups form does not depend on the order of the problems. A group is linked by pairs: its
    ends may be less similar. Where many problems with one key share a band, only close ones by
    their texts are compared, so a pair may be missed.

    Returns:
        Places in `problems`, rising within a group and over groups' first ones.
    """

    @cache
    def pixels(encoded: tuple[bytes, ...]) -> bytes:
        return pixels_digest([EncodedImage(bytes=one, path=None) for one in encoded])

    def pictures(row: int) -> bytes:
        return pixels(tuple(image["bytes"] for image in problems[row]["images"]))

    return near_questions(
        [problem["question"] for problem in problems],
        similarity,
        [len(problem["images"]) for problem in problems],
        pictures,
    )


def near_questions(
    questions: Sequence[str],
    similarity: float,
    num_pictures: Sequence[int],
    pictures: Callable[[int], Hashable],
) -> list[list[int]]:
    """`near_duplicates`, of questions whose pictures are somewhere else.

    Args:
        questions: What is asked.
        similarity: Least Jaccard similarity of two questions' keyed shingles.
        num_pictures: How many pictures each question has.
        pictures: What rows with equal pictures share; asked only of rows that have pictures, and
            whose numbers and deciding words another row has.
    """

    @lru_cache(maxsize=NUM_KEPT)
    def wording(row: int) -> Wording:
        return read(questions[row])

    rows = _by(range(len(questions)), lambda row: compared_by(wording(row), num_pictures[row]))
    alike = (
        one
        for group in rows
        if len(group) > 1
        for one in (_by(group, pictures) if num_pictures[group[0]] else [group])
        if len(one) > 1
    )
    groups = [
        group
        for rows_of_key in alike
        for group in _groups(rows_of_key, wording, similarity)
        if len(group) > 1
    ]
    return sorted(groups)


def compared_by(wording: Wording, num_pictures: int) -> tuple[int, tuple[str, ...]]:
    """What near duplicates share at least: how many pictures, and what decides the answer."""
    return num_pictures, wording.key


def bands_of(questions: Sequence[str]) -> Hashes:
    """The bands of each question: which share none are not compared, [len(questions), 16]."""
    return bands([_keyed_shingles(read(question)) for question in questions])


def pixels_digest(encoded: Sequence[EncodedImage]) -> bytes:
    """What pictures with equal pixels share, however they are encoded; SHA-256.

    Raises:
        DataError: An image cannot be decoded.
    """
    digest = hashlib.sha256()
    for image in encoded:
        picture = images.decode_image(image)
        digest.update(repr(picture.size).encode() + picture.tobytes())
    return digest.digest()


def _groups(
    rows: Sequence[int], wording: Callable[[int], Wording], similarity: float
) -> Iterable[list[int]]:
    """Groups among rows with one key and the same pictures."""
    # In an order of their texts, so that whom a row is compared with does not depend on the rows'.
    of_text = defaultdict[tuple[str, ...], list[int]](list)
    for row in rows:
        of_text[wording(row).tokens].append(row)
    texts = sorted(of_text)
    same_text = [of_text[text] for text in texts]
    if len(texts) == 1:
        yield same_text[0]
        return

    @lru_cache(maxsize=NUM_KEPT)
    def keyed(place: int) -> Hashes:
        return _keyed_shingles(wording(same_text[place][0]))

    places = range(len(texts))
    parts = (places[start : start + NUM_KEPT] for start in places[::NUM_KEPT])
    of_bands = np.concatenate([bands(list(map(keyed, part))) for part in parts])
    backwards = sorted(places, key=lambda place: texts[place][::-1])
    links, compared = _Links(len(texts)), set[int]()
    for left, right in _candidates(of_bands, np.argsort(backwards)):
        pair = left * len(texts) + right
        if pair in compared or links.root(left) == links.root(right):
            continue
        if len(compared) == MAX_COMPARED:
            compared.clear()  # some are then compared once more
        compared.add(pair)
        if jaccard(keyed(left), keyed(right)) >= similarity and same_problem(
            wording(same_text[left][0]), wording(same_text[right][0])
        ):
            links.join(left, right)
    for part in _by(places, links.root):
        yield sorted(row for place in part for row in same_text[place])


def _keyed_shingles(wording: Wording) -> Hashes:
    digest = hashlib.blake2b("\0".join(wording.key).encode("utf-8", "surrogatepass"), digest_size=8)
    return shingles(wording.text, int.from_bytes(digest.digest(), "little"))


def _candidates(
    of_bands: Hashes, backward_ranks: npt.NDArray[np.intp]
) -> Iterable[tuple[int, int]]:
    """Pairs that share a band, possibly more than once, the smaller place first.

    Of many that share one, each is paired with its neighbours in two orders of the texts, read
    forwards and backwards (sorted neighbourhoods, as by Hernandez and Stolfo): texts that differ
    in one place stand close in one of them. All pairs would take quadratic time.

    Args:
        of_bands: The bands of each text, in the order of the texts.
        backward_ranks: Each text's rank by its tokens read backwards.
    """
    for band in of_bands.T:
        order = np.argsort(band, kind="stable")
        starts = np.flatnonzero(np.diff(band[order])) + 1
        for bucket in np.split(order, starts):
            yield from _neighbours(bucket.tolist())
            if len(bucket) > NUM_NEIGHBOURS + 1:
                yield from _neighbours(bucket[np.argsort(backward_ranks[bucket])].tolist())


def _neighbours(places: Sequence[int]) -> Iterable[tuple[int, int]]:
    for start, left in enumerate(places):
        for right in places[start + 1 : start + 1 + NUM_NEIGHBOURS]:
            yield min(left, right), max(left, right)


def _by(rows: Iterable[int], key: Callable[[int], Hashable]) -> list[list[int]]:
    found: dict[Hashable, list[int]] = defaultdict(list)
    for row in rows:
        found[key(row)].append(row)
    return list(found.values())


@dataclass(frozen=True, init=False)
class _Links:
    """Which places hang together (union-find)."""

    parents: list[int]

    def __init__(self, num: int) -> None:
        object.__setattr__(self, "parents", list(range(num)))

    def root(self, place: int) -> int:
        while self.parents[place] != place:
            self.parents[place] = self.parents[self.parents[place]]
            place = self.parents[place]
        return place

    def join(self, left: int, right: int) -> None:
        self.parents[self.root(right)] = self.root(left)
