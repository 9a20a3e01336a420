"""Arms that are at work at once: whatever ends the ablation ends all of them."""

import signal
import sys
import time
from threading import Event, Thread, main_thread

import psutil
import pytest

from contracts.errors import StagePreempted
from flows import ablation
from flows.ablation import arm, run_arms
from infra.launcher import stage_environment, supervise
from infra.stopping import is_told, stop_if_told, stopped_by
from training.recipe.grid import Asked

ENDLESS = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"


class Ended(BaseException):
    """What a signal raises in the main thread."""


def test_a_signal_ends_the_stages_of_all_threads_and_what_waits_never_begins(tmp_path):
    begun, ended = [], []

    def run(number: int) -> None:
        begun.append(number)
        command = [sys.executable, "-c", ENDLESS]
        log = tmp_path / f"{number}.txt"
        try:
            supervise(command, stage_environment(1), log, poll=lambda: None)
        except StagePreempted:
            if number == 1:  # still saves when the machine's notice follows the worker's
                signal.pthread_kill(main_thread().ident, signal.SIGTERM)
                time.sleep(0.3)
            ended.append((number, is_told()))
            raise

    def end_when_two_run() -> None:
        while sum(bool(path.read_text().strip()) for path in tmp_path.glob("*.txt")) < 2:
            time.sleep(0.02)
        signal.pthread_kill(main_thread().ident, signal.SIGTERM)

    def end(*_: object) -> None:
        raise Ended

    before = signal.signal(signal.SIGTERM, end)
    try:
        Thread(target=end_when_two_run, daemon=True).start()
        with pytest.raises(Ended):
            run_arms([1, 2, 3, 4], run, concurrency=2)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert sorted(begun) == [1, 2] and sorted(ended) == [(1, True), (2, True)]
    assert not any(psutil.pid_exists(int(path.read_text())) for path in tmp_path.glob("*.txt"))
    assert not is_told()  # this thread goes on


def test_nothing_starts_after_the_end(tmp_path):
    event = Event()
    event.set()
    with stopped_by(event), pytest.raises(StagePreempted, match="was told to stop"):
        supervise([sys.executable, "-c", ""], {}, tmp_path / "log.txt", poll=lambda: None)
    assert not (tmp_path / "log.txt").exists()
    stop_if_told()


@pytest.mark.parametrize("told", [True, False])
def test_an_arm_is_cancelled_with_its_ablation_and_else_preempted(monkeypatch, told):
    def trained(*_: object) -> None:
        raise StagePreempted("saved step 3")

    monkeypatch.setattr(ablation, "prepare_arm", lambda *_: (None, None))
    monkeypatch.setattr(ablation, "_trained", trained)
    event = Event()
    with stopped_by(event):
        if not told:
            with pytest.raises(StagePreempted):
                arm.fn("a", "g", "cs", 0, Asked(), "code", "id")
            return
        event.set()
        state = arm.fn("a", "g", "cs", 0, Asked(), "code", "id")
    assert state.is_cancelled() and "saved step 3" in state.message
