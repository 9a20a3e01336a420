"""Steps reach a sink once and in order, also one that fails, which is named and tried again."""

import subprocess
import sys
import threading

import pytest

from infra.sinks import relay
from infra.sinks.relay import Relays
from infra.sinks.sink import figures_of


class Kept:
    """A sink that keeps what it gets: no library, no server."""

    place = "memory"

    def __init__(self, last_step=0, breaks_at=None):
        self.last_step, self.breaks_at = last_step, breaks_at
        self.steps, self.ends, self.num_drops = {}, [], 0

    def write(self, step, figures):
        if step == self.breaks_at:
            raise ConnectionError("https://user:hunter2hunter2@host is gone")
        assert step not in self.steps
        self.steps[step] = dict(figures)
        self.last_step = step

    def drop(self):
        self.num_drops += 1

    def close(self, *, succeeded):
        self.ends.append(succeeded)


def line(step, loss=0.5):
    return {"step": step, "num_steps": 9, "seconds": 1.0 * step, "loss": loss, "kl": None}


def test_a_resumed_stage_doubles_no_step():
    """Killed after step 5, gone on with from 3: the history comes again, then 4 and 5."""
    sink, said = Kept(), []
    with Relays({"kept": lambda: sink}, said.append) as sinks:
        for step in [1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 6]:
            sinks.write(line(step))
    assert list(sink.steps) == [1, 2, 3, 4, 5, 6]
    assert sink.steps[6] == {"seconds": 6.0, "loss": 0.5}
    assert sink.ends == [True]
    assert said == ["Metrics go to kept, memory"]


def test_another_run_goes_on_after_what_the_sink_holds():
    sink, said = Kept(last_step=4), []
    with Relays({"kept": lambda: sink}, said.append) as sinks:
        for step in range(1, 7):
            sinks.write(line(step))
    assert list(sink.steps) == [5, 6]
    assert said == ["Metrics go to kept, memory, after step 4"]


def test_a_sink_that_stays_out_is_left_out_in_the_end_and_the_others_go_on():
    broken, whole, said = Kept(breaks_at=3), Kept(), []
    with Relays({"broken": lambda: broken, "whole": lambda: whole}, said.append) as sinks:
        for step in range(1, 6):
            sinks.write(line(step))
    assert list(broken.steps) == [1, 2]
    assert list(whole.steps) == [1, 2, 3, 4, 5]
    assert (broken.ends, whole.ends) == ([], [True])
    assert (broken.num_drops, whole.num_drops) == (2, 0)
    failure, last = [text for text in said if "failed" in text]
    assert "broken failed after step 2, and is tried again: ConnectionError" in failure
    assert "broken failed after step 2, and is left out from there on: ConnectionError" in last
    assert "hunter2" not in failure + last


@pytest.mark.parametrize("landed", [False, True])
def test_a_sink_that_comes_back_gets_what_has_waited_once(monkeypatch, landed):
    """A server that cannot be had for three tries, and may have taken the step that failed."""
    monkeypatch.setattr(relay, "PAUSE_SECONDS", 0.001)
    held, said, tries, back = {}, [], [], threading.Event()

    class Server(Kept):
        def __init__(self):
            tries.append(len(held))
            if 1 < len(tries) < 5:
                raise ConnectionError("502")
            super().__init__(last_step=max(held, default=0))
            self.steps = held

        def write(self, step, figures):
            if step == 3 and len(tries) == 1:
                if landed:
                    super().write(step, figures)
                raise ConnectionError("502")
            super().write(step, figures)
            if step == 6:
                back.set()

    with Relays({"mlflow": Server}, said.append) as sinks:
        for step in range(1, 7):
            sinks.write(line(step))
        assert back.wait(60)  # while the stage goes on
        sinks.write(line(7))
    assert list(held) == [1, 2, 3, 4, 5, 6, 7]
    assert len(tries) == 5
    first, out, again = said
    assert first == "Metrics go to mlflow, memory"
    assert out.startswith("The sink mlflow failed after step 2, and is tried again: Connection")
    assert again == f"Metrics go to mlflow again, memory, from step {4 if landed else 3}"


