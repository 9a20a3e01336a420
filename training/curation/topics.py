"""Topics: which problems are about the same thing, found in their questions.

Paper section 3.1 (GRAMMAR): questions are embedded, HDBSCAN finds clusters, and these get names.
Here the embedding is TF-IDF of words with SVD, or a sentence-embedding model's; the names are
keywords by c-TF-IDF. Numbers are left out: they tell problems of one topic apart, not topics.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress, islice
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from training.curation.words import ASKING
from training.recipe.curation import TopicsRecipe
from training.records import IMAGE_MARK

OTHER = "other"  # the topic of rows that are in no cluster
NUM_DIMENSIONS = 16  # HDBSCAN's time grows fast with them
NUM_NEIGHBOURS = 10
NUM_KEYWORDS = 3
MAX_TERMS = 2**15  # of the vocabulary, the most frequent
PART_ROWS = 10_000  # that are embedded, or given a topic, at once
# A row is given a topic if it lies as near to its neighbours as all but so many of the clustered.
CUT_OFF = 0.99

Vectors = NDArray[np.float64]
# Of NumPy or SciPy, sparse or not; SciPy has no types that mypy could check.
Matrix: TypeAlias = Any
Labels = NDArray[np.int64]  # of a cluster; -1 for noise
# Questions -> one vector each [N, D], the same whatever it is asked with.
Embed = Callable[[Sequence[str]], NDArray[np.floating[Any]]]


class Questions(Protocol):
    """Texts that can be gone through again and again, and are never held all together."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[str]: ...


_WORD = re.compile(r"[^\W\d_]{2,40}")


@dataclass(frozen=True)
class Topics:
    """What was found.

    Attributes:
        names: Each question's topic, `OTHER` where it has none.
        places: Each question's place on a map [N, 2].
        num_clustered: Questions that HDBSCAN saw.
        num_noise: Of these, those in no cluster.
        num_assigned: Other questions that were given a topic by their neighbours.
    """

    names: list[str]
    places: Vectors
    num_clustered: int
    num_noise: int
    num_assigned: int

    @property
    def share_without(self) -> float:
        """Share of all questions in `OTHER`; 0 where there are none."""
        return self.names.count(OTHER) / len(self.names) if self.names else 0.0


def find_topics(
    questions: Questions,
    settings: TopicsRecipe,
    seed: int,
    embed: Embed | None = None,
    on_embedded: Callable[[], None] = lambda: None,
) -> Topics:
    """Finds the topics of questions.

    The same questions in the same order, settings and seed give the same topics. Memory holds the
    questions of the sample and, until these are reduced, what `embed` gives of them; then of
    every question a short vector, and the same of `PART_ROWS` others at once.

    Args:
        questions: In any language; those without a word have no topic.
        settings: The recipe's.
        seed: Of the sample that is clustered where there are too many, and of the SVD.
        embed: A sentence-embedding model; None for TF-IDF of the words.
        on_embedded: Called once the questions have vectors, or no sampled one has a word.
    """
    count = len(questions)
    sample = _sample(count, settings.max_clustered, seed)
    others = np.setdiff1d(np.arange(count), sample)
    texts = list(_at(questions, sample))
    if not any(map(terms, texts)):
        on_embedded()
        return Topics([OTHER] * count, np.zeros((count, 2)), len(sample), len(sample), 0)
    vocabulary, count_in = term_counter(texts)
    counts = count_in(texts)
    weigh = embed or tf_idf(counts, count_in)
    found = weigh(texts)
    reduce = reducer(found, seed)
    own = reduce(found)
    del found  # of an embedding model some thousand numbers a question
    vectors = np.empty((count, own.shape[1]))
    vectors[sample] = own
    for places, part in _parts(questions, others):
        vectors[places] = reduce(weigh(part))
    on_embedded()
    # Without a known word, a row of TF-IDF is zero: such rows are not alike, they are unknown.
    is_known = np.full(count, embed is not None) | (vectors != 0).any(axis=1)
    labels = np.full(count, -1, dtype=np.int64)
    seen = sample[is_known[sample]]
    labels[seen] = cluster(vectors[seen], settings.min_rows)
    rest = others[is_known[others]]
    labels[rest] = assign(vectors[seen], labels[seen], vectors[rest])
    named = {-1: OTHER} | name_clusters(counts, labels[sample], vocabulary)
    return Topics(
        names=[named[label] for label in labels.tolist()],
        places=on_a_map(vectors, sample),
        num_clustered=len(sample),
        num_noise=int((labels[sample] < 0).sum()),
        num_assigned=int((labels[rest] >= 0).sum()),
    )


