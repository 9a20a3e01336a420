"""Rows planted among generated problems, with every fault that the searches look for, counted."""

import io
from collections import Counter

import pytest
from PIL import Image

from training.curation.curate import row_steps
from training.curation.planted import REASONS, ROWS_OF
from training.curation.sources import load_source
from training.evaluation.registry import load_benchmarks
from training.model.policy import load_policy
from training.pocket.problems import generate
from training.recipe.evaluation import EvaluationRecipe
from training.recipe.model import ModelRecipe
from training.recipe.recipe import parse_recipe
from training.recipe.sources import SourceRecipe

SEED = 4


@pytest.fixture(scope="module")
def policy(tiny_model_folder):
    return load_policy(tiny_model_folder, ModelRecipe(path="./base"), system_prompt="Answer.")


@pytest.fixture(scope="module")
def recipe():
    text = {"modality": "text", "num_problems": 10}
    values = {
        "name": "planted",
        "system_prompt": "Answer.",
        "model": {"path": "./base"},
        "sources": [{"name": "planted", "kind": "pocket", **text}],
        "curation": {"sets": [{"name": "cold", "needs_solution": True, **text}]},
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
        "evaluation": {"benchmarks": [{"name": "pocket_text"}], "max_response_tokens": 4},
    }
    return parse_recipe(values, where="test")


def leaked(item, number, dress):
    return {**item, "id": f"leak/{number}", "question": dress(item["question"])}


def recoded(encoded):
    buffer = io.BytesIO()
    Image.open(io.BytesIO(encoded)).save(buffer, format="WEBP", lossless=True)
    return buffer.getvalue()


def dollars(text):
    return " ".join(f"${word}$" if word.isdigit() else word for word in text.split())


def test_every_planted_fault_is_counted_and_no_clean_row_is_lost(recipe, policy, verifier, sifted):
    test = {
        "pocket_text": generate("text", "test", 60, SEED),
        "pocket_multimodal": generate("multimodal", "test", 20, SEED),
    }
    drawn = [*generate("text", "train", 60, SEED), *generate("multimodal", "train", 20, SEED)]
    steps = row_steps(recipe, policy, test, verifier)
    clean, _, _ = sifted([drawn], steps)
    assert len(clean) >= 75  # small problems come twice by chance
    texts = [row for row in clean if row["modality"] == "text" and row["level"] >= 5][:10]
    seen = [row for row in clean if row["modality"] == "multimodal"][:5]
    hard = [row for row in test["pocket_text"] if row["level"] >= 5][:3]
    planted = [
        *({**row, "id": f"equal/{n}"} for n, row in enumerate(texts[:4])),
        *(
            {**row, "id": f"near/{n}", "question": f"Problem 3. {dollars(row['question'])}"}
            for n, row in enumerate(texts[4:7])
        ),
        *(
            {**row, "id": f"recoded/{n}", "images": [{"bytes": recoded(image), "path": None}]}
            for n, row in enumerate(seen[:2])
            for image in [row["images"][0]["bytes"]]
        ),
        *({**row, "id": f"against/{n}", "answer": "77"} for n, row in enumerate(texts[7:9])),
        *(leaked(item, n, str.upper) for n, item in enumerate(hard)),
        *(
            leaked(item, f"seen/{n}", str.title)
            for n, item in enumerate(test["pocket_multimodal"][:2])
        ),
        {**texts[9], "id": "proof", "question": "Prove that 2 is prime."},
        {
            **seen[4],
            "id": "broken",
            "images": [{"bytes": seen[4]["images"][0]["bytes"][:90], "path": None}],
        },
    ]
    for row in planted:
        if row["id"].startswith("against"):
            row["solution"] = None
    _, rejects, _ = sifted([[*clean, *planted]], steps)
    assert Counter(each.reason for each in rejects) == {
        "duplicate question": 4,
        "near duplicate question": 5,
        "duplicates with conflicting answers": 4,
        "question of a benchmark": 5,
        "asks for a proof": 1,
        "image that cannot be decoded": 1,
    }
    lost = {each.problem["id"] for each in rejects} & {row["id"] for row in clean}
    assert lost == {row["id"] for row in texts[7:9]}  # nobody knows which answer is right
    leaks = {each.problem["id"]: each.detail for each in rejects if each.step == "decontamination"}
    assert leaks["leak/1"] == f"pocket_text: {hard[1]['id']}"
    assert leaks["leak/seen/0"] == f"pocket_multimodal: {test['pocket_multimodal'][0]['id']}"


def test_what_a_pocket_source_plants_comes_out_to_the_last_row(recipe, policy, verifier, sifted):
    benchmarks = [{"name": f"pocket_{one}", "num_problems": 100} for one in REASONS]
    evaluation = EvaluationRecipe(benchmarks=benchmarks, max_response_tokens=4)
    loaded = load_benchmarks(evaluation, {})
    test = {name: [item.problem for item in items] for name, items in loaded.items()}
    kept = {}
    for count in (0, 4):
        sources = []
        for modality in REASONS:
            sizes = {"num_problems": 60, "num_planted": count}
            source = SourceRecipe(name=modality, kind="pocket", modality=modality, **sizes)
            sources.append(load_source(source, None, SEED).kept)
        kept[count], rejects, _ = sifted(sources, row_steps(recipe, policy, test, verifier))
        found = Counter(
            (each.problem["source"], each.problem["id"].split("/")[2], each.reason)
            for each in rejects
            if each.problem["id"].startswith("planted/")
        )
        assert found == {
            (modality, fault, reason): count * ROWS_OF.get(fault, 1)
            for modality, reasons in REASONS.items()
            for fault, reason in reasons.items()
            if count
        }
    assert kept[4] == kept[0]  # no sound row lost its place
