import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from datasets import load_dataset
from pydantic import ValidationError

from contracts.errors import InputError, RecipeError
from data_checks.gate import check_evaluation
from training.evaluation import pocket_multimodal, pocket_text
from training.evaluation.registry import find_benchmark
from training.evaluation.run import evaluate
from training.model.encoding import encode_prompt
from training.model.policy import load_policy
from training.recipe.recipe import parse_recipe
from training.rollout.protocol import Prompt


@pytest.fixture(scope="module")
def recipe(tiny_model_folder):
    values = {
        "name": "small",
        "system_prompt": "Answer.",
        "model": {"path": str(tiny_model_folder)},
        "hardware": {"threads_per_process": 1},
        "sources": [{"name": "text", "kind": "pocket", "modality": "text", "num_problems": 4}],
        "curation": {
            "sets": [
                {"name": "cold", "modality": "text", "num_problems": 2, "needs_solution": True}
            ]
        },
        "stages": [
            {
                "kind": "sft",
                "name": "after",
                "data": "cold",
                "optimizer": {"learning_rate": 1e-4},
                "epochs": 1,
                "batch_size": 8,
                "max_length_tokens": 64,
            }
        ],
        "evaluation": {
            "benchmarks": [
                {"name": "pocket_text", "num_problems": 10},
                {"name": "pocket_multimodal", "num_problems": 6},
            ],
            "max_response_tokens": 5,
        },
    }
    return parse_recipe(values, where="test")


@pytest.fixture(scope="module")
def evaluated(recipe, tiny_model_folder, tmp_path_factory):
    output = tmp_path_factory.mktemp("evaluated")
    evaluate(recipe, {"base": tiny_model_folder, "after": tiny_model_folder}, output)
    return output


@pytest.fixture(scope="module")
def predictions(evaluated, tmp_path_factory):
    return load_dataset(
        "parquet",
        data_files=str(evaluated / "predictions.parquet"),
        split="train",
        cache_dir=str(tmp_path_factory.mktemp("cache")),
    ).to_list()


def test_every_policy_answers_every_problem_once(predictions):
    keys = [(row["policy"], row["benchmark"], row["problem_id"]) for row in predictions]
    assert len(set(keys)) == len(keys) == 2 * (10 + 6)
    assert all(1 <= row["num_tokens"] <= 5 for row in predictions)


def test_several_answers_to_each_problem(recipe, tiny_model_folder, tmp_path):
    """The first answer is the one that is drawn alone; the others are further draws."""
    answers = {}
    for k in (1, 3):
        changes = {"samples_per_problem": k, "temperature": 1.0}
        several = recipe.model_copy(
            update={"evaluation": recipe.evaluation.model_copy(update=changes)}
        )
        (tmp_path / str(k)).mkdir()
        evaluate(several, {"base": tiny_model_folder}, tmp_path / str(k))
        rows = pd.read_parquet(tmp_path / str(k) / "predictions.parquet")
        answers[k] = rows.set_index(["problem_id", "sample"])["response"]
    assert len(answers[1]) == 16 and len(answers[3]) == 48
    assert answers[3].xs(0, level="sample").to_dict() == answers[1].xs(0, level="sample").to_dict()
    assert answers[3].groupby("problem_id").nunique().max() > 1
    scores = json.loads((tmp_path / "3" / "scores.json").read_text())["scores"]
    told = ("metric", "num_problems", "samples_per_problem")
    assert [tuple(one[name] for name in told) for one in scores] == [
        ("mean@3", 10, 3),
        ("mean@3", 6, 3),
    ]


def test_an_item_without_room_is_counted_and_named(recipe, tiny_model_folder, tmp_path, capfd):
    """The model has as many positions as the shortest prompt and its response take."""
    policy = load_policy(tiny_model_folder, recipe.model, system_prompt=recipe.system_prompt)
    lengths = {
        item.problem["id"]: len(encode_prompt(policy, Prompt(item.prompt)).token_ids)
        for item in pocket_text.load("pocket_text", Path(), 10)
    }
    room = min(lengths.values()) + recipe.evaluation.max_response_tokens
    folder, output = tmp_path / "model", tmp_path / "evaluated"
    shutil.copytree(tiny_model_folder, folder)
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["max_position_embeddings"] = room
    (folder / "config.json").write_text(json.dumps(config))
    output.mkdir()
    evaluate(recipe, {"base": folder}, output)

    rows = pd.read_parquet(output / "predictions.parquet").set_index("problem_id")
    rows = rows[rows["benchmark"] == "pocket_text"]
    too_long = {name for name, length in lengths.items() if length > min(lengths.values())}
    assert 0 < len(too_long) < len(lengths)
    assert set(rows[rows["failure"].notna()].index) == too_long
    for name in too_long:
        said = (
            f"prompt too long: {lengths[name]} tokens leave no room for a response of 5 in {room}"
        )
        assert rows.loc[name, "failure"].startswith(said)
    score, _ = json.loads((output / "scores.json").read_text())["scores"]
    assert score["failures"] == {"prompt too long": len(too_long)}
    assert re.search(r"the first, to base/\S+ of pocket_\w+: prompt too", capfd.readouterr().out)