def terms(question: str) -> list[str]:
    """A question's words, in lower case, without numbers.

    Words that say nothing of a topic are left out: English ones that every text has, those that
    only ask, and single letters, the names of variables.
    """
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    found = _WORD.findall(question.replace(IMAGE_MARK, " ").casefold())
    return [word for word in found if word not in ASKING and word not in ENGLISH_STOP_WORDS]


def term_counter(texts: Sequence[str]) -> tuple[list[str], Callable[[Sequence[str]], Any]]:
    """Counts the terms that are most frequent in some texts.

    Args:
        texts: At least one has a term.

    Returns:
        The vocabulary, sorted [T], and what counts its terms in N texts: a sparse matrix [N, T].
    """
    from sklearn.feature_extraction.text import CountVectorizer

    vectorizer = CountVectorizer(analyzer=terms, max_features=MAX_TERMS).fit(texts)
    return vectorizer.get_feature_names_out().tolist(), vectorizer.transform


def tf_idf(
    counts: Matrix, count_in: Callable[[Sequence[str]], Matrix]
) -> Callable[[Sequence[str]], Matrix]:
    """Weights of terms, their frequencies damped.

    Args:
        counts: Of terms, in the texts among which rare ones weigh more: a sparse matrix [N, T].
        count_in: Counts the terms of texts.

    Returns:
        What gives texts a sparse matrix [N, T] with rows of length 1 or 0.
    """
    from sklearn.feature_extraction.text import TfidfTransformer

    weights = TfidfTransformer(sublinear_tf=True).fit(counts)
    return lambda texts: weights.transform(count_in(texts))


def reducer(found: Matrix, seed: int) -> Callable[[Matrix], Vectors]:
    """What makes of a matrix, sparse or not, vectors of few dimensions.

    Args:
        found: The matrix [N, D] of whose rows the dimensions are made.
        seed: Of the SVD's random projection.

    Returns:
        A function [M, D] -> [M, d], with rows of length 1; one that is zero stays so.
    """
    from scipy.sparse import csr_matrix
    from sklearn.decomposition import TruncatedSVD
    from sklearn.preprocessing import normalize

    is_wide = found.shape[1] > NUM_DIMENSIONS
    svd = TruncatedSVD(NUM_DIMENSIONS, random_state=seed).fit(found) if is_wide else None

    def reduce(rows: Matrix) -> Vectors:
        few = csr_matrix(rows).toarray() if svd is None else svd.transform(rows)
        vectors: Vectors = normalize(np.asarray(few, dtype=np.float64))
        return vectors

    return reduce


def cluster(vectors: Vectors, min_rows: int) -> Labels:
    """HDBSCAN's clusters, numbered from 0; -1 for noise.

    Args:
        vectors: [N, d].
        min_rows: Of the smallest cluster.
    """
    if len(vectors) < 2 * min_rows:  # no two clusters fit in, and one tells nothing apart
        return np.full(len(vectors), -1, dtype=np.int64)
    from sklearn.cluster import HDBSCAN

    found = HDBSCAN(min_cluster_size=min_rows, n_jobs=1, copy=True).fit_predict(vectors)
    labels: Labels = np.maximum(found, -1).astype(np.int64)
    return labels


