"""GPUs that somebody else fills when a stage begins: made up, since there is none here."""

import json
import sys
from pathlib import Path

import pytest
import torch

from infra.launcher import new_job, write_job
from training import stage
from training.plan import free
from training.plan.free import free_in_time, planned_bytes, too_little
from training.plan.machine import GIB, Machine
from training.recipe.recipe import load_recipe, resolved_toml_values

ROOT = Path(__file__).parents[3]
SEVEN_B = load_recipe(ROOT / "infra/recipes/revisual-7b.toml")
CONFIG = ROOT / "training/plan/published/Qwen2.5-VL-7B-Instruct.json"
EIGHT = Machine(8, 80 * GIB)


@pytest.fixture
def policy(tmp_path):
    """A folder with the sizes of 7B."""
    folder = tmp_path / "policy"
    folder.mkdir()
    (folder / "config.json").write_bytes(CONFIG.read_bytes())
    return folder


def job_of(name, folder, recipe=SEVEN_B, **inputs):
    return new_job(name, resolved_toml_values(recipe), inputs, folder)


def test_what_is_wanted_is_the_plans_peak_beside_cudas_context(policy, tmp_path):
    """54.2 GiB in a rollout, of which 2 are CUDA's; of a card its grader's 0.85 in curation."""
    for number, (name, expected) in enumerate((("text_rl", 52.2), ("curate", 67.2))):
        job = job_of(name, tmp_path / str(number), policy=policy)
        wanted = planned_bytes(job, lambda: EIGHT)
        assert wanted / GIB == pytest.approx(expected, abs=0.06)


def test_models_of_unknown_sizes_and_evaluations_are_not_judged(policy, tmp_path):
    evaluation = job_of("evaluate", tmp_path / "a", base=policy)
    assert planned_bytes(evaluation, lambda: EIGHT) is None
    (policy / "config.json").write_text(json.dumps({"model_type": "llava"}))
    assert planned_bytes(job_of("text_rl", tmp_path / "b", policy=policy), lambda: EIGHT) is None


def test_a_cache_that_is_no_larger_than_its_batch_is_not_wanted_free(tmp_path):
    """A quarter of 141 GiB bounds it; pocket runs go on where a GPU serves others, too."""
    recipe = load_recipe(ROOT / "infra/recipes/pocket.toml")
    for name in ("curate", "text_rl", "multimodal_rl"):
        job = job_of(name, tmp_path / name, recipe, policy=ROOT / "infra/models/pocket-base")
        wanted = planned_bytes(job, lambda: Machine(1, 141 * GIB))
        assert wanted is not None
        assert wanted < 3 * GIB


def test_a_plan_that_the_whole_gpu_would_not_hold_blames_nobody_else(policy, tmp_path):
    """Where no run was planned: its base is of another name, or its stage of another pool."""
    job = job_of("text_rl", tmp_path / "work", policy=policy)
    assert planned_bytes(job, lambda: Machine(8, 48 * GIB)) is None


def test_what_a_killed_process_held_is_waited_for_and_no_longer(monkeypatch, capsys):
    monkeypatch.setattr(free, "POLL_SECONDS", 0.001)
    told = [20 * GIB, 20 * GIB, 70 * GIB]
    assert free_in_time(50 * GIB, lambda: told.pop(0), 60.0) == 70 * GIB
    printed = capsys.readouterr().out
    assert printed.count("20.0 GiB of this process's GPU are free, and the stage takes 50.0") == 1
    assert free_in_time(50 * GIB, lambda: 20 * GIB, 0.01) == 20 * GIB
    assert free_in_time(50 * GIB, lambda: 50 * GIB, 0.0) == 50 * GIB


def test_who_holds_it_is_named_as_far_as_that_is_known():
    known = too_little("text_rl", 52 * GIB, 20 * GIB, "4711 (59.0 GiB)")
    assert "20.0 GiB" in known.what and "52.0" in known.what
    assert known.fix.startswith("end what else is on this GPU, process 4711 (59.0 GiB), or")
    assert "`nvidia-smi`" in too_little("text_rl", 52 * GIB, 20 * GIB, "").fix


@pytest.mark.parametrize(("free_bytes", "code"), [(20 * GIB, 2), (60 * GIB, 0)])
def test_a_stage_does_not_begin_beside_a_stranger(free_bytes, code, policy, tmp_path, monkeypatch):
    """The device and its figures are made up; the stage's own words are what a run is told."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_device", lambda _: None)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (free_bytes, 79 * GIB))
    monkeypatch.setattr(free, "machine_here", lambda: EIGHT)
    monkeypatch.setattr(free, "LOOKED_FOR_SECONDS", 0.0)
    begun = []
    monkeypatch.setattr(stage, "run", begun.append)
    job = job_of("text_rl", tmp_path / "work", policy=policy)
    monkeypatch.setattr(sys, "argv", ["stage", str(write_job(job))])
    assert stage.main() == code
    said = json.loads(job.outcome.read_text())
    if code:
        assert said["status"] == "refused" and begun == []
        assert "PreflightError: 20.0 GiB of this process's GPU are free" in said["message"]
    else:
        assert said["status"] == "done" and len(begun) == 1
