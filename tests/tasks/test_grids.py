"""An ablation before it starts: its arms, what they share, and how long it will take."""

import json
import shutil
from dataclasses import replace

import pytest

from contracts.errors import RecipeError
from tasks.ablation import checked_runs, runs_digest
from tasks.estimate import (
    STATED,
    STATED_BASIS,
    estimate_lines,
    planned_stages,
    rate_of,
    work_of,
)
from tasks.grids import arm_run, arm_runs, asked_of, base_name, grid_path, shipped_grids
from tasks.keys import history_key, ingredients, input_digests, stage_key
from tests.tasks.machine import Machine
from training.recipe.grid import Asked

RECIPE = """
name = "tiny"
system_prompt = "Be brief."
model = { path = "POCKET_BASE" }
sources = [
  { name = "words", kind = "pocket", modality = "text", num_problems = 40 },
  { name = "images", kind = "pocket", modality = "multimodal", num_problems = 20 },
]
[curation]
samples_per_problem = 2
sets = [
  { name = "words", modality = "text", num_problems = 30, needs_solution = true },
  { name = "images", modality = "multimodal", num_problems = 20 },
]
[[stages]]
kind = "sft"
name = "cold_start"
data = "words"
epochs = 2.0
batch_size = 8
max_length_tokens = 512
optimizer = { learning_rate = 1e-3 }
[[stages]]
kind = "rl"
name = "rl"
data = "images"
num_steps = 5
prompts_per_step = 3
group_size = 4
max_response_tokens = 4
rewards = "paper-v2"
optimizer = { learning_rate = 1e-3 }
[evaluation]
benchmarks = [{ name = "pocket_text", num_problems = 7, samples_per_problem = 3 }]
temperature = 1.0
max_response_tokens = 4
"""
GRID = """
name = "tiny-grid"
recipe = "./tiny.toml"
seeds = [0, 1]
paper_benchmark = "pocket_text"
arms = [
  { name = "base" },
  { name = "cs", stages = ["cold_start"], over = "base" },
  { name = "cs+rl", stages = ["cold_start", "rl"], over = "cs" },
  { name = "cs+grpo", stages = ["cold_start", "rl"], changes.stages.rl.pad.strategy = "none" },
]
"""


@pytest.fixture
def grid(tmp_path) -> str:
    base = grid_path("pocket").parents[1] / "models" / "pocket-base"
    (tmp_path / "tiny.toml").write_text(RECIPE.replace("POCKET_BASE", str(base)))
    path = tmp_path / "grid.toml"
    path.write_text(GRID)
    return str(path)


