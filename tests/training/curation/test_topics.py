"""Topics against families that a generator knows, counts worked by hand, and their determinism."""

import weakref
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from sklearn.metrics import adjusted_mutual_info_score

from training.curation import topics
from training.curation.topics import (
    OTHER,
    assign,
    cluster,
    find_topics,
    name_clusters,
    on_a_map,
    terms,
)
from training.pocket.problems import generate
from training.recipe.curation import TopicsRecipe

SETTINGS = TopicsRecipe()
FARM = ["The farm has {} hens and {} cows", "A farmer sells {} hens and keeps {} cows on the farm"]
TRAIN = ["A train leaves the station at {} and drives {} hours", "The train is {} hours late at {}"]


def worded(templates, count, seed):
    rng = np.random.default_rng(seed)
    return [templates[n % len(templates)].format(*rng.integers(2, 99, 2)) for n in range(count)]


@pytest.fixture(scope="module")
def pocket():
    problems = generate("text", "train", 2100, 3)
    return [row["question"] for row in problems], [row["family"] for row in problems]


def test_topics_of_the_pocket_world_are_much_like_its_families(pocket):
    questions, families = pocket
    found = find_topics(questions, SETTINGS, seed=0)
    assert adjusted_mutual_info_score(families, found.names) > 0.7
    assert found.share_without < 0.2
    assert (found.num_clustered, found.num_assigned) == (2100, 0)
    assert found.num_noise == found.names.count(OTHER)


def test_the_same_questions_give_the_same_topics(pocket):
    questions, _ = pocket
    first, second = (find_topics(questions, SETTINGS, seed=0) for _ in range(2))
    assert first.names == second.names and first.places.tobytes() == second.places.tobytes()


def test_what_was_not_clustered_gets_the_topics_of_its_neighbours(pocket):
    questions, families = pocket
    settings = TopicsRecipe(max_clustered=1000)
    found = find_topics(questions, settings, seed=1)
    assert found.num_clustered == 1000
    assert found.num_assigned > 700
    assert adjusted_mutual_info_score(families, found.names) > 0.65


def test_two_subjects_are_two_topics_and_words_name_them():
    questions = worded(FARM, 60, 0) + worded(TRAIN, 60, 1)
    found = find_topics(questions, TopicsRecipe(min_rows=20), seed=0)
    farm, train = Counter(found.names[:60]), Counter(found.names[60:])
    assert not farm.keys() & train.keys() - {OTHER}
    assert any("hens" in name or "cows" in name for name in farm)
    assert any("train" in name for name in train)


def test_parts_make_no_difference(pocket, monkeypatch):
    questions, _ = pocket
    settings = TopicsRecipe(max_clustered=1000)
    whole = find_topics(questions, settings, seed=1)
    asked = []
    monkeypatch.setattr(topics, "PART_ROWS", 64)
    parted = find_topics(questions, settings, seed=1)
    assert parted.names == whole.names
    np.testing.assert_allclose(parted.places, whole.places, atol=1.1e-4)  # rounded
    vectors = np.random.default_rng(0).normal(size=(len(questions), 24))
    of = dict(zip(questions, vectors, strict=True))

    def embed(texts):
        asked.append(len(texts))
        return np.array([of[text] for text in texts])

    find_topics(questions, settings, 1, embed)
    assert asked == [1000, *[64] * 17, 12]  # the sample, then the rest in parts


@pytest.mark.parametrize(
    "questions", [[], ["1 + 1 = ?"] * 50, ["A cat."] * 40, ["x", "$y^2$"] * 40]
)
def test_where_nothing_tells_questions_apart_all_are_of_no_topic(questions):
    found = find_topics(questions, SETTINGS, seed=0)
    assert found.names == [OTHER] * len(questions)
    assert found.places.shape == (len(questions), 2)
    assert found.share_without == bool(questions)


