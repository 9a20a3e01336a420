"""Two runs of one machine that want the same stage at once."""

import subprocess
import sys
import time
from threading import Event, Thread

import pytest

from contracts.errors import StagePreempted
from infra.stopping import stopped_by
from tasks.scratch import alone


def test_the_second_waits_for_the_first_and_another_stage_for_nobody(tmp_path):
    order = []

    def second() -> None:
        with alone(tmp_path, "stage"):
            order.append("second")

    with alone(tmp_path, "stage"):
        waiting = Thread(target=second)
        waiting.start()
        with alone(tmp_path, "another stage"):
            order.append("another")
        time.sleep(0.3)  # long enough for one that does not wait
        order.append("first")
    waiting.join()
    assert order == ["another", "first", "second"]


def test_who_is_told_to_stop_waits_no_longer(tmp_path):
    """As the arms of an ablation that is cancelled while another run makes their stage."""
    told, ended = Event(), Event()

    def second() -> None:
        with stopped_by(told), pytest.raises(StagePreempted), alone(tmp_path, "stage"):
            raise AssertionError("nobody let go")
        ended.set()

    with alone(tmp_path, "stage"):
        Thread(target=second, daemon=True).start()
        assert not ended.wait(0.3)
        told.set()
        assert ended.wait(60)


def test_a_process_that_is_killed_holds_nothing(tmp_path):
    code = (
        "import pathlib, sys, time; from tasks.scratch import alone\n"
        "with alone(pathlib.Path(sys.argv[1]), 'stage'): print('held', flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        holder.kill()
    with alone(tmp_path, "stage"):
        pass
