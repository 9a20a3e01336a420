from collections import Counter
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.curation import selection
from training.curation.outlines import OUTLINE
from training.curation.selection import fair_quotas
from training.recipe.recipe import SetRecipe


def row(number, family="sums", level=1, modality="text", pass_rate=0.25, solution="s", source="s"):
    return {
        "id": f"p{number:04d}",
        "source": source,
        "modality": modality,
        "family": family,
        "level": level,
        "solution_characters": None if solution is None else len(solution),
        "pass_rate": pass_rate,
    }


class Chosen(NamedTuple):
    """Rows in place of places."""

    sets: dict
    shortfall: dict
    left: dict


def select(rows, sets, seed, topics=None):
    found = selection.select(pa.Table.from_pylist(rows, OUTLINE), sets, seed, topics=topics)
    return Chosen(
        {name: [rows[place] for place in places] for name, places in found.sets.items()},
        found.shortfall,
        {rows[n]["id"]: why for n, why in zip(found.left, found.reasons, strict=True)},
    )


def text_set(name="train", num_problems=10, **rules):
    return SetRecipe(name=name, modality="text", num_problems=num_problems, **rules)


@pytest.mark.parametrize(
    ("sizes", "num", "quotas"),
    [
        # 12 over 3 cells: 4 each; the second has only 2, so 10 are left for two cells: 5 each.
        ([9, 2, 7], 12, [5, 2, 5]),
        # 15: the second gives 2, then 6.5 each: the larger cell gives the odd one.
        ([9, 2, 7], 15, [7, 2, 6]),
        # More than there are: everything.
        ([3, 1], 9, [3, 1]),
        ([3], 0, [0]),
        ([], 5, []),
    ],
)
def test_quotas_worked_by_hand(sizes, num, quotas):
    assert fair_quotas(sizes, num, np.random.default_rng(0)) == quotas


def test_which_equal_cell_gives_one_more_is_drawn():
    odd = Counter()
    for seed in range(300):
        quotas = fair_quotas([5, 5, 5], 4, np.random.default_rng(seed))
        assert sorted(quotas) == [1, 1, 2]
        odd[quotas.index(2)] += 1
    # 100 each in expectation, standard deviation 8.2.
    assert all(60 < odd[cell] < 140 for cell in range(3))


@given(sizes=st.lists(st.integers(1, 40), max_size=20), num=st.integers(0, 500))
def test_quotas_are_exact_and_as_equal_as_the_cells_allow(sizes, num):
    quotas = fair_quotas(sizes, num, np.random.default_rng(0))
    assert sum(quotas) == min(num, sum(sizes))
    pairs = list(zip(quotas, sizes, strict=True))
    assert all(quota <= size for quota, size in pairs)
    # A cell that got less than another by more than one has nothing left to give.
    assert all(quota == size for quota, size in pairs if quota < max(quotas) - 1)


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
    result = select([good, bad], [text_set(**rules)], seed=0)
    assert [problem["id"] for problem in result.sets["train"]] == ["p0001"]
    assert result.left == {"p0002": reason}
    assert result.shortfall == {"train": 9}


def test_the_bounds_of_a_set_are_inclusive():
    rules = {"min_pass_rate": 0.25, "max_pass_rate": 0.75, "min_level": 2, "max_level": 4}
    rows = [row(1, level=2, pass_rate=0.25), row(2, level=4, pass_rate=0.75)]
    assert len(select(rows, [text_set(**rules)], seed=0).sets["train"]) == 2


def test_sets_are_filled_in_order_and_what_is_left_goes_to_the_next():
    rows = [row(n) for n in range(10)]
    sets = [text_set("first", 6), text_set("second", 6)]
    result = select(rows, sets, seed=3)
    assert {name: len(chosen) for name, chosen in result.sets.items()} == {
        "first": 6,
        "second": 4,
    }
    assert result.shortfall == {"first": 0, "second": 2}
    assert result.left == {}


