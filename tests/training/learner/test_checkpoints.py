"""A stage that was stopped anywhere goes on and ends with the bytes of one that never stopped."""

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from contracts.errors import DataError
from training.grpo import train as grpo
from training.learner.checkpoints import Places
from training.recipe.recipe import CheckpointsRecipe, HardwareRecipe
from training.recipe.stages import RlStage, SftStage
from training.runtime.metrics import MetricsLog
from training.sft import train as sft

EVERY = 2
HERE = Path(__file__).parent
SFT = {
    "kind": "sft",
    "name": "cold_start",
    "data": "text",
    "optimizer": {"learning_rate": 1e-2, "warmup_ratio": 0.1, "schedule": "cosine"},
    "epochs": 2.5,
    "batch_size": 8,
    "max_length_tokens": 80,
    "freeze": ["vision_tower"],
}
RL = {
    "kind": "rl",
    "name": "rl",
    "data": "multimodal",
    "optimizer": {"learning_rate": 3e-3},
    "num_steps": 5,
    "prompts_per_step": 4,
    "group_size": 4,
    "max_response_tokens": 24,
    "temperature": 3.0,
    "rewards": [{"kind": "efficient_length", "budget_tokens": 12, "alpha": 0.03}],
}
STAGES = {
    "sft": SftStage.model_validate(SFT),
    "multimodal_rl": RlStage.model_validate(RL | {"updates_per_step": 2}),
    "text_rl": RlStage.model_validate(
        RL
        | {
            "data": "text",
            "freeze": ["vision_tower"],
            "kl": {"coefficient": 0.01},
            "entropy": {"coefficient": 0.01, "warmup_updates": 4},
        }
    ),
}
# Results of two rank counts, or two ZeRO stages: the order of float32 sums differs.
TOLERANCE = 2e-4


class Interrupted(Exception):
    """Stands for SIGKILL: nothing after it is done, and memory is forgotten."""


def interrupt_after(step, monkeypatch):
    """Ends the stage when a step is done and measured, and not saved yet."""
    write = MetricsLog.write

    def writing(log, **values):
        write(log, **values)
        if values["step"] == step:
            raise Interrupted

    monkeypatch.setattr(MetricsLog, "write", writing)


def train(stage, recipe, model, sets, output, places=Places()):  # noqa: B008 - frozen
    output.mkdir()
    loop = sft if stage.kind == "sft" else grpo
    loop.train(recipe, stage, model, sets, output, places)
    return output


def new_recipe(tiny_recipe, zero_stage=0, every_steps=EVERY):
    hardware = HardwareRecipe(threads_per_process=1, zero_stage=zero_stage)
    checkpoints = CheckpointsRecipe(every_steps=every_steps)
    return tiny_recipe.model_copy(update={"hardware": hardware, "checkpoints": checkpoints})


def weights_of(output):
    return (output / "model" / "model.safetensors").read_bytes()


def untimed(output):
    """The metrics without what a clock measures."""
    lines = (output / "metrics.jsonl").read_text().splitlines()
    return [
        {k: v for k, v in json.loads(line).items() if "seconds" not in k and "per_second" not in k}
        for line in lines
    ]


def assert_equal_outputs(first, second):
    assert weights_of(first) == weights_of(second)
    assert untimed(first) == untimed(second)


def assert_close_weights(first, second):
    model = "model/model.safetensors"
    with safe_open(first / model, "pt") as one, safe_open(second / model, "pt") as other:
        for name in other.keys():  # noqa: SIM118 - not iterable itself; under ZeRO-3: buffers, too
            torch.testing.assert_close(
                one.get_tensor(name), other.get_tensor(name), atol=TOLERANCE, rtol=0, msg=name
            )


def complete(checkpoint):
    """Waits for the thread that an interruption leaves behind."""
    while not checkpoint.exists():
        time.sleep(0.05)
    return checkpoint


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# Stages 1 and 2 with every kind of stage: on two ranks, below; on one, with bfloat16.
@pytest.mark.parametrize("zero_stage", [0, 3])
@pytest.mark.parametrize("kind", STAGES)
def test_a_resumed_stage_ends_with_the_same_bytes(
    kind, zero_stage, tiny_recipe, tiny_model_folder, problem_sets, tmp_path, monkeypatch
):
    recipe, stage = new_recipe(tiny_recipe, zero_stage), STAGES[kind]
    whole = train(stage, recipe, tiny_model_folder, problem_sets, tmp_path / "whole")

    saved = tmp_path / "saved"
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        interrupt_after(3, patch)
        places = Places(save=saved)
        train(stage, recipe, tiny_model_folder, problem_sets, tmp_path / "cut", places)
    places = Places(resume=complete(saved / "step-00000002"))
    torch.manual_seed(99)
    resumed = train(stage, recipe, tiny_model_folder, problem_sets, tmp_path / "resumed", places)
    assert_equal_outputs(resumed, whole)
    if kind != "sft":
        samples = [(output / "samples.jsonl").read_bytes() for output in (resumed, whole)]
        assert samples[0] == samples[1]


