"""What a run asks of this machine before it starts."""

import shutil
import tempfile
import uuid
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch

from contracts.errors import PlanError, PreflightError
from infra.digests import FileEntry
from infra.manifest import Manifest
from infra.settings import load_settings
from tasks.keys import ingredients
from tasks.plan import SHARED_MEMORY, check_machine, machine_of_run
from training.plan.machine import GIB, Machine
from training.plan.plan import make_plan
from training.recipe.recipe import Recipe, load_recipe

RECIPES = Path(__file__).parents[2] / "infra/recipes"
without_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")


@without_cuda
def test_a_recipe_for_gpus_is_refused_on_a_cpu():
    with pytest.raises(PlanError, match="no CUDA GPU") as caught:
        check_machine(load_recipe(RECIPES / "revisual-7b.toml"), ["curate"])
    assert "bfloat16" in caught.value.where


@without_cuda
def test_a_float32_recipe_runs_on_a_cpu():
    check_machine(load_recipe(RECIPES / "pocket.toml"), ["curate", "cold_start"])


@without_cuda
def test_what_runs_on_another_machine_is_not_asked_of_this_one():
    check_machine(load_recipe(RECIPES / "revisual-7b.toml"), [])


def test_an_evaluation_that_cannot_fit_is_refused_before_the_run_unless_its_model_is_unknown(
    monkeypatch, caplog
):
    """On a machine that is made up: eight GPUs, which this one has not."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr("tasks.plan.machine_here", lambda **_: Machine(8, 80 * GIB))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=GIB, free=10**15))
    recipe = load_recipe(RECIPES / "revisual-7b.toml")
    check_machine(recipe, recipe.stage_names)
    rollout = recipe.rollout.model_copy(update={"memory_fraction": 0.9})
    too_much = recipe.model_copy(update={"rollout": rollout})
    with pytest.raises(PlanError, match="Stage evaluate needs") as caught:
        check_machine(too_much, ["evaluate"])
    assert "rollout.memory_fraction" in caught.value.fix
    check_machine(too_much, ["evaluate"], is_sized=False)
    assert not caplog.records
    grader = recipe.curation.grader
    model = grader.model.model_copy(update={"path": "somebody/large"})
    changes = {"grader": grader.model_copy(update={"model": model})}
    curation = recipe.curation.model_copy(update=changes)
    check_machine(recipe.model_copy(update={"curation": curation}), ["curate"])
    assert "somebody/large: memory is not planned" in caplog.text


def test_a_containers_bound_and_shared_memory_are_the_machines(monkeypatch):
    """With GPUs that are made up."""
    told = dict[str, int]()
    monkeypatch.setattr("tasks.plan.machine_here", lambda **given: told.update(given))
    machine_of_run()
    assert told["host_memory"] <= psutil.virtual_memory().total
    assert told["shared_memory"] == shutil.disk_usage("/dev/shm").total
    monkeypatch.setattr("tasks.plan.memory_limit", lambda: 8 * GIB)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=64 * GIB))
    machine_of_run()
    assert told["host_memory"] == 8 * GIB


def store_step(recipe: Recipe, stage: str, salt: str, num_bytes: int) -> None:
    """Enters a step checkpoint that takes no room: its file is one hole."""
    store, location = load_settings().store(), f"artifacts/checkpoint/{uuid.uuid4().hex}"
    file = FileEntry(path="learner-0.safetensors", size=num_bytes, sha256="0" * 64)
    path = Path(store.root.removeprefix("file://"), location, "files", file.path)
    path.parent.mkdir(parents=True)
    with path.open("wb") as hole:
        hole.truncate(num_bytes)
    kind = "sft" if stage == "cold_start" else "rl"
    made_of = ingredients(recipe, stage, kind, {"policy": "1" * 64}, salt=salt)
    store.enter(location, Manifest(kind="checkpoint", files=(file,), ingredients=made_of), None)


@pytest.fixture
def disk(tmp_path, monkeypatch) -> SimpleNamespace:
    """What is free of one disk beside GPUs, both made up; home and store are on it."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr("tasks.plan.machine_here", lambda **_: Machine(8, 80 * GIB))
    monkeypatch.setenv("REVISUAL_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("REVISUAL_STORE", raising=False)
    usage = SimpleNamespace(total=GIB, free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    return usage


def test_a_disk_without_room_for_scratch_is_refused_before_the_run(disk, monkeypatch):
    """7B writes checkpoints of 99.5 GB; five may be there at a time."""
    monkeypatch.setenv("REVISUAL_STORE", "s3://bucket/prefix")
    recipe = load_recipe(RECIPES / "revisual-7b.toml")
    disk.free = 500 * 10**9
    with pytest.raises(PreflightError, match="free"):
        check_machine(recipe, ["cold_start"])
    disk.free = 540 * 10**9
    check_machine(recipe, ["cold_start"])


def test_a_store_on_the_same_disk_wants_room_as_well(disk):
    """7B: 12 x 8,292,166,656 bytes a checkpoint, five of scratch and four stored; 2 a model, three.

    That are 945.3 GB, 880.4 GiB: 494.3 of scratch and 386.1 of the store. One checkpoint that the
    store has is not asked for again, if it is this stage's: of this recipe, and of a run that may.
    """
    recipe, numbers = load_recipe(RECIPES / "revisual-7b.toml"), 8_292_166_656
    checkpoint, model = 12 * numbers, 2 * numbers
    disk.free = 9 * checkpoint + 3 * model - 10**6
    with pytest.raises(PreflightError) as caught:
        check_machine(recipe, ["cold_start"])
    assert "880.4 GiB: 494.3 GiB of scratch, 386.1 GiB of the store" in caught.value.what
    assert "REVISUAL_STORE" in caught.value.fix and "checkpoints.keep_last" in caught.value.fix
    assert "`revisual gc --scratch --age 0`" in caught.value.fix
    assert "Scratch that nobody uses: 0.0 GiB" in caught.value.what
    left = load_settings().home / "work/killed-0123/text_rl-x/checkpoints/step-00000020"
    left.parent.mkdir(parents=True)
    with left.open("wb") as hole:
        hole.truncate(2 * 2**30 // 10)
    with pytest.raises(PreflightError, match=r"Scratch that nobody uses: 0\.2 GiB"):
        check_machine(recipe, ["cold_start"])
    disk.free += 2 * 10**6  # a checkpoint has some bytes beside its numbers
    check_machine(recipe, ["cold_start"])

    disk.free = 8 * checkpoint + 3 * model + 10**6
    others = recipe.model_copy(update={"seed": 4})
    for of in ((others, "cold_start", ""), (recipe, "text_rl", ""), (recipe, "cold_start", "run")):
        store_step(*of, checkpoint)
        with pytest.raises(PreflightError):
            check_machine(recipe, ["cold_start"])
    store_step(recipe, "cold_start", "", checkpoint)
    check_machine(recipe, ["cold_start"])
    disk.free = 9 * checkpoint + 3 * model
    check_machine(recipe, ["cold_start"], salt="run")


def test_the_best_checkpoint_of_a_stage_before_wants_room_for_one_that_comes(disk):
    """7B, text RL: 91.9 GB a checkpoint, and one of multimodal RL's, of 99.5, whoever is asked."""
    recipe = load_recipe(RECIPES / "revisual-7b.toml")
    both = ["multimodal_rl", "text_rl"]
    plan = make_plan(recipe, Machine(8, 80 * GIB), both)
    multimodal, text = (one.memory.checkpoint for one in plan.stages)
    needed = 9 * text + 3 * 2 * 8_292_166_656  # five of scratch and four stored
    disk.free = needed + 10**6
    check_machine(recipe, ["text_rl"])
    disk.free += multimodal - 2 * 10**6
    with pytest.raises(PreflightError):
        check_machine(recipe, both)
    disk.free += 2 * 10**6
    check_machine(recipe, both)
    # It is there: the stage that comes has as much less of the disk, and is asked for the same.
    disk.free -= multimodal
    store_step(recipe, "multimodal_rl", "", multimodal)
    check_machine(recipe, both)
    check_machine(recipe, ["text_rl"])
    disk.free -= 2 * 10**6
    for stages in (both, ["text_rl"]):
        with pytest.raises(PreflightError):
            check_machine(recipe, stages)


def test_a_store_that_is_a_folders_address_wants_room_and_is_nobody_elses(disk, monkeypatch):
    monkeypatch.setenv("REVISUAL_STORE", f"file://{load_settings().store_uri}")
    assert not load_settings().is_store_shared
    disk.free = 600 * 10**9  # the scratch alone has room
    with pytest.raises(PreflightError, match="GiB of the store"):
        check_machine(load_recipe(RECIPES / "revisual-7b.toml"), ["cold_start"])


def test_a_store_on_a_disk_of_its_own_wants_room_there(disk, tmp_path, monkeypatch):
    """Four checkpoints and a model; a file system in memory is the other disk."""
    with tempfile.TemporaryDirectory(dir=SHARED_MEMORY) as folder:
        monkeypatch.setenv("REVISUAL_STORE", folder)
        asked = dict[Path, int]()
        monkeypatch.setattr("tasks.room.check_disk", asked.__setitem__)
        check_machine(load_recipe(RECIPES / "revisual-7b.toml"), ["cold_start"])
    checkpoint, model = 12 * 8_292_166_656, 2 * 8_292_166_656
    assert asked == {
        tmp_path / "home": pytest.approx(5 * checkpoint + 2 * model, abs=10**6),
        Path(folder): pytest.approx(4 * checkpoint + model, abs=10**6),
    }


@without_cuda
@pytest.mark.parametrize(
    ("cuda", "driver", "told"),
    [
        (None, "580.1", "torch was built without CUDA"),
        ("13.0", "535.183", "the driver 535.183 is too old for CUDA 13.0: install 580 or newer"),
    ],
)
def test_a_driver_that_torch_cannot_use_is_told(cuda, driver, told, monkeypatch):
    monkeypatch.setattr("tasks.plan.driver_version", lambda: driver)
    monkeypatch.setattr(torch.version, "cuda", cuda)
    with pytest.raises(PlanError, match=told):
        check_machine(load_recipe(RECIPES / "revisual-7b.toml"), ["curate"])
