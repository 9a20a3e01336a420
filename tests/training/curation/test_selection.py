from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.curation.selection import fair_quotas, select
from training.recipe.recipe import SetRecipe


def row(number, family="sums", level=1, modality="text", pass_rate=0.25, solution="s", source="s"):
    return {
        "id": f"p{number:04d}",
        "source": source,
        "modality": modality,
        "family": family,
        "level": level,
        "question": f"q{number}",
        "solution_characters": None if solution is None else len(solution),
        "pass_rate": pass_rate,
    }


def text_set(name="train", num_problems=10, **rules):
    return SetRecipe(name=name, modality="text", num_problems=num_problems, **rules)


@pytest.mark.parametrize(
    ("sizes", "num", "quotas"),
    [
        # 12 over 3 cells: 4 each; `b` has only 2, so 10 are left for two cells: 5 each.
        ({"a": 9, "b": 2, "c": 7}, 12, {"a": 5, "b": 2, "c": 5}),
        # 15: `b` gives 2, then 6.5 each: the larger cell gives the odd one.
        ({"a": 9, "b": 2, "c": 7}, 15, {"a": 7, "b": 2, "c": 6}),
        # More than there are: everything.
        ({"a": 3, "b": 1}, 9, {"a": 3, "b": 1}),
        ({"a": 3}, 0, {"a": 0}),
        ({}, 5, {}),
    ],
)
def test_quotas_worked_by_hand(sizes, num, quotas):
    cells = {(name, 1): size for name, size in sizes.items()}
    expected = {(name, 1): quota for name, quota in quotas.items()}
    assert fair_quotas(cells, num, np.random.default_rng(0)) == expected


def test_which_equal_cell_gives_one_more_is_drawn():
    cells = {("a", 1): 5, ("b", 1): 5, ("c", 1): 5}
    odd = Counter()
    for seed in range(300):
        quotas = fair_quotas(cells, 4, np.random.default_rng(seed))
        assert sorted(quotas.values()) == [1, 1, 2]
        odd.update(cell for cell, quota in quotas.items() if quota == 2)
    # 100 each in expectation, standard deviation 8.2.
    assert all(60 < count < 140 for count in odd.values())


@given(
    sizes=st.dictionaries(
        st.tuples(st.sampled_from("abcdef"), st.integers(1, 10)), st.integers(1, 40), max_size=20
    ),
    num=st.integers(0, 500),
)
def test_quotas_are_exact_and_as_equal_as_the_cells_allow(sizes, num):
    quotas = fair_quotas(sizes, num, np.random.default_rng(0))
    assert sum(quotas.values()) == min(num, sum(sizes.values()))
    assert all(quotas[cell] <= size for cell, size in sizes.items())
    if quotas:
        largest = max(quotas.values())
        # A cell that got less than another by more than one has nothing left to give.
        assert all(quotas[c] == sizes[c] for c in sizes if quotas[c] < largest - 1)


def test_a_set_is_balanced_over_family_and_level():
    rows = [row(n, family="sums", level=1) for n in range(50)]
    rows += [row(100 + n, family="sums", level=2) for n in range(3)]
    rows += [row(200 + n, family="clocks", level=1) for n in range(20)]
    chosen = select(rows, [text_set(num_problems=13)], seed=0).sets["train"]
    cells = Counter((problem["family"], problem["level"]) for problem in chosen)
    assert cells == {("sums", 1): 5, ("sums", 2): 3, ("clocks", 1): 5}


@pytest.mark.parametrize(
    ("change", "rules", "reason"),
    [
        ({"pass_rate": 0.75}, {"max_pass_rate": 0.5}, "too easy for the base model"),
        ({"pass_rate": 0.0}, {"min_pass_rate": 0.1}, "too hard for the base model"),
        ({"level": 3}, {"max_level": 2}, "level out of range"),
        ({"level": 3}, {"min_level": 4}, "level out of range"),
        ({"solution": None}, {"needs_solution": True}, "no solution trace"),
        ({"modality": "multimodal"}, {}, "no set of its modality"),
    ],
)
def test_what_a_set_refuses_is_rejected_with_the_reason(change, rules, reason):
    good, bad = row(1, level=4 if "min_level" in rules else 1), row(2, **change)
    selection = select([good, bad], [text_set(**rules)], seed=0)
    assert [problem["id"] for problem in selection.sets["train"]] == ["p0001"]
    assert selection.left == {"p0002": reason}
    assert selection.shortfall == {"train": 9}


def test_the_bounds_of_a_set_are_inclusive():
    rules = {"min_pass_rate": 0.25, "max_pass_rate": 0.75, "min_level": 2, "max_level": 4}
    rows = [row(1, level=2, pass_rate=0.25), row(2, level=4, pass_rate=0.75)]
    assert len(select(rows, [text_set(**rules)], seed=0).sets["train"]) == 2


