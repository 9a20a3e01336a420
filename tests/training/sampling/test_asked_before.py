"""What a sampling job takes of what was asked before, under whatever ids and references."""

import json
import signal
import time
from collections import Counter
from dataclasses import replace

import pytest

from contracts.errors import Preempted
from training.rollout.protocol import Prompt, Request, Sample, SamplingSettings
from training.runtime import device
from training.runtime.metrics import MetricsLog
from training.sampling import job, writer
from training.sampling.chunks import read_chunks
from training.sampling.job import SamplingJob

SETTINGS = SamplingSettings(12, temperature=1.0, samples_per_prompt=3)
REQUESTS = [Request(f"{n}", Prompt(f"{n} + 1?"), SETTINGS, "5", "rule") for n in range(9)]


class Scripted:
    """Answers by the prompt and the number, as an engine does, and counts."""

    def __init__(self):
        self.asked = []

    def stream(self, lots, seed):
        for lot in lots:
            self.asked += [request.id for request in lot]
            yield [
                (one, [Sample(f"{one.prompt.question} {n}", 1, False) for n in one.numbers])
                for one in lot
            ]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    device.start(1)
    monkeypatch.setattr(writer, "FLUSH_SECONDS", 0.01)


@pytest.fixture
def ask(tmp_path):
    """Runs an attempt that saves into a folder of its own; returns who was asked, and answers."""
    judged = Counter()

    def judge(requests, responses):
        judged.update(request.id for request in requests)
        return ["right" if one.reference == "5" else "wrong" for one in requests]

    def run(requests, name, resume=None, judges=(("rule", judge), ("other", judge)), engine=None):
        judged.clear()
        engine, log = engine or Scripted(), tmp_path / f"{name}.jsonl"
        with SamplingJob(
            seed=0,
            judges=dict(judges) if judges else None,
            log=MetricsLog(log),
            save=tmp_path / name,
            resume=tmp_path / resume if resume else None,
        ) as sampling:
            sampling.start(requests)
            sampling.ask(requests, lambda: engine)
            lines = [json.loads(line) for line in log.read_text().splitlines()]
            assert lines[-1]["step"] == lines[-1]["num_steps"] == 3 * len(requests)
            return sorted(engine.asked), sampling.answers(requests)

    run.judged = judged
    return run


def texts(answers):
    return [[row["text"] for row in rows] for rows in answers]


@pytest.mark.parametrize("num_waiting", [1, 1024])
def test_a_row_in_front_of_all_others_is_asked_alone(num_waiting, ask, tmp_path, monkeypatch):
    """A file without ids: the others have new numbers."""
    monkeypatch.setattr(job, "MAX_WAITING", num_waiting)
    _, expected = ask(REQUESTS, "whole")
    new = replace(REQUESTS[0], prompt=Prompt("What is new?"))
    shifted = [new, *(replace(one, id=f"{int(one.id) + 1}") for one in REQUESTS)]
    asked, found = ask(shifted, "shifted", "whole")
    assert asked == ["0"]
    assert texts(found[1:]) == texts(expected)
    assert [{row["request"] for row in rows} for rows in found] == [{one.key} for one in shifted]
    assert ask.judged == {str(number): 3 for number in range(10)}
    # By now they are written under these ids.
    assert ask(shifted, "again", "shifted") == ([], found)
    assert ask.judged == {}


def test_where_a_reference_is_corrected_the_responses_are_verified_again(ask, tmp_path):
    _, before = ask(REQUESTS, "whole")
    corrected = [replace(REQUESTS[0], reference="6"), *REQUESTS[1:]]
    asked, found = ask(corrected, "corrected", "whole")
    assert asked == [] and ask.judged == {"0": 3}
    assert {row["outcome"] for row in found[0]} == {"wrong"}
    assert texts(found) == texts(before) and found[1:] == before[1:]


def test_what_was_answered_before_is_verified_while_the_others_are_asked(ask):
    ask(REQUESTS[:2], "before")
    at_the_end = []

    class Patient(Scripted):
        def stream(self, lots, seed):
            yield from super().stream(lots, seed)
            deadline = time.monotonic() + 20.0
            while "0" not in ask.judged and time.monotonic() < deadline:
                time.sleep(0.01)
            at_the_end.extend(ask.judged)

    corrected = [replace(REQUESTS[0], reference="6"), *REQUESTS[1:]]
    asked, found = ask(corrected, "corrected", "before", engine=Patient())
    assert "0" not in asked and "0" in at_the_end
    assert {row["outcome"] for row in found[0]} == {"wrong"}
    assert ask.judged == {str(number): 3 for number in (0, *range(2, 9))}


def test_a_stop_reads_nothing_more_of_what_was_answered_before(ask, tmp_path):
    """It stays where it is; a stop has only so many seconds."""
    ask(REQUESTS[:2], "before")

    class Told(Scripted):
        def stream(self, lots, seed):
            for finished in super().stream(lots, seed):
                signal.raise_signal(signal.SIGTERM)
                yield finished

    corrected = [replace(REQUESTS[0], reference="6"), *REQUESTS[1:]]
    with pytest.raises(Preempted):
        ask(corrected, "told", "before", engine=Told())
    written = {rows[0]["request"] for rows in read_chunks([tmp_path / "told"])}
    assert written and corrected[0].key not in written


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt": Prompt("0 + 2?")},
        {"settings": replace(SETTINGS, temperature=0.5)},
        {"asked": "grader"},
        {"first_sample": 3},
    ],
)
def test_who_is_asked_something_else_is_asked(changes, ask):
    ask(REQUESTS, "whole")
    asked, _ = ask([replace(REQUESTS[0], **changes)], "other", "whole")
    assert asked == ["0"]


def test_requests_of_one_job_that_ask_the_same_are_each_asked(ask):
    twins = [REQUESTS[4], replace(REQUESTS[4], id="twin", judge="other")]
    asked, (first, second) = ask(twins, "twins")
    assert asked == ["4", "twin"] and texts([first]) == texts([second])
    ask(twins[:1], "one")
    asked, found = ask(twins, "both", "one")
    assert asked == ["twin"] and found == [first, second]
    # Under other names both have what one of them was answered.
    renamed = [replace(one, id=f"renamed {one.id}") for one in twins]
    asked, found = ask(renamed, "renamed", "one")
    assert asked == [] and texts(found) == texts([first] * 2)
    assert ask.judged == {"renamed 4": 3, "renamed twin": 3}


def test_without_judges_responses_are_kept_as_they_were_drawn(ask, tmp_path):
    _, found = ask(REQUESTS, "whole", judges=())
    assert {row["outcome"] for rows in found for row in rows} == {None}
    assert ask(REQUESTS, "again", "whole", judges=()) == ([], found)
    assert read_chunks([tmp_path / "again"]) == []  # they are where they were
    # Whoever verifies takes them, too.
    asked, judged = ask(REQUESTS, "judged", "whole")
    assert asked == [] and {row["outcome"] for rows in judged for row in rows} == {"right"}