@pytest.mark.parametrize("fails_at", ["write", "close"])
def test_a_stage_whose_end_got_lost_has_succeeded_in_the_sink_and_is_told(fails_at):
    """What the sink was sent last has arrived, and its answer has not."""
    held, ends, said, failing = {}, [], [], [fails_at]

    class Server(Kept):
        def __init__(self):
            super().__init__(last_step=max(held, default=0))
            self.steps, self.ends = held, ends

        def _lose(self, call):
            if failing == [call]:
                failing.clear()
                raise ConnectionError("502")

        def write(self, step, figures):
            super().write(step, figures)
            if step == 3:
                self._lose("write")

        def close(self, *, succeeded):
            super().close(succeeded=succeeded)
            self._lose("close")

    with Relays({"mlflow": Server}, said.append) as sinks:
        for step in range(1, 4):
            sinks.write(line(step))
    assert list(held) == [1, 2, 3]
    assert set(ends) == {True}
    _, out, again = said
    assert "is tried again" in out
    assert again == "Metrics go to mlflow again, memory, and it has ended after step 3"


def test_steps_that_a_sink_took_and_lost_are_told_once():
    """Its process died with what it had not sent."""
    opened, said = [], []

    class Lossy(Kept):
        def __init__(self):
            super().__init__(last_step=1 if opened else 0, breaks_at=4 if not opened else None)
            opened.append(self)

    with Relays({"wandb": Lossy}, said.append) as sinks:
        for step in range(1, 6):
            sinks.write(line(step))
    assert [list(one.steps) for one in opened] == [[1, 2, 3], [4, 5]]
    gap = "The sink wandb lacks steps 2 to 3; metrics.jsonl has them"
    assert said.count(gap) == 1
    assert sum("lacks" in text for text in said) == 1


def test_the_pauses_of_an_outage_double_up_to_the_longest(monkeypatch):
    waited = []

    class Ending(threading.Event):
        def wait(self, timeout=None):
            waited.append(timeout)
            return len(waited) == 8

    def refuse():
        raise ConnectionError("502")

    monkeypatch.setattr(relay, "Event", Ending)
    with Relays({"shut": refuse}, lambda text: None):
        pass
    assert waited == [15, 30, 60, 120, 240, 480, 600, 600]


def test_a_sink_that_cannot_be_opened_is_said_once():
    def refuse():
        raise PermissionError("no key")

    said = []
    with Relays({"shut": refuse}, said.append) as sinks:
        for step in range(1, 4):
            sinks.write(line(step))
    failure, last = said
    assert "PermissionError: no key" in failure and "left out" not in failure
    assert "after step 0, and is left out" in last


def test_a_slow_sink_does_not_hold_the_stage_up():
    gate, sink = threading.Event(), Kept()

    def slow():
        gate.wait()
        return sink

    with Relays({"slow": slow}, lambda text: None) as sinks:
        for step in range(1, 4):
            sinks.write(line(step))  # would wait for ever, were it written here
        gate.set()
    assert list(sink.steps) == [1, 2, 3]


def hung(gate, sink, begun):
    """A sink whose first step is on its way, which `begun` tells, until the gate opens."""
    write = sink.write

    def late(step, figures):
        begun.set()
        gate.wait()
        write(step, figures)

    sink.write = late
    return sink


