"""Rules of the user's own: found, tried, refused, asked in order, and part of the keys."""

import importlib
import sys

import pytest

from contracts.errors import RecipeError, RevisualError
from drills.disturbed import new_recipe
from tasks.keys import ingredients, shards_key, stage_key
from tasks.prepare import check_rules
from training.curation import own_rules
from training.curation.decontamination import BenchmarkIndex
from training.curation.row_steps import RowSteps
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
        own_rules.find.cache_clear()
        written.append(name)
        return f"{name}:rule"

    yield write
    own_rules.find.cache_clear()
    for name in written:
        sys.modules.pop(name, None)


def recipe_with(*rules):
    values = new_recipe("curate").model_dump(mode="json")
    values["curation"]["rules"] = rules
    return Recipe.model_validate(values)


def test_the_first_rule_that_drops_a_row_gives_its_reason(module, make, verifier, sifted):
    rules = (module(EVEN), module(LARGE, "own_other"))
    steps = RowSteps(
        verifier, lambda rows: [1] * len(rows), BenchmarkIndex({}), 9, 0.5, 0.75, rules
    )
    rows = [make(n) for n in range(9)] + [make(9, question="Prove that 1 + 1 = 2.", answer="2")]
    kept, rejects, _ = sifted([rows], steps)
    assert [row["answer"] for row in kept] == ["1", "3", "5"]
    assert [(one.problem["answer"], one.step, one.reason) for one in rejects] == [
        ("2", "verifiability", "asks for a proof"),
        *((answer, "own rules", "large" if answer in "79" else "even") for answer in "246789"),
    ]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("1 / 0", "cannot be imported: ZeroDivisionError"),
        ("other = 1", "has no function rule"),
        ("def rule(question): ...", "is called otherwise"),
        (HEAD + "    return question[99]", "raised IndexError"),
        (HEAD + "    return True", "returned True"),
        (HEAD + "    return ''", "returned ''"),
        (HEAD + "    return 'x' * 201", "returned 'xxx"),
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
        own_rules.reason_for([rule], make(7))
    assert caught.value.where.endswith("row p7")


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
