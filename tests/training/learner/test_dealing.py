"""Who learns from which sequences, and in which micro-batches."""

from math import ceil
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from training.learner.dealing import Size, Turn, bundled, deal, in_step, micro_batches, shares

IMAGES = (0.0, 3.0, 10.0, 25.0, 40.0)  # of each prompt
SIZES = st.lists(
    st.builds(
        lambda tokens, prompt: Size(tokens, prompt, IMAGES[prompt]),
        tokens=st.integers(1, 60),
        prompt=st.integers(0, len(IMAGES) - 1),
    ),
    min_size=1,
    max_size=30,
)


def alone(lengths):
    """Sequences that share nothing."""
    return [Size(tokens, prompt=0) for tokens in lengths]


def test_shares_are_balanced_and_complete():
    lengths = [5, 9, 2, 7, 7, 1, 3]
    dealt = shares(lengths, 3)
    assert sorted(row for share in dealt for row in share) == list(range(7))
    assert [sum(lengths[row] for row in share) for share in dealt] == [11, 12, 11]


def test_micro_batches_keep_to_the_budget_with_padding():
    lengths = [5, 9, 2, 7, 7, 1, 3]
    order = [[row] for row in shares(lengths, 1)[0]]
    assert micro_batches(order, lengths, 14) == [[1], [3, 4], [0, 6], [2, 5]]
    assert micro_batches(order, lengths, 1) == order


def test_responses_that_are_almost_as_long_share_their_prompts_images():
    """By hand: image of prompt 0 costs 3 tokens, so 7 and 5 are padded to 7, and 2 is not."""
    sizes = [Size(7, 0, 3.0), Size(6, 1), Size(2, 0, 3.0), Size(6, 1), Size(5, 0, 3.0)]
    assert bundled(sizes, 100) == [[0, 4], [1], [3], [2]]
    assert bundled(sizes, 13) == [[0], [1], [3], [4], [2]]
    # 14 tokens hold the pair alone; the rest follows in pairs and by its length.
    assert deal(sizes, 1, 14) == [[[0, 4], [1, 3], [2]]]
    # Apart, the image of prompt 0 is seen three times instead of twice.
    plain = [Size(size.tokens, size.prompt) for size in sizes]
    assert deal(plain, 1, 14) == [[[0, 1], [3, 4], [2]]]


def test_a_bundle_is_no_larger_than_a_fair_share():
    """Of six equal responses to one prompt three go to each of two ranks."""
    assert deal([Size(10, 0, 50.0)] * 6, 2, 1000) == [[[0, 1, 2]], [[3, 4, 5]]]


@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=40),
    num_ranks=st.integers(1, 5),
    budget=st.integers(1, 200),
)
def test_without_shared_images_rows_are_dealt_one_by_one(lengths, num_ranks, budget):
    """Longest first, to the rank with fewest tokens; there into the newest micro-batch or a new."""
    expected = [[] for _ in range(num_ranks)]
    for row in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        held = [sum(lengths[i] for cut in rank for i in cut) for rank in expected]
        own = expected[held.index(min(held))]
        if own and lengths[own[-1][0]] * (len(own[-1]) + 1) <= budget:
            own[-1].append(row)
        else:
            own.append([row])
    assert deal(alone(lengths), num_ranks, budget) == expected


@given(sizes=SIZES, num_ranks=st.integers(1, 4), budget=st.integers(1, 300))
def test_every_row_is_learned_once_within_the_budget(sizes, num_ranks, budget):
    dealt = deal(sizes, num_ranks, budget)
    batches = [rows for rank in dealt for rows in rank]
    assert len(dealt) == num_ranks
    assert sorted(row for rows in batches for row in rows) == list(range(len(sizes)))
    for rows in batches:
        longest = max(sizes[row].tokens for row in rows)
        assert longest == sizes[rows[0]].tokens
        assert len(rows) == 1 or len(rows) * longest <= budget


@given(sizes=SIZES, limit=st.integers(1, 300))
def test_what_shares_images_costs_less_than_apart(sizes, limit):
    """Tokens with padding, and images once a bundle, against each row by itself."""
    bundles = bundled(sizes, limit)
    for rows in bundles:
        first = sizes[rows[0]]
        assert {sizes[row].prompt for row in rows} == {first.prompt}
        together = len(rows) * first.tokens + first.images
        by_themselves = sum(sizes[row].tokens + first.images for row in rows)
        assert together < by_themselves or len(rows) == 1
    assert [sizes[rows[0]].tokens for rows in bundles] == sorted(
        (sizes[rows[0]].tokens for rows in bundles), reverse=True
    )