@pytest.fixture
def interrupted(tiny_recipe, tiny_model_folder, problem_sets, tmp_path, monkeypatch):
    """Trains until a step is done, and returns the newest checkpoint before it."""

    def run(stage, step=3, recipe=None, name="cut"):
        recipe = recipe or new_recipe(tiny_recipe)
        places = Places(save=tmp_path / f"{name}-saved")
        with monkeypatch.context() as patch, pytest.raises(Interrupted):
            interrupt_after(step, patch)
            train(stage, recipe, tiny_model_folder, problem_sets, tmp_path / name, places)
        newest = step // recipe.checkpoints.every_steps * recipe.checkpoints.every_steps
        newest -= recipe.checkpoints.every_steps if newest == step else 0
        return complete(places.save / f"step-{newest:08d}")

    return run


@pytest.fixture
def finished(tiny_recipe, tiny_model_folder, problem_sets, tmp_path):
    """Trains to the end, from a checkpoint or from the start."""

    def run(stage, name, resume=None, recipe=None, save=None):
        recipe = recipe or new_recipe(tiny_recipe)
        places = Places(save=save, resume=resume)
        return train(stage, recipe, tiny_model_folder, problem_sets, tmp_path / name, places)

    return run


def test_a_resumed_stage_can_be_stopped_and_resumed_again(finished, interrupted, tiny_recipe):
    stage, recipe = STAGES["text_rl"], new_recipe(tiny_recipe, every_steps=1)
    first = interrupted(stage, step=3, recipe=recipe)
    with pytest.raises(DataError, match="another kind of stage"):
        finished(STAGES["sft"], "wrong", first)
    assert first.name == "step-00000002"
    again = finished(stage, "again", first, recipe, first.parent)
    assert_equal_outputs(again, finished(stage, "whole"))
    # Nobody took any: only the newest is left, of the last step.
    assert names(first.parent) == ["step-00000005"]
    assert_equal_outputs(finished(stage, "end", first.parent / "step-00000005"), again)


@pytest.mark.parametrize("has_validation", [True, False])
def test_the_best_validated_checkpoint_waits_beside_the_newest(
    has_validation, finished, tiny_recipe, tmp_path, monkeypatch
):
    """Uploads may be slower than saves: nobody has taken any before the stage ends."""
    accuracies = iter((0.1, 0.9, 0.5, 0.9, 0.2))
    best = ["step-00000004"]  # of two equal ones the newer
    monkeypatch.setattr(
        grpo, "validate", lambda *_: {"validation_accuracy": next(accuracies), "seconds": 0.0}
    )
    validation = {"num_problems": 2, "every_steps": 1} if has_validation else None
    stage = RlStage.model_validate(RL | {"validation": validation})
    saved = tmp_path / "saved"
    finished(stage, "slow", recipe=new_recipe(tiny_recipe, every_steps=1), save=saved)
    assert names(saved) == (best if has_validation else []) + ["step-00000005"]


def test_a_checkpoint_holds_the_history_up_to_its_step_and_no_further(interrupted, finished):
    checkpoint = interrupted(STAGES["multimodal_rl"], step=3)
    assert names(checkpoint) == ["history", "learner-0.safetensors", "state.json"]
    assert names(checkpoint / "history") == ["metrics.jsonl", "samples.jsonl"]
    history = [json.loads(line) for line in (checkpoint / "history/metrics.jsonl").open()]
    assert [line["step"] for line in history] == [1, 2]
    state = json.loads((checkpoint / "state.json").read_text())
    counts = {"step": 2, "data_position": 8, "num_skipped_updates": 0}
    assert state["loop"] == counts | {"best_validation": None, "num_validations_since_best": 0}
    assert state["learner"] == {
        "num_updates": 4,
        "num_nonfinite_updates": 0,
        "num_nonfinite_in_a_row": 0,
    }
    assert state["score"] == history[-1]["reward"]

    metrics = [
        json.loads(line)
        for line in (finished(STAGES["multimodal_rl"], "on", checkpoint) / "metrics.jsonl").open()
    ]
    assert metrics[:2] == history
    assert [line["step"] for line in metrics] == [1, 2, 3, 4, 5]
    seconds = [line["seconds"] for line in metrics]
    assert seconds == sorted(seconds)  # counted on, not from zero again


def test_steps_before_the_first_update_are_kept_too(interrupted, finished):
    # No answer is right: every update is skipped, and AdamW has no moments yet.
    stage = RlStage.model_validate(RL | {"rewards": [{"kind": "accuracy"}]})
    checkpoint = interrupted(stage)
    resumed = finished(stage, "resumed", checkpoint)
    assert json.loads((resumed / "summary.json").read_text())["num_skipped_updates"] == 5
    assert_equal_outputs(resumed, finished(stage, "whole"))


