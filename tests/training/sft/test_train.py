import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText

from contracts.errors import DataError, OutOfMemoryError
from training.recipe.stages import SftStage
from training.records import write_problems
from training.sft import train as sft


def new_stage(**changes):
    values = {
        "kind": "sft",
        "name": "cold_start",
        "data": "text",
        "optimizer": {"learning_rate": 1e-2, "warmup_ratio": 0.1, "schedule": "cosine"},
        "epochs": 2.5,
        "batch_size": 8,
        "max_length_tokens": 80,
        "freeze": ["vision_tower"],
    }
    return SftStage.model_validate(values | changes)


@pytest.fixture
def run(tiny_model_folder, tiny_recipe, problem_sets, tmp_path):
    def train(name, **changes):
        output = tmp_path / name
        output.mkdir()
        sft.train(tiny_recipe, new_stage(**changes), tiny_model_folder, problem_sets, output)
        return output

    return train


def metrics_of(output):
    return [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]


def test_a_probe_that_runs_out_of_memory_says_so(run, tiny_policy, monkeypatch):
    def fail(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    tiny_policy.model.register_forward_pre_hook(fail)
    monkeypatch.setattr(sft, "load_policy", lambda *_, **__: tiny_policy)
    with pytest.raises(OutOfMemoryError, match=r"while loading: .* 2\.00 GiB"):
        run("one")


def test_it_learns_and_reports(run):
    output = run("one")
    metrics = metrics_of(output)
    # 20 rows, 2.5 epochs: 50 samples, 6 batches of 8 and one of 2.
    assert [line["step"] for line in metrics] == list(range(1, 8))
    assert metrics[-1]["loss"] < metrics[0]["loss"] - 1.0
    assert set(metrics[0]) == {
        "step",
        "num_steps",
        "seconds",
        "nonfinite_updates",
        "loss",
        "learning_rate",
        "grad_norm",
        "seconds_update",
        "tokens_per_second",
    }
    summary = json.loads((output / "summary.json").read_text())
    assert (summary["num_rows"], summary["num_samples"], summary["num_steps"]) == (20, 50, 7)
    AutoModelForImageTextToText.from_pretrained(output / "model")


def test_the_same_seed_gives_the_same_bytes(run):
    first, second = run("first", epochs=1.0), run("second", epochs=1.0)
    name = "model/model.safetensors"
    assert (first / name).read_bytes() == (second / name).read_bytes()


def test_long_rows_are_dropped_and_counted(run):
    # The questions of rows 10 to 19 have one digit more.
    output = run("one", epochs=1.0, max_length_tokens=52)
    summary = json.loads((output / "summary.json").read_text())
    assert summary["num_rows"] == 10
    assert summary["dropped_rows"] == {"longer than 52 tokens": 10}


def test_nothing_left_to_learn_from_is_an_error(run):
    with pytest.raises(DataError, match="no row of at most 5 tokens"):
        run("one", max_length_tokens=5)


def test_a_row_without_a_solution_is_an_error(run, problem_sets, new_problem):
    write_problems([new_problem(0) | {"solution": None}], problem_sets / "bare.parquet")
    with pytest.raises(DataError, match="p0 has no solution"):
        run("one", data="bare")


def test_images_are_learned_from_too(run):
    metrics = metrics_of(run("one", data="multimodal", epochs=2.0, freeze=[]))
    assert metrics[-1]["loss"] < metrics[0]["loss"] - 1.0


def test_to_freeze_what_only_sees_changes_nothing_on_texts(run, tiny_model_folder):
    """Texts give the vision tower no gradient: docs/ablation.md counts on it."""

    def weights(folder):
        return load_file(folder / "model.safetensors")

    optimizer = {"learning_rate": 1e-2, "weight_decay": 0.0}  # decay moves what learns
    frozen = weights(run("frozen", optimizer=optimizer) / "model")
    free = weights(run("free", optimizer=optimizer, freeze=[]) / "model")
    base = weights(tiny_model_folder)
    tower = [name for name in free if name.startswith("visual.") and "merger" not in name]
    assert tower and all(torch.equal(free[name], base[name]) for name in tower)
    for name, weight in frozen.items():  # a hundredth of an update: sums end in other last digits
        torch.testing.assert_close(free[name], weight, rtol=0, atol=1e-4)
    embedded = "model.embed_tokens.weight"
    assert not torch.equal(frozen[embedded], base[embedded])