def test_responses_that_leave_no_prompt_room_are_no_score_of_nothing(
    recipe, tiny_model_folder, tmp_path
):
    """The model has 2048 positions: every question would be without room, and 0 % the score."""
    evaluation = recipe.evaluation.model_copy(update={"max_response_tokens": 2048})
    crowded = recipe.model_copy(update={"evaluation": evaluation})
    with pytest.raises(RecipeError, match="no room") as caught:
        evaluate(crowded, {"base": tiny_model_folder}, tmp_path)
    assert caught.value.where == "recipe, evaluation: max_response_tokens"
    assert not (tmp_path / "scores.json").exists()


def test_several_greedy_answers_are_refused(recipe):
    values = recipe.evaluation.model_dump() | {"samples_per_problem": 2}
    with pytest.raises(ValidationError, match="needs a temperature above 0"):
        type(recipe.evaluation).model_validate(values)


def test_predictions_belong_to_their_problems(predictions):
    """Answered from short to long, in batches, and yet each beside its own question."""
    items = pocket_text.load("t", Path(), 10) + pocket_multimodal.load("m", Path(), 6)
    problems = {item.problem["id"]: item.problem for item in items}
    for row in predictions:
        problem = problems[row["problem_id"]]
        assert (row["question"], row["answer"]) == (problem["question"], problem["answer"])


def test_greedy_decoding_of_the_same_weights_answers_the_same(predictions):
    by_policy = {
        policy: [row["response"] for row in predictions if row["policy"] == policy]
        for policy in ("base", "after")
    }
    assert by_policy["base"] == by_policy["after"]


def test_scores_and_gains_are_complete(evaluated):
    report = json.loads((evaluated / "scores.json").read_text())
    pairs = [(score["policy"], score["benchmark"]) for score in report["scores"]]
    assert pairs == [
        (policy, benchmark)
        for policy in ("base", "after")
        for benchmark in ("pocket_text", "pocket_multimodal")
    ]
    assert all(score["low"] <= score["value"] <= score["high"] for score in report["scores"])
    assert [(gain["policy"], gain["over"], gain["points"]) for gain in report["gains"]] == [
        ("after", "base", 0.0)
    ] * 2


def test_progress_reaches_the_end(evaluated):
    lines = [json.loads(line) for line in (evaluated / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == 32 and {line["num_steps"] for line in lines} == {32}
    assert [line["step"] for line in lines] == sorted(line["step"] for line in lines)
    assert all(line["tokens_per_second"] >= 0 for line in lines)


def test_the_gate_passes_where_no_gain_is_asked_for(recipe, evaluated):
    assert check_evaluation(recipe, evaluated).record.passed


def test_the_same_evaluation_writes_the_same_bytes(recipe, evaluated, tiny_model_folder, tmp_path):
    evaluate(recipe, {"base": tiny_model_folder, "after": tiny_model_folder}, tmp_path)
    for name in ("predictions.parquet", "scores.json"):
        assert (tmp_path / name).read_bytes() == (evaluated / name).read_bytes()


def test_a_policy_that_is_not_here_needs_an_answer_to_every_question(recipe, tmp_path):
    with pytest.raises(InputError, match=r"10 questions of pocket_text .* answers of base"):
        evaluate(recipe, {"base": None}, tmp_path)


def test_an_unknown_benchmark_is_named():
    with pytest.raises(RecipeError, match="no benchmark 'aime'"):
        find_benchmark("aime")


def test_a_benchmark_is_the_same_in_every_run_and_a_shorter_one_is_its_beginning():
    long, short = pocket_text.load("t", Path(), 30), pocket_text.load("t", Path(), 10)
    assert long[:10] == short
    assert all(item.problem["id"].startswith("pocket/test/") for item in long)
    assert len(pocket_text.load("t", Path(), None)) == pocket_text.NUM_PROBLEMS