@pytest.mark.parametrize("zero_stage", [0, 1, 2, 3])
def test_bfloat16_keeps_its_float32_masters(
    zero_stage, interrupted, finished, tiny_recipe, tiny_model_folder
):
    recipe = new_recipe(tiny_recipe, zero_stage)
    recipe = recipe.model_copy(
        update={"model": recipe.model.model_copy(update={"dtype": "bfloat16"})}
    )
    stage = STAGES["sft"]
    resumed = finished(stage, "resumed", interrupted(stage, recipe=recipe), recipe)
    assert_equal_outputs(resumed, finished(stage, "whole", recipe=recipe))


@pytest.mark.parametrize("zero_stage", [1, 2, 3])
def test_any_zero_stage_reads_what_another_wrote(zero_stage, interrupted, finished, tiny_recipe):
    stage, sharded = STAGES["sft"], new_recipe(tiny_recipe, zero_stage)
    to_sharded = finished(stage, "there", interrupted(stage), sharded)
    back = finished(stage, "back", interrupted(stage, recipe=sharded, name="sharded"))
    whole = finished(stage, "whole")
    assert_close_weights(to_sharded, whole)
    assert_close_weights(back, whole)


def test_a_folder_that_is_taken_is_never_touched_again(
    finished, tiny_recipe, tmp_path, monkeypatch
):
    saved, taken = tmp_path / "saved", []
    write = MetricsLog.write

    def taking(log, **values):
        for folder in saved.glob("step-*"):
            folder.rename(folder.with_name(f"taken-{folder.name}"))
            taken.append(folder.name)
        write(log, **values)

    monkeypatch.setattr(MetricsLog, "write", taking)
    finished(STAGES["sft"], "one", recipe=new_recipe(tiny_recipe, every_steps=1), save=saved)
    assert taken
    assert set(names(saved)) >= {f"taken-{name}" for name in taken}
    for name in taken:
        assert names(saved / f"taken-{name}") == ["history", "learner-0.safetensors", "state.json"]


def test_what_a_crash_left_in_the_folder_does_not_count(finished, tiny_recipe, tmp_path):
    for name in (".step-00000002", ".removed-step-00000002"):
        (tmp_path / "saved" / name).mkdir(parents=True)
        (tmp_path / "saved" / name / "learner-1.safetensors").write_bytes(b"torn")
    finished(STAGES["sft"], "one", save=tmp_path / "saved")
    assert names(tmp_path / "saved") == ["step-00000007"]


@pytest.mark.fault(
    "disk full while a checkpoint is written (a process's limit, for every user)",
    "the stage fails with the reason; the checkpoint before it stays, and is gone on from",
)
def test_a_disk_that_is_full_ends_the_stage_and_leaves_the_last_checkpoint(
    finished, full_disk, tmp_path, monkeypatch
):
    saved, stage = tmp_path / "saved", STAGES["sft"]
    write = MetricsLog.write
    with ExitStack() as stack:

        def filling(log, **values):
            write(log, **values)
            if values["step"] == 3:
                whole = complete(saved / "step-00000002") / "learner-0.safetensors"
                stack.enter_context(full_disk(whole.stat().st_size // 2))

        stack.enter_context(monkeypatch.context()).setattr(MetricsLog, "write", filling)
        with pytest.raises(DataError, match=r"step-00000004 .*File too large"):
            finished(stage, "one", save=saved)
    assert [name for name in names(saved) if not name.startswith(".")] == ["step-00000002"]
    resumed = finished(stage, "resumed", saved / "step-00000002", save=saved)
    assert_equal_outputs(resumed, finished(stage, "whole"))


@pytest.mark.slow
def test_two_ranks_resume_exactly_and_other_numbers_of_ranks_within_the_tolerance(
    finished, interrupted, tiny_recipe, tiny_model_folder, problem_sets, tmp_path
):
    """`two_ranks_resume.py` compares the two-rank runs with each other; here, with one rank."""
    stage, recipe = STAGES["sft"], new_recipe(tiny_recipe)
    of_one = interrupted(stage)
    arguments = [tiny_model_folder, problem_sets, of_one, tmp_path]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", "2", str(HERE / "two_ranks_resume.py")),
            *map(str, arguments),
        ],
        cwd=HERE.parents[2],
        env={**os.environ, "PYTHONPATH": str(HERE.parents[2]), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=580,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    whole = finished(stage, "whole", recipe=recipe)
    for zero_stage in range(4):
        of_two = tmp_path / f"sft-{zero_stage}-saved" / "step-00000002"
        assert len(list(of_two.glob("learner-*.safetensors"))) == 2
        assert_close_weights(finished(stage, f"one-{zero_stage}", of_two), whole)
        assert_close_weights(tmp_path / f"one-to-two-{zero_stage}", whole)
