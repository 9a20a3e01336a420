"""Rules of the user's own: found, tried, refused, asked in order, and part of the keys."""

import importlib
import sys
from collections import Counter

import pytest

from contracts.errors import RecipeError, RevisualError
from drills.disturbed import new_recipe
from tasks.keys import ingredients, shards_key, stage_key
from tasks.prepare import check_rules
from training import own_functions
from training.curation import own_rules
from training.curation.decontamination import BenchmarkIndex
from training.curation.row_steps import RowSteps
from training.recipe.curation import STEPS
from training.recipe.recipe import Recipe

HEAD = "def rule(*, question, answer, solution, num_images, source, family, level):\n"
EVEN = HEAD + "    return 'even' if int(answer) % 2 == 0 else None\n"
LARGE = HEAD + "    return 'large' if int(answer) > 6 else None\n"


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a module of the given text and returns its function's name."""
    monkeypatch.syspath_prepend(tmp_path)
    written = []

    def write(text, name="own_rule"):
        (tmp_path / f"{name}.py").write_text(text)
        importlib.invalidate_caches()
        sys.modules.pop(name, None)
        own_functions.find.cache_clear()
        written.append(name)
        return f"{name}:rule"

    yield write
    own_functions.find.cache_clear()
    for name in written:
        sys.modules.pop(name, None)


def recipe_with(*rules):
    values = new_recipe("curate").model_dump(mode="json")
    values["curation"]["steps"] = [STEPS[0], *rules, *STEPS[1:]]
    return Recipe.model_validate(values)


@pytest.fixture
def steps_in(make, verifier):
    """Steps in an order; of a prompt, a character is a token, and 60 are too many."""
    exam = BenchmarkIndex({"exam": [make(0, id="b0", question=ASKED)]})

    def lengths(prompts):
        return [len(prompt.question) for prompt in prompts]

    return lambda order: RowSteps(verifier, lengths, exam, 60, 0.5, 0.75, tuple(order))


ASKED = "How many coins are 4 pens at 3 coins each?"


def test_the_first_rule_that_drops_a_row_gives_its_reason(module, make, steps_in, sifted):
    even, large = module(EVEN), module(LARGE, "own_other")
    rows = [make(n) for n in range(9)] + [make(9, question="Prove that 1 + 1 = 2.", answer="2")]
    kept, rejects, _ = sifted([rows], steps_in([STEPS[0], even, large, *STEPS[1:]]))
    assert [row["answer"] for row in kept] == ["1", "3", "5"]
    assert [(one.problem["answer"], one.step, one.reason) for one in rejects] == [
        ("2", "verifiability", "asks for a proof"),
        *((answer, even, "even") for answer in "2468"),
        *((answer, large, "large") for answer in "79"),
    ]


def test_the_order_decides_which_rows_go_and_why(module, make, steps_in, sifted):
    """A step that keeps the first of several rows keeps one that a later step may drop."""
    own = module(HEAD + "    return 'of a shop' if family == 'shop' else None\n")
    rows = [
        make(0, family="shop"),  # the same question twice, and each time in a shop first
        make(0, id="again"),
        make(1, question=ASKED, answer="12", family="shop"),  # the benchmark's question
        make(2, question="Prove that 1 + 1 = 2.", family="shop"),
        make(3, question=f"What is 3{' + 0' * 20} + 1?", family="shop"),  # more than 60
        make(5),
    ]
    head, tail = STEPS[:1], STEPS[1:]
    expected = {
        # Before all others: four rows of a shop, and the twin of one of them stays.
        (own, *head, *tail): (["again", "p5"], {(own, "of a shop"): 4}),
        (*head, own, *tail): (
            ["again", "p5"],
            {("verifiability", "asks for a proof"): 1, (own, "of a shop"): 3},
        ),
        # Behind all others: one is left for it, whose twin went for its sake.
        (*head, *tail, own): (
            ["p5"],
            {
                ("verifiability", "asks for a proof"): 1,
                ("duplicates", "duplicate question"): 1,
                ("prompt length", "prompt too long"): 1,
                ("decontamination", "question of a benchmark"): 1,
                (own, "of a shop"): 1,
            },
        ),
        # Without a search for benchmarks' questions, this one is of a shop.
        (*head, *tail[:-1], own): (
            ["p5"],
            {
                ("verifiability", "asks for a proof"): 1,
                ("duplicates", "duplicate question"): 1,
                ("prompt length", "prompt too long"): 1,
                (own, "of a shop"): 2,
            },
        ),
    }
    for order, (ids, counts) in expected.items():
        kept, rejects, _ = sifted([rows], steps_in(order))
        assert [row["id"] for row in kept] == ids
        assert Counter((one.step, one.reason) for one in rejects) == counts
        told = list(dict.fromkeys(one.step for one in rejects))
        assert told == [step for step in order if step in told]  # and so are they told