def assign(known: Vectors, labels: Labels, others: Vectors) -> Labels:
    """Clusters for rows that were not clustered: what most of the nearest clustered rows have.

    A row whose neighbours are mostly noise is noise, and so is one that lies too far off:
    farther from its neighbours, in the mean, than nearly all rows of clusters from theirs.

    Args:
        known: Clustered rows [K, d].
        labels: Their clusters [K].
        others: The rest [M, d].
    """
    num_neighbours = min(NUM_NEIGHBOURS, len(known) - 1)
    if len(others) == 0 or num_neighbours < 1 or (labels < 0).all():
        return np.full(len(others), -1, dtype=np.int64)
    from scipy.stats import mode
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(n_neighbors=num_neighbours, n_jobs=1).fit(known)
    own_distances, _ = index.kneighbors()  # of each known row, to the others
    cut_off = np.quantile(own_distances.mean(axis=1)[labels >= 0], CUT_OFF)
    found: list[Labels] = []
    for start in range(0, len(others), PART_ROWS):
        distances, neighbours = index.kneighbors(others[start : start + PART_ROWS])
        voted = mode(labels[neighbours], axis=1).mode.astype(np.int64)  # of equals, noise first
        found.append(np.where(distances.mean(axis=1) <= cut_off, voted, -1))
    return np.concatenate(found)


def name_clusters(
    counts: Matrix,
    labels: Labels,
    vocabulary: Sequence[str],
) -> dict[int, str]:
    """A name for each cluster: the terms that tell it from the others, by c-TF-IDF.

    A term weighs its share of the cluster's terms times log(1 + A / F): A terms a cluster has in
    the mean, F times the term occurs in all. Noise counts as a cluster, and gets no name.

    Args:
        counts: Of terms in the questions that were clustered, a sparse matrix [N, T].
        labels: Their clusters [N].
        vocabulary: The terms [T].

    Returns:
        Names by cluster, no two alike.
    """
    of_all = np.asarray(counts.sum(axis=0), dtype=np.float64).ravel()
    found = np.unique(labels)
    rarity = np.log1p(of_all.sum() / len(found) / np.maximum(of_all, 1))
    names, taken = dict[int, str](), {OTHER}
    for label in found[found >= 0].tolist():
        own = np.asarray(counts[labels == label].sum(axis=0), dtype=np.float64).ravel()
        # A stable sort: of equal weights, the first by the alphabet.
        order = np.argsort(-own / max(own.sum(), 1.0) * rarity, kind="stable")
        name = ", ".join(vocabulary[place] for place in order[:NUM_KEYWORDS] if own[place])
        numbered = (f"{name} ({number})" for number in range(2, len(found) + 2))
        names[label] = next(one for one in (name, *numbered) if one not in taken)
        taken.add(names[label])
    return names


def on_a_map(vectors: Vectors, sample: NDArray[np.int64]) -> Vectors:
    """The two directions in which the sample varies most, rounded [N, 2].

    Args:
        vectors: [N, d].
        sample: Places of the rows that the directions are made of.
    """
    centre = vectors[sample].mean(axis=0)
    _, _, directions = np.linalg.svd(vectors[sample] - centre, full_matrices=False)
    shown = directions[:2]
    largest = np.abs(shown).argmax(axis=1)
    signs = np.sign(shown[np.arange(len(shown)), largest])  # else the SVD's own are arbitrary
    places = np.zeros((len(vectors), 2))
    for start in range(0, len(vectors), PART_ROWS):
        part = slice(start, start + PART_ROWS)
        places[part, : len(shown)] = (vectors[part] - centre) @ (shown * signs[:, None]).T
    return np.round(places, 4) + 0.0


def _at(questions: Questions, places: NDArray[np.int64]) -> Iterator[str]:
    """The questions at some places, which ascend."""
    is_wanted = np.zeros(len(questions), dtype=bool)
    is_wanted[places] = True
    return compress(questions, is_wanted)


def _parts(
    questions: Questions, wanted: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], list[str]]]:
    """The questions at some places, which ascend, in parts: their places and their texts."""
    texts = _at(questions, wanted)
    for start in range(0, len(wanted), PART_ROWS):
        places = wanted[start : start + PART_ROWS]
        yield places, list(islice(texts, len(places)))


def _sample(count: int, size: int, seed: int) -> NDArray[np.int64]:
    """Places of a sample, in order; all of them where there are no more."""
    if count <= size:
        return np.arange(count)
    drawn = np.random.default_rng(seed).choice(count, size=size, replace=False)
    return np.sort(drawn)
