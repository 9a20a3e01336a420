"""What a stage's processes say when they end; tests/tasks/test_make.py has whole stages."""

import sys

import pytest

from contracts.job import Outcome
from infra.launcher import new_job, write_job
from training import stage


@pytest.mark.parametrize("local_rank", [0, 1])
def test_only_the_process_that_writes_the_output_says_that_it_is_done(
    local_rank, tmp_path, monkeypatch
):
    """Another one may be done earlier, and a stage is used that was stopped when it was done."""
    job = new_job("text_rl", {}, {}, tmp_path)
    monkeypatch.setattr(stage, "run", lambda _: None)
    monkeypatch.setattr(sys, "argv", ["stage", str(write_job(job))])
    monkeypatch.setenv("LOCAL_RANK", str(local_rank))
    assert stage.main() == 0
    assert job.outcome.is_file() == (local_rank == 0)
    if local_rank == 0:
        assert Outcome.model_validate_json(job.outcome.read_text()).status == "done"
