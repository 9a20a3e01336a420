import io
import json
from collections import Counter
from pathlib import Path

import pytest
from datasets import Dataset
from PIL import Image

from training.curation.step import Reject, write_rejects
from training.recipe.recipe import parse_recipe
from training.records import question_key, write_problems
from training.texts import fault_of


def png(colour):
    """A picture of one colour."""
    buffer = io.BytesIO()
    Image.new("RGB", (28, 28), (colour, 0, 0)).save(buffer, format="PNG")
    return buffer.getvalue()


def problem(set_name, number, **changes):
    """A problem of the set that breaks no rule."""
    modality = "multimodal" if set_name == "seeing" else "text"
    row = {
        "id": f"{set_name}/{number}",
        "source": f"{modality}-source",
        "modality": modality,
        "family": ["sums", "clocks"][number % 2],
        "template": "t",
        "level": 1 + number % 10,
        "question": f"{set_name}: what is {number} + 1?",
        "images": [{"bytes": png(number), "path": None}] if set_name == "seeing" else [],
        "answer": str(number + 1),
        "solution": f"<think>{number}+1</think>\\boxed{{{number + 1}}}",
        "reading": None,
        "pass_rate": 0.25,
    }
    return row | changes


@pytest.fixture
def recipe_values():
    return {
        "name": "gates",
        "system_prompt": "Think.",
        "model": {"path": "unused"},
        "sources": [
            {
                "name": f"{modality}-source",
                "kind": "pocket",
                "modality": modality,
                "num_problems": 30,
            }
            for modality in ("text", "multimodal")
        ],
        "curation": {
            "sets": [
                {
                    "name": "cold",
                    "modality": "text",
                    "num_problems": 10,
                    "needs_solution": True,
                    "max_pass_rate": 0.5,
                },
                {"name": "seeing", "modality": "multimodal", "num_problems": 6, "max_level": 8},
            ]
        },
        "stages": [
            {
                "kind": "sft",
                "name": "cold_start",
                "data": "cold",
                "optimizer": {"learning_rate": 1e-4},
                "epochs": 1,
                "batch_size": 8,
                "max_length_tokens": 64,
            }
        ],
        "evaluation": {
            "benchmarks": [{"name": "pocket_text"}, {"name": "pocket_multimodal"}],
            "max_response_tokens": 32,
        },
        "gates": {
            "curation": {
                "min_rows_per_set": 5,
                "min_families": 2,
                "max_missing_rows": 0.2,
                "max_near_duplicates": 0.5,
                "max_refused": 0.5,
            },
            "evaluation": {
                "min_gain_points": 15.0,
                "max_unparseable": 0.25,
                "max_drop_points": 50.0,
            },
        },
    }


@pytest.fixture
def recipe(recipe_values):
    return parse_recipe(recipe_values, where="test")


@pytest.fixture
def sound_sets():
    """8 of 10 rows is the most that may be missing, so `cold` is at its limit."""
    return {
        "cold": [problem("cold", number) for number in range(8)],
        "seeing": [problem("seeing", number) for number in range(6)],
    }


@pytest.fixture
def write_curated(tmp_path):
    """Writes an artifact of curation; the accounting adds up unless `rows_in` says otherwise."""

    def write(
        sets,
        rows_in=None,
        benchmark_questions=("what is asked only in the test?",),
        rejects=None,
    ) -> Path:
        rows = [row for problems in sets.values() for row in problems]
        rejects = rejects or [problem("cold", 900 + number) for number in range(3)]
        for name, problems in sets.items():
            write_problems(problems, tmp_path / f"{name}.parquet")
        dropped = (Reject(row, "duplicates", fault_of(row["question"]) or "x") for row in rejects)
        write_rejects(dropped, tmp_path / "rejects.parquet")
        keys = [question_key(question, []) for question in benchmark_questions]
        Dataset.from_dict({"question_key": keys}).to_parquet(
            str(tmp_path / "benchmark_questions.parquet")
        )
        counted = Counter(row["source"] for row in [*rows, *rejects])
        rejected = Counter(row["source"] for row in rejects)
        summary = {
            "sources": counted if rows_in is None else rows_in,
            "rejected": {name: {"duplicates": {"x": count}} for name, count in rejected.items()},
        }
        (tmp_path / "summary.json").write_text(json.dumps(summary))
        return tmp_path

    return write


def prediction(policy, benchmark, number, outcome, **changes):
    row = {
        "policy": policy,
        "benchmark": benchmark,
        "problem_id": f"{benchmark}/{number}",
        "sample": 0,
        "outcome": outcome,
        "num_tokens": 12,
        "failure": None,
    }
    return row | changes


def score(policy, benchmark, value, num_problems):
    return {
        "policy": policy,
        "benchmark": benchmark,
        "value": value,
        "metric": "accuracy",
        "low": max(0.0, value - 0.2),
        "high": min(1.0, value + 0.2),
        "num_problems": num_problems,
    }


@pytest.fixture
def sound_evaluation():
    """Two policies on two benchmarks of 20 problems: 4 right, then 7, a gain of 15 points."""
    num_right = {"base": 4, "cold_start": 7}
    predictions, scores = [], []
    for policy, right in num_right.items():
        for benchmark in ("pocket_text", "pocket_multimodal"):
            outcomes = ["right"] * right + ["unparseable"] * 5 + ["wrong"] * (15 - right)
            predictions += [
                prediction(policy, benchmark, number, outcome)
                for number, outcome in enumerate(outcomes)
            ]
            scores.append(score(policy, benchmark, right / 20, 20))
    return predictions, scores


@pytest.fixture
def write_evaluation(tmp_path):
    def write(predictions, scores, gains=()) -> Path:
        columns = {name: [row[name] for row in predictions] for name in predictions[0]}
        Dataset.from_dict(columns).to_parquet(str(tmp_path / "predictions.parquet"))
        (tmp_path / "scores.json").write_text(json.dumps({"scores": scores, "gains": list(gains)}))
        return tmp_path

    return write
