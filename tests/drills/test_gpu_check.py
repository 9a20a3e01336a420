"""`make gpu-check` on a CPU: it runs what it can, says what it skipped, and survives its parts."""

import os
import time

import pytest
import torch

from drills.gpu_check.__main__ import PARTS, check, main
from drills.gpu_check.machine import Machine
from drills.gpu_check.outcome import Failed, Outcome, require_close
from drills.gpu_check.report import markdown
from infra import gpus
from infra.gpus import gpu_locks
from infra.launcher import new_job
from tests.drills.measured import (
    answering,
    crashing,
    failing,
    hanging,
    holding,
    skipping,
)
from training.runtime import device

CPU = Machine(num_gpus=0, deadline=float("inf"))


def part(function, limit_seconds=60.0):
    return lambda machine: machine.measure(function, limit_seconds=limit_seconds)


def test_a_measurement_has_a_process_of_its_own():
    outcome = check("one", part(answering), CPU)
    assert outcome.status == "passed"
    assert outcome.figures["pid"] != os.getpid()


def test_a_part_that_is_killed_or_hangs_costs_nobody_else():
    killed = check("killed", part(crashing), CPU)
    assert (killed.status, killed.reason) == ("failed", "it ended by SIGKILL")
    assert "the last thing it said" in killed.log
    late = check("late", part(hanging, limit_seconds=0.5), CPU)
    assert (late.status, late.reason) == ("failed", "it took longer than 0 s, and was ended")


def test_a_part_that_breaks_in_this_process_costs_nobody_else():
    def broken(_):
        raise RuntimeError("CUDA unknown error")

    outcome = check("broken", broken, CPU)
    assert (outcome.status, outcome.reason) == ("failed", "RuntimeError: CUDA unknown error")


def test_a_driver_that_torch_cannot_use_is_reported(tmp_path, monkeypatch, capsys):
    """torch counts its GPUs by NVML, which such a driver has, too; CUDA does not start there."""
    program = tmp_path / "nvidia-smi"
    program.write_text('#!/bin/sh\ncase "$1" in *uuid) echo GPU-a0;; *) echo 470.256.02;; esac\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    assert main(["--only", "install"]) == 1
    told = "of which 1 are visible, and torch finds 0: the driver 470.256.02 is too old for CUDA"
    assert told in capsys.readouterr().out


def test_what_a_process_says_of_itself_arrives():
    skipped, failed = check("s", part(skipping), CPU), check("f", part(failing), CPU)
    assert (skipped.status, skipped.reason) == ("skipped", "there is no such thing")
    assert (failed.status, failed.reason) == ("failed", "a bound was missed")
    assert failed.figures == {"measured": 2.0}


def test_parts_and_stages_keep_one_another_off_the_gpus(tmp_path, monkeypatch):
    """A GPU that is only named, and a real lock; what starts stages leaves the lock to them."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-of-nobody")
    monkeypatch.setattr(gpus, "FOLDERS", (tmp_path,))
    with gpu_locks(["GPU-of-nobody"], new_job("text_rl", {}, {}, tmp_path / "work")) as locks:
        assert not locks.take()
        outcome = check("one", part(answering), CPU)
        assert outcome.status == "skipped"
        assert "it does not wait for GPUs" in outcome.reason
        assert f"by stage text_rl in {tmp_path / 'work'}" in outcome.reason
        for free in ({"locks_gpus": False}, {"on_cpu": True}):
            assert CPU.measure(answering, limit_seconds=60.0, **free)["pid"] != os.getpid()
        locks.release()
        lock = next(tmp_path.glob("*.lock"))
        held = CPU.measure(holding, limit_seconds=60.0, lock=str(lock))
        assert held["free"] == 0 and "stage gpu-check in" in held["holder"]
        assert not locks.take()


def test_nothing_is_started_when_the_time_is_up():
    outcome = check("late", part(answering), Machine(0, time.monotonic()))
    assert (outcome.status, outcome.reason) == ("skipped", "the check's time is up")


@pytest.mark.parametrize("value", [float("nan"), 1.2, 0.8])
def test_a_number_that_is_none_or_is_off_fails(value):
    require_close("x", 1.05, 1.0, 0.1, {})
    with pytest.raises(Failed, match="x is"):
        require_close("x", value, 1.0, 0.1, {})


def test_the_report_says_what_ran_where_and_shows_no_secret(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "0123456789abcdef")
    outcomes = [
        Outcome("one", "passed", 1.0, {"tokens a second": 12345.6}),
        Outcome("two", "failed", 2.0, {}, "a | b", "key 0123456789abcdef"),
        Outcome("three", "skipped", 0.0, reason="no GPU"),
    ]
    text = markdown(outcomes, num_gpus=0, code="0.1")
    assert "1 passed, 1 failed, 1 skipped" in text
    assert "says nothing about GPUs" in text
    assert "| tokens a second | 12,346 |" in text
    assert "| two | failed | 2 | a \\| b |" in text
    assert "0123456789abcdef" not in text
    assert "says nothing about GPUs" not in markdown(outcomes, num_gpus=1, code="0.1")


def test_light_parts_run_from_the_command_line(tmp_path, capsys):
    """With an exit code of 0: what is skipped does not fail."""
    report = tmp_path / "report.md"
    light = ["install", "attention", "reference", "nccl", "memory-sharded"]
    assert main(["--only", *light, "--output", str(report)]) == 0
    text = report.read_text()
    assert text in capsys.readouterr().out
    for passing in ("attention", "reference"):
        assert f"| {passing} | passed |" in text
    if device.current_device().type == "cpu":
        assert "| nccl | skipped | 0 | a collective of NCCL takes 2 GPU(s)" in text
        assert "| memory-sharded | skipped | 0 | memory under ZeRO takes 1 GPU(s)" in text


@pytest.mark.slow
@pytest.mark.parametrize("name", ["learner", "zero", "memory", "speed"])
def test_the_parts_that_learn_run_without_a_gpu(name):
    outcome = check(name, PARTS[name], CPU)
    assert outcome.status == "passed", outcome
