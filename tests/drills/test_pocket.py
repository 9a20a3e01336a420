"""The pocket run of `make gpu-check`: what it leaves behind."""

import tempfile

import pytest

from drills.gpu_check import pocket
from drills.gpu_check.machine import Machine
from drills.gpu_check.outcome import Failed
from tests.drills.measured import crashing_in


def test_a_run_that_is_killed_leaves_no_folder(monkeypatch, tmp_path):
    """As past its limit: nothing of the process itself cleans up."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(pocket, "whole_run", crashing_in)
    with pytest.raises(Failed, match="SIGKILL") as failed:
        pocket.pocket(Machine(num_gpus=0, deadline=float("inf")))
    assert str(tmp_path) in failed.value.log
    assert list(tmp_path.iterdir()) == []