@pytest.mark.parametrize(
    ("fails", "kept", "said"),
    [(True, [1], "left to the next attempt"), (False, [1, 2, 3], "still being sent")],
)
def test_what_is_late_is_sent_only_if_no_attempt_follows(monkeypatch, fails, kept, said):
    monkeypatch.setattr(relay, "SINKS_SECONDS", 0.01)
    gate, begun, sink, told = threading.Event(), threading.Event(), Kept(), []
    sinks = Relays({"slow": lambda: hung(gate, sink, begun)}, told.append)
    for step in range(1, 4):
        sinks.write(line(step))
    assert begun.wait(60)
    sinks.__exit__(None, KeyError() if fails else None, None)
    assert any(said in text for text in told)
    gate.set()
    sinks._relays[0]._thread.join()  # what is left
    assert list(sink.steps) == kept
    assert sink.ends == ([] if fails else [True])
    assert not any("failed" in text for text in told)


def test_a_sink_that_is_left_says_no_more(monkeypatch):
    """The next attempt may have it open: nothing is tried again, or let go of, beside that."""
    monkeypatch.setattr(relay, "SINKS_SECONDS", 0.01)
    gate, begun, sink, told = threading.Event(), threading.Event(), Kept(breaks_at=1), []
    sinks = Relays({"slow": lambda: hung(gate, sink, begun)}, told.append)
    sinks.write(line(1))
    assert begun.wait(60)
    sinks.__exit__(None, KeyError(), None)
    gate.set()
    sinks._relays[0]._thread.join()
    assert told[1:] == ["The sink slow is slow: its last steps are left to the next attempt"]
    assert sink.num_drops == 0


def test_all_sinks_are_told_of_the_end_before_any_is_waited_for():
    last, first, said = Kept(), Kept(), []
    done, close_first, close_last = threading.Event(), first.close, last.close

    def after_the_last(*, succeeded):
        assert done.wait(500)
        close_first(succeeded=succeeded)

    def tell(*, succeeded):
        close_last(succeeded=succeeded)
        done.set()

    first.close, last.close = after_the_last, tell
    with Relays({"first": lambda: first, "last": lambda: last}, said.append):
        pass
    assert (first.ends, last.ends) == ([True], [True])
    assert not any("slow" in text for text in said)


def test_all_sinks_are_waited_for_until_one_time(monkeypatch):
    deadlines = []
    monkeypatch.setattr(relay.Relay, "wait", lambda self, by, *, succeeded: deadlines.append(by))
    with Relays({"first": Kept, "last": Kept}, lambda text: None):
        pass
    assert len(deadlines) == 2 and len(set(deadlines)) == 1


# Of two sinks one never answers, and one does as soon as the process is about to end.
LATE = """
import atexit, time
from threading import Event
from infra.sinks import relay

class Sink:
    place, last_step = "memory", 0
    def __init__(self, gate):
        self._gate = gate
    def write(self, step, figures):
        self._gate.wait()
        time.sleep(0.2)
        print("step", step, flush=True)
    def close(self, *, succeeded):
        print("closed", succeeded, flush=True)

relay.SINKS_SECONDS, relay.LATE_SECONDS = 0.01, 2.0
gate = Event()
with relay.Relays({"hung": lambda: Sink(Event()), "slow": lambda: Sink(gate)}, print) as sinks:
    for step in (1, 2):
        sinks.write({"step": step, "num_steps": 2, "loss": 0.5})
atexit.register(gate.set)
"""


def test_a_process_ends_whose_sink_does_not_and_sends_what_is_late():
    process = [sys.executable, "-c", LATE]
    done = subprocess.run(process, capture_output=True, text=True, timeout=300, check=True)
    sent = [text for text in done.stdout.splitlines() if text.startswith(("step", "closed"))]
    assert sent == ["step 1", "step 2", "closed True"], done.stderr


def test_how_the_stage_ended_is_handed_on():
    sink = Kept()
    with pytest.raises(KeyError), Relays({"kept": lambda: sink}, lambda text: None):
        raise KeyError
    assert sink.ends == [False]


def test_figures_are_numbers_that_have_a_value():
    given = {"step": 3, "num_steps": 9, "seconds": 2, "skipped_update": 0, "loss": None}
    assert figures_of(given) == {"seconds": 2.0, "skipped_update": 0.0}