def test_what_full_sets_leave_is_not_selected():
    result = select([row(n) for n in range(5)], [text_set(num_problems=2)], seed=0)
    assert [*result.left.values()] == ["not selected"] * 3


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
    result = select(rows, sets, seed)
    chosen = [problem["id"] for each in result.sets.values() for problem in each]
    assert sorted([*chosen, *result.left]) == sorted(problem["id"] for problem in rows)
    for curated in sets:
        assert len(result.sets[curated.name]) + result.shortfall[curated.name] == (
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
    named = [topics[each["id"]] for each in rows]
    chosen = select(rows, [text_set(num_problems=12)], seed=0, topics=named).sets["train"]
    assert Counter(topics[problem["id"]] for problem in chosen) == {"few": 5, "many": 7}


def test_a_source_gives_no_more_than_the_set_takes_of_it():
    rows = [row(n, source="large", level=1 + n % 2) for n in range(40)]
    rows += [row(100 + n, source="small") for n in range(6)]
    result = select(rows, [text_set(num_problems=30, max_per_source={"large": 8})], seed=0)
    chosen = result.sets["train"]
    assert Counter(problem["source"] for problem in chosen) == {"large": 8, "small": 6}
    # Its eight are drawn evenly over topic x level, too.
    levels = Counter(problem["level"] for problem in chosen if problem["source"] == "large")
    assert levels == {1: 4, 2: 4}
    assert result.shortfall == {"train": 16}
    assert Counter(result.left.values()) == {"its source gives no more": 32}


def test_what_another_set_takes_of_a_full_source_counts_apart():
    rows = [row(n, source="large") for n in range(10)]
    sets = [text_set("first", 10, max_per_source={"large": 3}), text_set("second", 5)]
    result = select(rows, sets, seed=0)
    assert [len(chosen) for chosen in result.sets.values()] == [3, 5]
    assert [*result.left.values()] == ["not selected"] * 2


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


def test_a_row_that_a_set_offers_is_left_for_that_whatever_another_set_says_of_it():
    rows = [row(n, source="large", pass_rate=0.5) for n in range(4)] + [row(9, pass_rate=0.9)]
    hard = text_set("hard", 5, max_pass_rate=0.25)
    some = text_set("some", 1, max_pass_rate=0.5, max_per_source={"large": 3})
    for sets in ([hard, some], [some, hard]):
        result = select(rows, sets, seed=0)
        assert [len(result.sets[name]) for name in ("hard", "some")] == [0, 1]
        assert result.left.pop("p0009") == "too easy for the base model"
        # Of four the source gives three, and of these the set takes one.
        assert Counter(result.left.values()) == {"not selected": 2, "its source gives no more": 1}
    # The last one is admitted once more, and its source gives it.
    rest = select(rows, [hard, some, text_set("rest", 1, max_pass_rate=0.5)], seed=0).left
    assert Counter(rest.values()) == {"not selected": 2, "too easy for the base model": 1}


@settings(max_examples=60, deadline=None)
@given(problems, set_recipes, st.integers(0, 2**31 - 1))
def test_a_row_is_left_for_what_the_first_set_of_its_modality_says(rows, sets, seed):
    """As a person would say it, row by row."""
    for each in rows:
        each["source"] = "large"
    sets = [one.model_copy(update={"max_per_source": {"large": 2}}) for one in sets]

    def refusal(each, one):
        if each["modality"] != one.modality:
            return "no set of its modality"
        if one.needs_solution and each["solution_characters"] is None:
            return "no solution trace"
        return "too easy for the base model" if each["pass_rate"] > one.max_pass_rate else None

    by_id = {each["id"]: each for each in rows}
    result = select(rows, sets, seed)
    num_taken = sum(map(len, result.sets.values()))
    # No set is offered more than two rows.
    assert num_taken + [*result.left.values()].count("not selected") <= 2 * len(sets)
    for id_, why in result.left.items():
        refusals = [refusal(by_id[id_], one) for one in sets]
        others = [one for one in refusals if one != "no set of its modality"]
        if None in refusals:
            assert why in ("not selected", "its source gives no more")
        else:
            assert why == (others[0] if others else "no set of its modality")