@pytest.fixture
def machine(tmp_path, monkeypatch) -> Machine:
    monkeypatch.setenv("REVISUAL_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("REVISUAL_STORE", raising=False)
    return Machine(tmp_path / "home", str(tmp_path / "home" / "store"))


def test_every_shipped_grid_is_valid(machine):
    for name in shipped_grids():
        assert checked_runs(name, Asked())


def test_arms_and_seeds_are_the_grids_or_those_asked_for(grid):
    every = [(one.arm.name, one.recipe.seed) for one in arm_runs(grid, Asked())]
    names = ["base", "cs", "cs+rl", "cs+grpo"]
    assert every == [(name, seed) for seed in (0, 1) for name in names]
    asked = asked_of(["cs"], [7], ["stages.cold_start.epochs=3", "hardware.retries=0"], 1.0)
    (one,) = arm_runs(grid, asked)
    assert (one.recipe.seed, one.recipe.stages[0].epochs, one.recipe.hardware.retries) == (7, 3, 0)
    assert arm_run(grid, "base", 1, Asked()).stages == ()
    longer = arm_run(grid, "cs+rl", 1, asked_of([], [], [], 2.5))
    assert longer.recipe.stages[1].num_steps == 12  # 12.5, to the even one
    assert longer.recipe.stages[0].epochs == 2.0


def test_paths_in_changes_start_at_the_folder_of_the_grid(grid, tmp_path):
    path = tmp_path / "elsewhere.toml"
    path.write_text("""
name = "elsewhere"
recipe = "./tiny.toml"
seeds = [0]
arms = [{ name = "own" }, { name = "other", changes.model.path = "./other" }]
[changes.model]
path = "./mine/base"
[changes.evaluation]
benchmarks = [
  { name = "aime25", path = "../aime" },
  { name = "math-500", path = "s3://bucket/math" },
  { name = "gpqa-diamond", path = "owner/name" },
]
""")
    own, other = arm_runs(str(path), Asked())
    assert own.recipe.model.path == str(tmp_path / "mine" / "base")
    assert other.recipe.model.path == str(tmp_path / "other")
    assert [one.path for one in own.recipe.evaluation.benchmarks] == [
        str(tmp_path.parent / "aime"),
        "s3://bucket/math",
        "owner/name",
    ]
    typed, _ = arm_runs(str(path), asked_of([], [], ['model.path="../typed"'], 1.0))
    assert typed.recipe.model.path == str(tmp_path.parent / "typed")


def test_arms_that_take_nothing_from_the_store_share_among_themselves(grid, machine):
    """By keys: what one arm has made, another of the same ablation finds, and no other run."""
    one, other = (arm_run(grid, name, 0, Asked()).recipe for name in ("cs", "cs+rl"))
    inputs = machine.resolve(one)
    given = {"policy": inputs.base, **inputs.sources, **inputs.benchmarks}

    def keys(family: str | None) -> list[str]:
        runs = [replace(machine.run(each), reuse="none", family=family) for each in (one, other)]
        digests = input_digests(machine.store, one, "curate", given)
        return [
            stage_key(ingredients(run.recipe, "curate", "curate", digests, salt=run.salt))
            for run in runs
        ]

    first, second = keys("ablation-1")
    assert first == second
    assert keys("ablation-2")[0] != first
    alone, apart = keys(None)
    assert alone != apart


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ((["none"], [], [], 1.0), "has no arm 'none'"),
        (([], [-1], [], 1.0), "seeds.0: Input should be greater than or equal to 0"),
        (([], [], ["stages.rl.steps=1"], 1.0), "There is no field stages.rl.steps."),
        (([], [], ["stages.rl.num_steps"], 1.0), "is not valid TOML"),
        (([], [], [], 0.0), "stretch: Input should be greater than 0"),
        # Else `cs+grpo` would be compared with itself.
        (([], [], ['stages.rl.pad.strategy="none"'], 1.0), "cs+rl and cs+grpo are one and the"),
    ],
)
def test_what_cannot_be_asked_is_refused(grid, asked, told):
    with pytest.raises(RecipeError) as refused:
        arm_runs(grid, asked_of(*asked))
    assert told in str(refused.value)


def test_a_grid_that_changed_after_it_was_checked_is_refused(grid, machine, tmp_path):
    digest = runs_digest(checked_runs(grid, Asked()))
    assert checked_runs(grid, Asked(), digest)
    (tmp_path / "grid.toml").write_text(GRID.replace('strategy = "none"', 'strategy = "filter"'))
    with pytest.raises(RecipeError, match="not the one that was checked"):
        checked_runs(grid, Asked(), digest)


def test_a_paper_benchmark_that_no_arm_has_is_refused(grid, machine, tmp_path):
    text = GRID.replace('paper_benchmark = "pocket_text"', 'paper_benchmark = "mathvista"')
    (tmp_path / "grid.toml").write_text(text)
    with pytest.raises(RecipeError, match="paper_benchmark is 'mathvista'"):
        checked_runs(grid, Asked())


def test_work_is_answers_drawn_and_samples_trained_on(grid):
    recipe = arm_run(grid, "cs+rl", 0, Asked()).recipe
    assert work_of(recipe, "curate", "curate") == (40 + 20) * 2
    assert work_of(recipe, "cold_start", "sft") == 2 * 30
    assert work_of(recipe, "rl", "rl") == 5 * 3 * 4
    assert work_of(recipe, "evaluate", "evaluate") == 7 * 3