def test_what_was_found_under_another_order_is_not_taken(make, steps_in, sifted, tmp_path):
    """The files are looked for by their names."""

    def names(name, order):
        sifted([[make(0)]], steps_in(order), save=tmp_path / name)
        return {path.name for path in (tmp_path / name).glob("shard-*")}

    found = names("one", STEPS)
    assert len(found) == 1 and names("again", STEPS) == found
    assert names("turned", (STEPS[0], *reversed(STEPS[1:]))).isdisjoint(found)
    assert names("fewer", STEPS[:3]).isdisjoint(found)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("1 / 0", "cannot be imported: ZeroDivisionError"),
        ("other = 1", "has no function rule"),
        ("def rule(question): ...", "does not take what it is called with"),
        (HEAD + "    return question[99]", "raised IndexError"),
        (HEAD + "    return True", "returned True"),
        (HEAD + "    return ''", "returned ''"),
        (HEAD + "    return 'x' * 201", "returned 'xxx"),
        (HEAD + "    return 'a\\nb'", "returned 'a\\nb'"),
        (HEAD + "    return chr(0xD800)", r"returned '\ud800'"),
    ],
)
def test_a_rule_that_does_not_work_is_refused_before_a_run(text, what, module):
    with pytest.raises(RecipeError, match="The rule of curation is refused") as caught:
        check_rules(recipe_with(module(text)))
    assert what in str(caught.value) and "own_rule:rule" in caught.value.where


def test_a_rule_that_fails_later_names_the_row(module, make):
    rule = module(HEAD + "    return None if source == 'trial' else 1 / 0")
    own_rules.check(rule)
    with pytest.raises(RevisualError, match="raised ZeroDivisionError") as caught:
        own_rules.reason_for(rule, make(7))
    assert caught.value.where.endswith("row p7")


def test_a_reason_that_no_file_can_hold_names_the_rule_and_the_row(module, make):
    rule = module(HEAD + "    return question[-1] if not question.isascii() else None")
    own_rules.check(rule)
    row = make(1, question="What is 1 + 1?\ud800")
    with pytest.raises(RevisualError, match="returned") as caught:
        own_rules.reason_for(rule, row)
    assert rule in caught.value.where and caught.value.where.endswith("row p1")
    assert own_rules.reason_for(rule, make(2, question="é")) == "é"


def test_a_rule_and_its_code_are_in_the_keys_of_curation_and_its_shards(module):
    digest = "0" * 64

    def keys(*rules):
        recipe = recipe_with(*rules)
        made_of = ingredients(recipe, "curate", "curate", {"policy": digest})
        trained = ingredients(recipe, "text_rl", "rl", {"policy": digest, "data": digest})
        return stage_key(made_of), shards_key(recipe, made_of), stage_key(trained)

    none, first = keys(), keys(module(EVEN))
    edited = keys(module(EVEN.replace("even", "not odd")))
    for place in (0, 1):
        assert len({keys[place] for keys in (first, edited)}) == 2
    assert len({none[0], first[0], edited[0]}) == 3
    assert none[2] == first[2] == edited[2]
    one, other = module(EVEN), module(LARGE, "own_other")
    there, back = keys(one, other), keys(other, one)
    assert there[0] != back[0] and there[1:] == back[1:]  # a shard's file is named by the order