@given(loads=st.lists(st.integers(1, 1000), min_size=1, max_size=40), num_ranks=st.integers(1, 6))
def test_no_rank_has_more_than_one_load_above_another(loads, num_ranks):
    totals = [sum(loads[i] for i in share) for share in shares(loads, num_ranks)]
    assert max(totals) - min(totals) <= max(loads)


def test_ranks_show_images_to_the_tower_at_the_same_turns():
    """By hand: rows 0, 3 and 4 have images, 4 is the shortest; 2 is the shorter text."""
    lengths, has_images = [9, 8, 7, 6, 5], [True, False, False, True, True]
    assert in_step(alone(lengths), has_images, 2, 12) == [
        [Turn([0], counts=True), Turn([1], counts=True)],
        [Turn([3, 4], counts=True), Turn([2], counts=True)],
    ]
    assert in_step(alone(lengths), has_images, 2, 9) == [
        [Turn([0], counts=True), Turn([4], counts=False), Turn([1], counts=True)],
        [Turn([3], counts=True), Turn([4], counts=True), Turn([2], counts=True)],
    ]


KINDS = st.lists(st.booleans(), min_size=30, max_size=30)


@given(sizes=SIZES, images=KINDS, num_ranks=st.integers(1, 4), budget=st.integers(1, 300))
def test_ranks_in_step_learn_everything_once_within_the_budget(sizes, images, num_ranks, budget):
    lengths, has_images = [size.tokens for size in sizes], images[: len(sizes)]
    ranks = in_step(sizes, has_images, num_ranks, budget)
    assert len(ranks) == num_ranks
    for turn in zip(*ranks, strict=True):
        assert len({has_images[row] for one in turn for row in one.rows}) == 1
        assert any(one.counts for one in turn)
    turns = [one for rank in ranks for one in rank]
    for one in turns:
        longest = max(lengths[row] for row in one.rows)
        assert len(one.rows) == 1 or len(one.rows) * longest <= budget
    learned = [row for one in turns if one.counts for row in one.rows]
    assert sorted(learned) == list(range(len(sizes)))


@given(
    counts=st.tuples(st.integers(0, 40), st.integers(0, 40)).filter(any),
    lengths=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    num_ranks=st.integers(1, 6),
    budget=st.integers(1, 300),
)
def test_no_dealing_has_fewer_turns(counts, lengths, num_ranks, budget):
    """Images and texts of one length each, which never share a micro-batch.

    Some rank has a fair share of each, rounded up.
    """
    shares_of_most = [ceil(count / num_ranks) for count in counts]
    rows = [length for count, length in zip(counts, lengths, strict=True) for _ in range(count)]
    has_images = [True] * counts[0] + [False] * counts[1]
    fewest = sum(
        ceil(share / max(budget // length, 1))
        for share, length in zip(shares_of_most, lengths, strict=True)
    )
    for rank in in_step(alone(rows), has_images, num_ranks, budget):
        assert len(rank) == fewest


def test_mixtures_of_many_lengths_take_few_more_turns_than_they_must():
    """Against one rank's micro-batches of each kind, dealt out evenly; 300 random mixtures."""
    generator, turns, fewest = Random(0), 0, 0
    for _ in range(300):
        num_ranks, budget = generator.choice([2, 4, 8]), generator.choice([4_000, 16_384])
        rows = sorted(generator.randint(100, 3_000) for _ in range(128))
        share = generator.random()
        has_images = [generator.random() < share for _ in rows]
        turns += len(in_step(alone(rows), has_images, num_ranks, budget)[0])
        for kind in (True, False):
            alike = [[row] for row in reversed(range(128)) if has_images[row] == kind]
            fewest += ceil(len(micro_batches(alike, rows, budget)) / num_ranks)
    assert fewest <= turns <= 1.1 * fewest


@given(sizes=SIZES, num_ranks=st.integers(1, 4), budget=st.integers(1, 300))
def test_where_nothing_is_seen_in_step_the_order_stays(sizes, num_ranks, budget):
    lengths = [size.tokens for size in sizes]
    cuts = deal(sizes, num_ranks, budget)
    shortest = Turn([lengths.index(min(lengths))], counts=False)
    ranks = in_step(sizes, [False] * len(sizes), num_ranks, budget)
    for cut, rank in zip(cuts, ranks, strict=True):
        assert rank[: len(cut)] == [Turn(rows, counts=True) for rows in cut]
        assert rank[len(cut) :] == [shortest] * (len(rank) - len(cut))
