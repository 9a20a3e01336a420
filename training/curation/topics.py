"""Topics: which problems are about the same thing, found in their questions.

Paper section 3.1 (GRAMMAR): questions are embedded, HDBSCAN finds clusters, and these get names.
Here the embedding is TF-IDF of words with SVD, or a sentence-embedding model's; the names are
keywords by c-TF-IDF. Numbers are left out: they tell problems of one topic apart, not topics.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.curation.wording import ASKING
from training.recipe.curation import TopicsRecipe
from training.records import IMAGE_MARK

OTHER = "other"  # the topic of rows that are in no cluster
NUM_DIMENSIONS = 16  # HDBSCAN's time grows fast with them
NUM_NEIGHBOURS = 10
NUM_KEYWORDS = 3
MAX_TERMS = 2**15  # of the vocabulary, the most frequent
# A row is given a topic if it lies as near to its neighbours as all but so many of the clustered.
CUT_OFF = 0.99

Vectors = NDArray[np.float64]
Labels = NDArray[np.int64]  # of a cluster; -1 for noise
# Questions -> one vector each [N, D].
Embed = Callable[[Sequence[str]], NDArray[np.floating[Any]]]

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
    questions: Sequence[str],
    settings: TopicsRecipe,
    seed: int,
    embed: Embed | None = None,
    on_embedded: Callable[[], None] = lambda: None,
) -> Topics:
    """Finds the topics of questions.

    The same questions in the same order, settings and seed give the same topics.

    Args:
        questions: In any language; those without a word have no topic.
        settings: The recipe's.
        seed: Of the sample that is clustered where there are too many, and of the SVD.
        embed: A sentence-embedding model; None for TF-IDF of the words.
        on_embedded: Called once the questions have vectors, or no sampled one has a word.
    """
    count = len(questions)
    sample = _sample(count, settings.max_clustered, seed)
    if not any(terms(questions[place]) for place in sample):
        on_embedded()
        return Topics([OTHER] * count, np.zeros((count, 2)), len(sample), len(sample), 0)
    vocabulary, counts = count_terms(questions, sample)
    found = tf_idf(counts, sample) if embed is None else embed(questions)
    vectors = reduced(found, sample, seed)
    on_embedded()
    # Without a known word, a row of TF-IDF is zero: such rows are not alike, they are unknown.
    is_known = counts.getnnz(axis=1) > 0 if embed is None else np.ones(count, dtype=bool)
    labels = np.full(count, -1, dtype=np.int64)
    seen = sample[is_known[sample]]
    labels[seen] = cluster(vectors[seen], settings.min_rows)
    rest = np.setdiff1d(np.flatnonzero(is_known), sample)
    labels[rest] = assign(vectors[seen], labels[seen], vectors[rest])
    named = {-1: OTHER} | name_clusters(counts, labels, vocabulary)
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


def count_terms(questions: Sequence[str], sample: NDArray[np.int64]) -> tuple[list[str], Any]:
    """How often each term occurs in each question.

    Args:
        questions: At least one of the sample has a term.
        sample: Places of the questions whose most frequent terms are the vocabulary.

    Returns:
        The vocabulary, sorted [T], and the counts as a sparse matrix [N, T].
    """
    from sklearn.feature_extraction.text import CountVectorizer

    vectorizer = CountVectorizer(analyzer=terms, max_features=MAX_TERMS)
    vectorizer.fit(questions[place] for place in sample)
    return vectorizer.get_feature_names_out().tolist(), vectorizer.transform(questions)


def tf_idf(counts: Any, sample: NDArray[np.int64]) -> Any:  # noqa: ANN401 - no types
    """Weights of terms, their frequencies damped: a sparse matrix [N, T], rows of length 1 or 0.

    Args:
        counts: Of terms, a sparse matrix [N, T].
        sample: Places of the questions among which rare terms weigh more.
    """
    from sklearn.feature_extraction.text import TfidfTransformer

    return TfidfTransformer(sublinear_tf=True).fit(counts[sample]).transform(counts)


def reduced(found: Any, sample: NDArray[np.int64], seed: int) -> Vectors:  # noqa: ANN401
    """Vectors of few dimensions and of length 1 [N, d]; one that is zero stays so.

    Args:
        found: A matrix [N, D], sparse or not.
        sample: Places of the rows that the dimensions are made of.
        seed: Of the SVD's random projection.
    """
    from scipy.sparse import csr_matrix
    from sklearn.decomposition import TruncatedSVD
    from sklearn.preprocessing import normalize

    if found.shape[1] > NUM_DIMENSIONS:
        projection = TruncatedSVD(NUM_DIMENSIONS, random_state=seed)
        found = projection.fit(found[sample]).transform(found)
    else:
        found = csr_matrix(found).toarray()
    vectors: Vectors = normalize(np.asarray(found, dtype=np.float64))
    return vectors


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
    distances, neighbours = index.kneighbors(others)
    voted = mode(labels[neighbours], axis=1).mode.astype(np.int64)  # of equals, noise first
    return np.where(distances.mean(axis=1) <= cut_off, voted, -1)


def name_clusters(
    counts: Any,  # noqa: ANN401 - no types
    labels: Labels,
    vocabulary: Sequence[str],
) -> dict[int, str]:
    """A name for each cluster: the terms that tell it from the others, by c-TF-IDF.

    A term weighs its share of the cluster's terms times log(1 + A / F): A terms a cluster has in
    the mean, F times the term occurs in all. Noise counts as a cluster, and gets no name.

    Args:
        counts: Of terms, a sparse matrix [N, T].
        labels: The questions' clusters [N].
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
    places = (vectors - centre) @ (shown * signs[:, None]).T
    padded = np.zeros((len(vectors), 2))
    padded[:, : places.shape[1]] = places
    return np.round(padded, 4) + 0.0


def _sample(count: int, size: int, seed: int) -> NDArray[np.int64]:
    """Places of a sample, in order; all of them where there are no more."""
    if count <= size:
        return np.arange(count)
    drawn = np.random.default_rng(seed).choice(count, size=size, replace=False)
    return np.sort(drawn)
