"""What an evaluation writes: the numbers of one benchmark do not hang on the others."""

from pathlib import Path

import pytest

from contracts.scores import Scores, Verdicts
from tests.training.evaluation.test_scores import prediction
from training.evaluation.items import Rule, make_item
from training.evaluation.summary import write_scores
from training.evaluation.verdicts import rules_digest
from training.recipe.evaluation import EvaluationRecipe
from training.recipe.recipe import load_recipe

RECIPE = load_recipe(Path(__file__).parents[3] / "infra" / "recipes" / "pocket.toml")


RULES = {"pocket_text": "a" * 64, "pocket_multimodal": "b" * 64}


def answers(policy, benchmark, right):
    """Two answers to each of twelve problems: their interval is drawn."""
    return [
        prediction(n, "right" if n < right + k else "wrong", sample=k)
        | {"policy": policy, "benchmark": benchmark}
        for n in range(12)
        for k in range(2)
    ]


@pytest.fixture
def evaluate(tmp_path):
    def evaluated(policies, benchmarks, seed=0):
        named = [
            {"name": name, "samples_per_problem": 2, "temperature": 1.0} for name in benchmarks
        ]
        evaluation = EvaluationRecipe.model_validate(
            {"benchmarks": named, "max_response_tokens": 8}
        )
        recipe = RECIPE.model_copy(update={"evaluation": evaluation, "seed": seed})
        predictions = {
            (policy, benchmark): answers(policy, benchmark, right)
            for policy, right in policies.items()
            for benchmark in benchmarks
        }
        verdicts = {name: Verdicts(rules=RULES[name]) for name in benchmarks}
        write_scores(predictions, verdicts, recipe, tmp_path)
        return Scores.model_validate_json((tmp_path / "scores.json").read_text())

    return evaluated


def test_another_benchmark_changes_no_interval(evaluate):
    policies = {"base": 4, "rl": 7}
    alone = evaluate(policies, ["pocket_text"])
    beside = evaluate(policies, ["pocket_multimodal", "pocket_text"])
    assert [one for one in beside.scores if one.benchmark == "pocket_text"] == list(alone.scores)
    assert [one for one in beside.gains if one.benchmark == "pocket_text"] == list(alone.gains)


def test_the_same_answers_have_the_same_interval_by_any_name_and_another_with_another_seed(
    evaluate,
):
    def numbers(scores):
        own = [one for one in scores.scores if one.policy != "base"]
        return [(one.low, one.high, one.measures) for one in own]

    benchmarks = ["pocket_text", "pocket_multimodal"]
    first = evaluate({"base": 4, "rl": 7}, benchmarks)
    assert numbers(first) == numbers(evaluate({"popular-mayfly": 7}, benchmarks))
    seeds = [evaluate({"base": 4, "rl": 7}, benchmarks, seed) for seed in range(1, 4)]
    assert len({str(numbers(one)) for one in (first, *seeds)}) > 1


def test_every_score_says_by_which_rules_its_answers_were_judged(evaluate):
    found = evaluate({"base": 4, "rl": 7}, [*RULES])
    assert len(found.scores) == 4
    assert all(one.verdicts == Verdicts(rules=RULES[one.benchmark]) for one in found.scores)


def test_any_part_of_a_rule_changes_the_digest_and_no_order_does():
    def digest(*rules, accept_rounded=False):
        items = [make_item("b", str(n), question="?", rule=rule) for n, rule in enumerate(rules)]
        one, turned = (
            rules_digest(some, accept_rounded=accept_rounded) for some in (items, items[::-1])
        )
        assert one == turned
        return one

    letter, near = Rule("letter", "B", ("3 cm", "4 cm")), Rule("number", "12", tolerance=0.01)
    found = {
        digest(letter, near),
        digest(near, letter),
        digest(letter, Rule("number", "12", tolerance=0.1)),
        digest(letter, Rule("number", "12", decimals=2)),
        digest(letter, Rule("number", "12", tolerance=0.01, unit="cm")),
        digest(letter, Rule("integer", "12", tolerance=0.01)),
        digest(Rule("letter", "B", ("3 cm", "5 cm")), near),
        digest(Rule("math", "12")),
        digest(Rule("math", "12"), accept_rounded=True),
    }
    assert len(found) == 9
    # What algebra takes is no matter of a rule without it.
    assert digest(letter, accept_rounded=True) == digest(letter)