def test_sets_are_filled_in_order_and_what_is_left_goes_to_the_next():
    rows = [row(n) for n in range(10)]
    sets = [text_set("first", 6), text_set("second", 6)]
    selection = select(rows, sets, seed=3)
    assert {name: len(chosen) for name, chosen in selection.sets.items()} == {
        "first": 6,
        "second": 4,
    }
    assert selection.shortfall == {"first": 0, "second": 2}
    assert selection.left == {}


def test_what_full_sets_leave_is_not_selected():
    selection = select([row(n) for n in range(5)], [text_set(num_problems=2)], seed=0)
    assert [*selection.left.values()] == ["not selected"] * 3


problems = st.lists(
    st.tuples(
        st.sampled_from(["sums", "clocks", "bars"]),
        st.integers(1, 10),
        st.sampled_from(["text", "multimodal"]),
        st.sampled_from([0.0, 0.25, 0.5, 1.0]),
        st.sampled_from([None, "trace"]),
    ),
    max_size=60,
).map(lambda rows: [row(number, *each) for number, each in enumerate(rows)])

set_recipes = st.lists(
    st.builds(
        lambda modality, size, solution, easiest: (modality, size, solution, easiest),
        st.sampled_from(["text", "multimodal"]),
        st.integers(1, 25),
        st.booleans(),
        st.sampled_from([0.25, 0.5, 1.0]),
    ),
    min_size=1,
    max_size=3,
).map(
    lambda each: [
        SetRecipe(
            name=f"set{index}",
            modality=modality,
            num_problems=size,
            needs_solution=solution,
            max_pass_rate=easiest,
        )
        for index, (modality, size, solution, easiest) in enumerate(each)
    ]
)


@settings(max_examples=60, deadline=None)
@given(problems, set_recipes, st.integers(0, 2**31 - 1))
def test_every_row_ends_in_exactly_one_place(rows, sets, seed):
    selection = select(rows, sets, seed)
    chosen = [problem["id"] for each in selection.sets.values() for problem in each]
    assert sorted([*chosen, *selection.left]) == sorted(problem["id"] for problem in rows)
    for curated in sets:
        assert len(selection.sets[curated.name]) + selection.shortfall[curated.name] == (
            curated.num_problems
        )


@settings(max_examples=30, deadline=None)
@given(problems, set_recipes, st.integers(0, 2**31 - 1), st.randoms())
def test_the_draw_depends_on_the_seed_and_not_on_the_order(rows, sets, seed, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert select(rows, sets, seed).sets == select(shuffled, sets, seed).sets


def test_another_seed_draws_other_problems():
    rows = [row(n) for n in range(100)]
    sets = [text_set(num_problems=20)]
    assert select(rows, sets, 0).sets != select(rows, sets, 1).sets


def test_topics_take_the_place_of_families():
    rows = [row(n, family=f"f{n % 2}") for n in range(40)]
    topics = {each["id"]: "few" if number < 5 else "many" for number, each in enumerate(rows)}
    chosen = select(rows, [text_set(num_problems=12)], seed=0, topics=topics).sets["train"]
    assert Counter(topics[problem["id"]] for problem in chosen) == {"few": 5, "many": 7}


def test_a_source_gives_no_more_than_the_set_takes_of_it():
    rows = [row(n, source="large", level=1 + n % 2) for n in range(40)]
    rows += [row(100 + n, source="small") for n in range(6)]
    selection = select(rows, [text_set(num_problems=30, max_per_source={"large": 8})], seed=0)
    chosen = selection.sets["train"]
    assert Counter(problem["source"] for problem in chosen) == {"large": 8, "small": 6}
    # Its eight are drawn evenly over topic x level, too.
    levels = Counter(problem["level"] for problem in chosen if problem["source"] == "large")
    assert levels == {1: 4, 2: 4}
    assert selection.shortfall == {"train": 16}
    assert Counter(selection.left.values()) == {"its source gives no more": 32}


def test_what_another_set_takes_of_a_full_source_counts_apart():
    rows = [row(n, source="large") for n in range(10)]
    sets = [text_set("first", 10, max_per_source={"large": 3}), text_set("second", 5)]
    selection = select(rows, sets, seed=0)
    assert [len(chosen) for chosen in selection.sets.values()] == [3, 5]
    assert [*selection.left.values()] == ["not selected"] * 2


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 3)), max_size=60),
    st.dictionaries(st.sampled_from("abc"), st.integers(1, 12)),
    st.integers(1, 40),
    st.integers(0, 2**31 - 1),
)
def test_a_set_is_as_full_as_its_sources_allow(given_rows, most, size, seed):
    rows = [row(n, source=source, level=level) for n, (source, level) in enumerate(given_rows)]
    curated = text_set(num_problems=size, max_per_source=most)
    chosen = select(rows, [curated], seed).sets["train"]
    available = Counter(source for source, _ in given_rows)
    usable = sum(min(count, most.get(source, count)) for source, count in available.items())
    assert len(chosen) == min(size, usable)
    for source, count in Counter(problem["source"] for problem in chosen).items():
        assert count <= most.get(source, count)
