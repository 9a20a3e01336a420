"""An evaluation from published files to scores, with a tiny model that answers nonsense."""

import json

import pandas as pd
import pytest

from data_checks.gate import check_evaluation
from drills.disturbed import new_recipe
from tests.training.evaluation.published import WRITERS, write
from training.evaluation.run import evaluate
from training.recipe.recipe import Recipe

pytestmark = pytest.mark.slow


def test_three_benchmarks_and_one_of_the_users_own(tiny_model_folder, tmp_path):
    names = ("aime25", "we-math", "mathverse")
    folders = {f"benchmark:{name}": WRITERS[name](tmp_path / name) for name in names}
    own = write(tmp_path / "own", [{"question": f"Is it {n}?", "answer": "A"} for n in range(3)])
    benchmarks = [
        {"name": "aime25", "samples_per_problem": 2, "temperature": 1.0},
        {"name": "we-math"},
        {"name": "mathverse"},
        {"name": "own", "kind": "file", "path": str(own), "metric": "letter"},
    ]
    values = new_recipe().model_dump()
    values |= {
        "model": {"path": str(tiny_model_folder)},
        "rollout": {"engine": "transformers"},
        "evaluation": {"benchmarks": benchmarks, "max_response_tokens": 4},
        "gates": {"evaluation": {"max_unparseable": 1.0, "min_gain_points": 0.0}},
    }
    recipe = Recipe.model_validate(values)
    output = tmp_path / "evaluated"
    output.mkdir()
    policies = dict.fromkeys(("base", *(stage.name for stage in recipe.stages)), tiny_model_folder)
    assert len(policies) == 4
    evaluate(recipe, policies, output, folders={**folders, "benchmark:own": own})

    scores = json.loads((output / "scores.json").read_text())
    found = {(one["policy"], one["benchmark"]): one for one in scores["scores"]}
    assert {name: found["base", name]["metric"] for name in (*names, "own")} == {
        "aime25": "mean@2",
        "we-math": "score, strict",
        "mathverse": "accuracy, Vision Only",
        "own": "accuracy",
    }
    kinds = {name: found["base", name]["kind"] for name in (*names, "own")}
    assert kinds == {**dict.fromkeys(names, "shipped"), "own": "file"}
    nothing = [one for one in found["base", "we-math"]["measures"] if one["value"] is None]
    assert [one["metric"] for one in nothing] == ["RM rate, strict", "RM rate, loose"]
    assert len(scores["gains"]) == 3 * 4
    rows = pd.read_parquet(output / "predictions.parquet")
    assert rows.groupby("benchmark").size().to_dict() == {
        "aime25": 4 * 3 * 2,
        "mathverse": 4 * 10,
        "own": 4 * 3,
        "we-math": 4 * 11,
    }
    assert set(rows[rows["benchmark"] == "we-math"]["part"]) == {"1", "2", "3", "multi"}
    results = check_evaluation(recipe, output).record
    assert results.passed, results