def test_an_embedding_counts_instead_of_words():
    questions = [f"q {n}" for n in range(80)]
    vectors = np.repeat(np.eye(4), 20, axis=0) + np.random.default_rng(0).normal(0, 0.01, (80, 4))
    asked = []

    def embed(texts):
        asked.append(list(texts))
        return vectors

    words = ["apple"] * 20 + ["bridge"] * 20 + ["clock"] * 20 + ["dice"] * 20
    named = [f"{word} {question}" for word, question in zip(words, questions, strict=True)]
    found = find_topics(named, TopicsRecipe(min_rows=10), 0, embed)
    assert asked == [named]
    assert found.names == words


def test_what_a_model_gives_is_held_until_it_is_reduced(pocket):
    """Of 50,000 questions 4,096 numbers each take most of a gigabyte."""
    questions, _ = pocket
    rng, given, held = np.random.default_rng(0), [], []

    def embed(texts):
        made = rng.normal(size=(len(texts), 24))
        given.append(weakref.ref(made))
        return made

    def embedded():
        held.extend(one() is not None for one in given)

    find_topics(questions, TopicsRecipe(max_clustered=1000), 0, embed, embedded)
    assert held == [False, False]


@given(
    st.lists(st.sampled_from(["hens", "7", "cows", "12", "3.5", "x"]), max_size=12), st.randoms()
)
def test_numbers_and_single_letters_make_no_difference(words, random):
    other = [str(random.randrange(1000)) if word[0].isdigit() else word for word in words]
    assert terms(" ".join(words)) == terms(" ".join(other).replace("x", "y"))


def test_terms_are_words_that_tell_a_topic():
    found = terms("What is the sum of 3 Red balls?<image>")
    assert found == ["sum", "red", "balls"]


def test_rows_are_assigned_by_most_neighbours_within_reach():
    rng = np.random.default_rng(0)
    left, right = rng.normal(0, 0.1, (40, 2)), rng.normal(5, 0.1, (40, 2))
    noise = rng.normal((0, 5), 0.1, (40, 2))
    known, labels = np.vstack([left, right, noise]), np.repeat([0, 1, -1], 40)
    others = np.array([[0.0, 0.05], [5.0, 5.0], [0.0, 5.0], [2.5, 2.5], [90.0, 0.0]])
    # In the left one, in the right one, among noise, between the two, far off.
    assert assign(known, labels, others).tolist() == [0, 1, -1, -1, -1]
    assert assign(known, np.full(120, -1), others).tolist() == [-1] * 5
    assert assign(known[:1], labels[:1], others).tolist() == [-1] * 5


def test_fewer_rows_than_two_clusters_are_not_clustered():
    assert cluster(np.eye(5), 3).tolist() == [-1] * 5


def test_names_worked_by_hand():
    # Terms a, b, c, d in five questions; clusters 0, 1 and noise. 12 terms in 3 clusters: A = 4.
    counts = csr_matrix([[2, 0, 1, 0], [1, 0, 1, 0], [0, 3, 1, 0], [0, 0, 1, 1], [0, 0, 1, 0]])
    labels = np.array([0, 0, 1, -1, -1])
    # Cluster 0: a 3/5 log(1 + 4/3) = 0.51 before c 2/5 log(1 + 4/5) = 0.24.
    # Cluster 1: b 3/4 log(1 + 4/3) = 0.64 before c 1/4 log(1 + 4/5) = 0.15.
    assert name_clusters(counts, labels, ["a", "b", "c", "d"]) == {0: "a, c", 1: "b, c"}


def test_no_two_clusters_have_one_name_and_none_that_of_no_topic():
    counts = csr_matrix([[1, 0], [1, 0], [0, 1]])
    assert name_clusters(counts, np.array([0, 1, 2]), ["hens", OTHER]) == {
        0: "hens",
        1: "hens (2)",
        2: f"{OTHER} (2)",
    }


def test_the_map_shows_the_directions_that_vary_most():
    vectors = np.array([[0.0, -3.0, 1.0], [0.0, 3.0, 1.0], [0.5, 0.0, 1.0], [-0.5, 0.0, 1.0]])
    places = on_a_map(vectors, np.arange(4))
    assert places.tolist() == [[-3.0, 0.0], [3.0, 0.0], [0.0, 0.5], [0.0, -0.5]]