def test_what_arms_share_is_made_once_for_each_seed_and_found_when_it_was_made(grid, machine):
    runs, made = arm_runs(grid, Asked()), {}
    for one in runs:
        inputs = machine.resolve(one.recipe)
        for stage in planned_stages(one, machine.store, inputs):
            made[stage.identity] = (stage.name, one.recipe.seed)
            assert not stage.is_made
    counts = {name: [*made.values()].count((name, 1)) for name, _ in made.values()}
    assert counts == {"curate": 1, "cold_start": 1, "rl": 2, "evaluate": 4}
    assert len(made) == 2 * 8
    lines = list(estimate_lines(runs, machine.settings, "code", "tiny"))
    assert (
        lines[0]
        == "4 arms with 2 seed(s): 16 different stages, 0 of them in the store, 16 to make."
    )
    # 10 s to start each, and as was measured 60 samples of fine-tuning take 0.81 s.
    assert any(line.startswith("sft") and f"22 s  by {STATED_BASIS}" in line for line in lines)
    assert lines[-1].startswith("About ")

    publish(machine, runs[1], seconds=36.0)
    again = [
        (stage.name, stage.is_made)
        for stage in planned_stages(runs[2], machine.store, machine.resolve(runs[2].recipe))
    ]
    assert again == [
        ("curate", True),
        ("cold_start", True),
        ("rl", False),
        ("evaluate", False),
    ]
    lines = list(estimate_lines(runs, machine.settings, "code", "tiny"))
    assert "2 of them in the store, 14 to make." in lines[0]
    # What is in the store counts now: 36 s for the same work, and the start.
    assert any("46 s  by the newest cold_start of tiny-grid in the store" in line for line in lines)


def test_an_evaluations_rate_is_that_of_the_answers_that_it_drew(grid, machine):
    """10 of 21 were found: 5.5 s for 11 answers; the newest found all, and has no rate."""
    run = arm_runs(grid, Asked())[1]
    store_evaluation(machine, run, [(10, 0.0), (21, 5.5)])
    store_evaluation(machine, run, [(21, 0.5)])
    stages = list(planned_stages(run, machine.store, machine.resolve(run.recipe)))
    assert stages[-1].kind == "evaluate"
    rate = rate_of(machine.store, stages[-1], base_name(grid))
    assert rate is not None and rate.seconds == 0.5
    # Of a recipe in a file, which another grid has asked for: by its name, not by its path.
    assert base_name(grid) == "tiny"
    assert rate_of(machine.store, stages[0], base_name(grid)).basis == STATED_BASIS


def store_evaluation(machine: Machine, one, lines: list[tuple[int, float]]) -> None:
    """Stores an evaluation's figures, the newest of the grid's recipe."""
    machine.resolve(one.recipe)
    folder = machine.settings.home / f"evaluate-{len(lines)}"
    folder.mkdir(parents=True)
    (folder / "recipe.json").write_text(one.recipe.model_dump_json())
    text = [json.dumps({"step": step, "seconds": seconds}) for step, seconds in lines]
    (folder / "metrics.jsonl").write_text("\n".join(text))
    run = machine.run(one.recipe)
    artifact = machine.store.publish(folder, "evaluation", run.provenance("evaluate", {}))
    named = one.recipe.model_copy(update={"name": "tiny"})
    machine.store.append(history_key(named, "evaluate"), artifact)


def publish(machine: Machine, one, seconds: float) -> None:
    """Stores what the curation and the cold start of an arm would have made."""
    recipe, inputs = one.recipe, machine.resolve(one.recipe)
    run, store = machine.run(recipe), machine.store
    given = {"policy": inputs.base, **inputs.sources, **inputs.benchmarks}
    for name, kind, file in (("curate", "curate", "words.parquet"), ("cold_start", "sft", "x")):
        folder = machine.settings.home / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / file).write_text(name)
        (folder / "recipe.json").write_text(recipe.model_dump_json())
        (folder / "metrics.jsonl").write_text(f'{{"step": 1, "seconds": {seconds}}}\n')
        made_of = ingredients(recipe, name, kind, input_digests(store, recipe, name, given))
        provenance = run.provenance(name, given, made_of)
        artifact = store.publish(folder, "dataset", provenance, key=stage_key(made_of))
        store.append(history_key(recipe, name), artifact)
        given = {"policy": inputs.base, "data": artifact}


def test_a_model_that_nobody_has_timed_has_no_estimate(grid, machine, tmp_path):
    elsewhere = tmp_path / "other-base"
    shutil.copytree(grid_path("pocket").parents[1] / "models" / "pocket-base", elsewhere)
    runs = arm_runs(grid, asked_of(["base"], [0], [f'model.path="{elsewhere}"'], 1.0))
    lines = list(estimate_lines(runs, machine.settings, "code", "tiny"))
    assert any("not known here" in line for line in lines)
    assert set(STATED) == {"curate", "sft", "rl", "evaluate"}
