"""Who learns from which sequences, and in which micro-batches."""

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
    """Rows 0 and 3 have images, and 3 is the shorter one; 2 is the shortest of the others."""
    has_images, lengths = [True, False, False, True], [9, 8, 7, 6]
    assert in_step([[[1]], [[0], [3, 2]]], has_images, lengths) == [
        [Turn([3], counts=False), Turn([3], counts=False), Turn([1], counts=True)],
        [Turn([0], counts=True), Turn([3, 2], counts=True), Turn([2], counts=False)],
    ]


@given(
    sizes=SIZES,
    images=st.lists(st.booleans(), min_size=30, max_size=30),
    num_ranks=st.integers(1, 4),
    budget=st.integers(1, 300),
)
def test_ranks_in_step_learn_everything_once_within_the_budget(sizes, images, num_ranks, budget):
    lengths, has_images = [size.tokens for size in sizes], images[: len(sizes)]
    cuts = deal(sizes, num_ranks, budget)
    ranks = in_step(cuts, has_images, lengths)
    for turn in zip(*ranks, strict=True):
        assert len({any(has_images[row] for row in one.rows) for one in turn}) == 1
        assert any(one.counts for one in turn)
    for one in (one for rank in ranks for one in rank):
        longest = max(lengths[row] for row in one.rows)
        assert len(one.rows) == 1 or len(one.rows) * longest <= budget
    for cut, rank in zip(cuts, ranks, strict=True):
        assert sorted(one.rows for one in rank if one.counts) == sorted(cut)


@given(sizes=SIZES, num_ranks=st.integers(1, 4), budget=st.integers(1, 300))
def test_where_nothing_is_seen_in_step_the_order_stays(sizes, num_ranks, budget):
    lengths = [size.tokens for size in sizes]
    cuts = deal(sizes, num_ranks, budget)
    shortest = Turn([lengths.index(min(lengths))], counts=False)
    for cut, rank in zip(cuts, in_step(cuts, [False] * len(sizes), lengths), strict=True):
        assert rank[: len(cut)] == [Turn(rows, counts=True) for rows in cut]
        assert rank[len(cut) :] == [shortest] * (len(rank) - len(cut))
