"""The sampling job on one process: what it asks, what it keeps, and what a stop loses."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from contracts.errors import Preempted
from infra.launcher import stage_environment
from infra.settings import PROJECT_ROOT
from training.answers import Verifier
from training.model.policy import load_policy
from training.recipe.model import ModelRecipe
from training.rollout.protocol import Prompt, Request, SamplingSettings
from training.rollout.transformers_engine import TransformersEngine
from training.runtime import device
from training.runtime.metrics import MetricsLog
from training.runtime.preemption import Notice
from training.sampling import job, lots, writer
from training.sampling.chunks import read_chunks, write_chunk
from training.sampling.job import SamplingJob
from training.sampling.problems import answer, request_of

SETTINGS = SamplingSettings(12, temperature=1.0, top_p=0.9, samples_per_prompt=3)
NUM_REQUESTS = 9


class Killed(Exception):
    pass


class Watched:
    """An engine that counts what it is asked, and dies before the lot of a given number."""

    def __init__(self, policy, dies_at=None):
        self.engine, self.dies_at, self.asked = TransformersEngine(policy), dies_at, []

    def stream(self, taken, seed):
        def counted():
            for number, lot in enumerate(taken):
                if number == self.dies_at:
                    raise Killed
                self.asked += [request.id for request in lot]
                yield lot

        yield from self.engine.stream(counted(), seed)


@pytest.fixture(scope="module")
def policy(tiny_model_folder):
    device.start(1)
    return load_policy(tiny_model_folder, ModelRecipe(path="unused"), system_prompt="Be brief.")


@pytest.fixture(autouse=True)
def small_lots(monkeypatch):
    monkeypatch.setattr(lots, "MAX_LOT_RESPONSES", 6)  # two requests
    monkeypatch.setattr(writer, "FLUSH_SECONDS", 0.01)


@pytest.fixture
def requests(images):
    return [
        Request(
            str(number),
            Prompt("What is shown?" + "!" * number, images[: number % 3]),
            SETTINGS,
            reference="5",
            judge="even" if number % 2 else "odd",
        )
        for number in range(NUM_REQUESTS)
    ]


@pytest.fixture
def sample(tmp_path, requests):
    """Runs an attempt, which saves into a folder of its own; returns what it ends with."""
    judged = Counter()

    def judge(asked, responses):
        judged.update(request.id for request in asked)
        return ["right" if len(text) % 2 else "wrong" for text in responses]

    def run(engine, name, resume=None, asked=requests, seed=0, judge=judge, notice=None):
        judged.clear()
        with SamplingJob(
            seed=seed,
            judges={"even": judge, "odd": judge},
            log=MetricsLog(tmp_path / f"{name}.jsonl"),
            save=tmp_path / name,
            resume=resume,
            notice=notice,
        ) as job:
            job.start(asked)
            job.ask(asked, lambda: engine)
            answers = job.answers(asked)
            came = [[row for row in rows if not row["failure"]] for rows in answers]
            assert [[row["outcome"] for row in rows] for rows in came] == job.outcomes(asked)
            return answers

    run.judged = judged
    return run


def asked_twice(policy, save):
    """Two rounds of lots of two requests, on however many processes; each has all answers."""
    rounds = [
        [
            Request(f"{number}", Prompt("Say" + "!" * number, []), SETTINGS, "5", "odd")
            for number in range(start, start + 5)
        ]
        for start in (0, 5)
    ]

    def judge(asked, responses):
        return ["right" if len(text) % 2 else "wrong" for text in responses]

    with (
        pytest.MonkeyPatch.context() as patch,
        SamplingJob(seed=0, judges={"odd": judge}, log=MetricsLog(None), save=save) as job,
    ):
        patch.setattr(lots, "MAX_LOT_RESPONSES", 6)
        is_first = device.rank() == 0
        if is_first:
            job.start([request for asked in rounds for request in asked])
        for asked in rounds:
            job.ask(asked if is_first else [], lambda: TransformersEngine(policy))
        return [job.answers(asked) for asked in rounds]


def chunks(folder):
    return sorted(folder.glob("chunk-*.parquet"))


def test_every_response_is_answered_and_verified_once(policy, requests, sample, tmp_path):
    engine = Watched(policy)
    answers = sample(engine, "whole")
    assert sorted(engine.asked) == [str(number) for number in range(NUM_REQUESTS)]
    assert sample.judged == {str(number): 3 for number in range(NUM_REQUESTS)}
    assert [[(row["request"], row["sample"]) for row in rows] for rows in answers] == [
        [(request.key, number) for number in range(3)] for request in requests
    ]
    assert len({row["text"] for rows in answers for row in rows}) > NUM_REQUESTS
    assert [path.name for path in (tmp_path / "whole").iterdir() if path.is_dir()] == []
    lines = [json.loads(line) for line in (tmp_path / "whole.jsonl").read_text().splitlines()]
    assert (lines[0]["step"], lines[-1]["step"], lines[-1]["num_steps"]) == (0, 27, 27)
    assert lines[-1]["verification_right"] + lines[-1]["verification_wrong"] == 27
    assert lines[-1]["tokens_per_second"] > 0 and lines[-1]["responses_per_second"] > 0


@pytest.mark.parametrize("dies_at", range(5))
def test_what_a_kill_leaves_is_not_asked_again_and_the_bytes_are_the_same(
    dies_at, policy, requests, sample, tmp_path
):
    expected = sample(Watched(policy), "whole")
    killed = Watched(policy, dies_at)
    with pytest.raises(Killed):
        sample(killed, "killed")
    left = Watched(policy)
    assert sample(left, "resumed", tmp_path / "killed") == expected
    assert sorted(killed.asked + left.asked) == sorted(request.id for request in requests)
    assert sample.judged.keys() == set(left.asked)
    lines = [json.loads(line) for line in (tmp_path / "resumed.jsonl").read_text().splitlines()]
    assert (lines[0]["step"], lines[-1]["step"]) == (3 * len(killed.asked), 27)


def test_any_chunk_may_be_lost_or_there_twice(policy, sample, tmp_path):
    expected = sample(Watched(policy), "whole")
    with pytest.raises(Killed):
        sample(Watched(policy, 3), "killed")
    sample(Watched(policy), "again", tmp_path / "killed")
    for path in chunks(tmp_path / "killed"):
        path.rename(tmp_path / "again" / f"chunk-twice-{path.name}")
    chunks(tmp_path / "again")[0].unlink()
    assert sample(Watched(policy), "last", tmp_path / "again") == expected


def test_what_is_all_there_opens_no_engine(sample, policy, tmp_path):
    expected = sample(Watched(policy), "whole")
    assert sample(None, "again", tmp_path / "whole") == expected


def test_answers_to_other_requests_do_not_count(policy, requests, sample, tmp_path):
    expected = sample(Watched(policy), "few", asked=requests[:4])
    sample(Watched(policy), "whole")
    found = sample(None, "few again", tmp_path / "whole", asked=requests[:4])
    assert [rows[0]["request"] for rows in found] == [rows[0]["request"] for rows in expected]
    (line, *_) = (tmp_path / "few again.jsonl").read_text().splitlines()
    assert (json.loads(line)["step"], json.loads(line)["num_steps"]) == (12, 12)


def test_a_notice_saves_what_is_finished_and_the_rest_is_asked_later(policy, sample, tmp_path):
    expected = sample(Watched(policy), "whole")

    class Told(Watched):
        def stream(self, taken, seed):
            for number, finished in enumerate(super().stream(taken, seed)):
                if number == 1:
                    signal.raise_signal(signal.SIGTERM)
                yield finished

    told = Told(policy)
    with pytest.raises(Preempted, match="12 responses are saved"):
        sample(told, "told")
    assert len(told.asked) == 4
    left = Watched(policy)
    assert sample(left, "later", tmp_path / "told") == expected
    assert len(left.asked) == NUM_REQUESTS - 4


@pytest.fixture
def told_while_judging(sample):
    """Runs an attempt whose judge goes on until the stage is told to stop, which it then is."""

    def run(engine, name, **changes):
        notice = Notice()

        def endless(asked, responses):
            os.kill(os.getpid(), signal.SIGTERM)  # to the main thread, as from outside
            while True:
                notice.check()
                time.sleep(0.01)

        with pytest.raises(Preempted, match=f"{3 * 2} responses are saved"):
            sample(engine, name, judge=endless, notice=notice, **changes)

    return run


def test_a_stop_waits_for_no_verdict_and_loses_no_response(
    policy, requests, sample, told_while_judging, tmp_path
):
    expected = sample(Watched(policy), "whole")
    one_lot = requests[0:3:2]
    told_while_judging(Watched(policy), "told", asked=one_lot)
    left = read_chunks([tmp_path / "told"])
    assert {row["outcome"] for rows in left for row in rows} == {None}
    # All was answered: no engine is opened, and everything is verified once.
    found = sample(None, "later", tmp_path / "told", asked=one_lot)
    assert found == [expected[0], expected[2]]
    assert sample.judged == {"0": 3, "2": 3}
    lines = [json.loads(line) for line in (tmp_path / "later.jsonl").read_text().splitlines()]
    # Drawn before this attempt: counted, and in no rate.
    assert (lines[0]["step"], lines[-1]["step"]) == (6, 6)
    assert lines[0]["verification_right"] + lines[0]["verification_wrong"] == 0
    assert lines[-1]["verification_right"] + lines[-1]["verification_wrong"] == 6
    assert {line["responses_per_second"] + line["tokens_per_second"] for line in lines} == {0}
    # Then the others are asked, and nothing twice.
    others = Watched(policy)
    for path in chunks(tmp_path / "told"):
        path.rename(tmp_path / "later" / f"chunk-told-{path.name}")
    assert sample(others, "last", tmp_path / "later") == expected
    assert sorted(others.asked) == sorted({str(n) for n in range(NUM_REQUESTS)} - {"0", "2"})


def test_a_second_stop_keeps_what_waits_for_its_verdict(
    policy, requests, sample, told_while_judging, tmp_path
):
    one_lot = requests[0:3:2]
    told_while_judging(Watched(policy), "told", asked=one_lot)
    told_while_judging(None, "again", resume=tmp_path / "told", asked=one_lot)
    for path in chunks(tmp_path / "told"):  # the store has what both saved
        path.rename(tmp_path / "again" / f"chunk-told-{path.name}")
    found = sample(None, "later", tmp_path / "again", asked=one_lot)
    assert sample.judged == {"0": 3, "2": 3}
    assert found == sample(Watched(policy), "whole", asked=one_lot)


def test_of_what_is_verified_no_text_is_read_to_verify_the_rest(
    policy, requests, sample, told_while_judging, monkeypatch, tmp_path
):
    one_lot = requests[0:3:2]
    told_while_judging(Watched(policy), "told", asked=one_lot)
    sample(Watched(policy), "rest", asked=requests[3:])
    for path in chunks(tmp_path / "rest"):
        path.rename(tmp_path / "told" / f"chunk-rest-{path.name}")
    texts = []

    def noting(read):
        def noted(*arguments):
            found = list(read(*arguments))
            texts.append({rows[0]["request"] for rows in found if "text" in rows[0]})
            return found

        return noted

    for name in ("read_chunks", "stream_chunks"):
        monkeypatch.setattr(job, name, noting(getattr(job, name)))
    asked = [*one_lot, *requests[3:]]
    sample(None, "later", tmp_path / "told", asked=asked)
    everything = {one.key for one in asked}
    # The fixture asks for all of them.
    assert [one for one in texts if one] == [{one.key for one in one_lot}, everything]


def test_a_prompt_without_room_is_answered_for_good(policy, tmp_path, requests, sample):
    """Nothing is asked: the failure of an earlier attempt is final, another one is not."""
    row = {"request": requests[0].key, "text": "", "num_tokens": 0, "truncated": False}
    row |= {"outcome": "unparseable", "failure": "prompt too long: 9 tokens leave no room"}
    written = [{**row, "sample": number} for number in range(3)]
    (tmp_path / "final").mkdir()
    write_chunk(written, tmp_path / "final", "0")
    (found,) = sample(None, "later", tmp_path / "final", asked=requests[:1])
    assert {one["failure"] for one in found} == {row["failure"]}
    (tmp_path / "passing").mkdir()
    write_chunk([{**one, "failure": "status 503"} for one in written], tmp_path / "passing", "0")
    engine = Watched(policy)
    sample(engine, "again", tmp_path / "passing", asked=requests[:1])
    assert engine.asked == ["0"]


def test_responses_belong_to_seed_prompt_and_number(policy, requests, sample):
    """Whatever else is asked, and in whichever order; on a CPU up to the last bits of a product."""
    texts_of = [[row["text"] for row in rows] for rows in sample(Watched(policy), "whole")]
    others = sample(Watched(policy), "other seed", seed=1)
    assert all(
        [row["text"] for row in rows] != texts for rows, texts in zip(others, texts_of, strict=True)
    )
    alone = sample(Watched(policy), "alone", asked=requests[4:5])
    assert [row["text"] for row in alone[0]] == texts_of[4]


def test_a_writer_that_fails_ends_the_job(policy, requests, tmp_path):
    def judge(asked, responses):
        raise ZeroDivisionError

    with (
        pytest.raises(ZeroDivisionError),
        SamplingJob(
            seed=0, judges={"even": judge, "odd": judge}, log=MetricsLog(None), save=tmp_path
        ) as job,
    ):
        job.ask(requests, lambda: TransformersEngine(policy))


def test_chunks_hold_whole_requests(policy, sample, tmp_path):
    sample(Watched(policy), "whole")
    files = chunks(tmp_path / "whole")
    assert files
    for path in files:
        rows = pq.read_table(path, columns=["request", "sample"]).to_pylist()
        counts = Counter(row["request"] for row in rows)
        assert set(counts.values()) == {3}


def test_validation_answers_with_the_engine_that_trains(policy, new_problem):
    problems = [new_problem(number, with_image=number % 2 == 0) for number in range(5)]
    engine = TransformersEngine(policy)
    state, training = torch.get_rng_state(), policy.model.train().training
    with Verifier(timeout_seconds=60, batch_seconds=600) as verifier:
        answers, again, others = (
            answer(engine, verifier, problems, SETTINGS, seed) for seed in (3, 3, 4)
        )
    assert torch.equal(torch.get_rng_state(), state) and policy.model.training == training
    assert [rows[0]["request"] for rows in answers] == [
        request_of(problem, SETTINGS).key for problem in problems
    ]
    assert [len(rows) for rows in answers] == [3] * 5
    assert answers == again != others


@pytest.mark.slow
def test_nodes_that_share_no_disk_have_the_answers_of_one_process(
    policy, tiny_model_folder, tmp_path
):
    expected = asked_twice(policy, tmp_path / "whole")
    for node in range(2):
        (tmp_path / f"node-{node}").mkdir()
    program = str(Path(__file__).with_name("two_nodes.py"))
    agents = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "infra.torchrun", "--nodes", "2", "--node", str(node)),
                *("--meet", str(tmp_path / "meet"), "--nproc-per-node", "1"),
                *(program, str(tiny_model_folder), str(tmp_path)),
            ],
            cwd=PROJECT_ROOT,
            env=stage_environment(1),
        )
        for node in (1, 0)  # the order in which they start does not matter
    ]
    assert [agent.wait(timeout=300) for agent in agents] == [0, 0]
    for node in range(2):
        assert (tmp_path / f"node-{node}" / "answers").read_text() == repr(expected)
        saved = chunks(tmp_path / f"node-{node}" / "saved")
        assert all(path.name.startswith(f"chunk-{node}-") for path in saved)
        assert list((tmp_path / f"node-{node}" / "saved").glob(".sampling-*")) == []
    both = [path for node in range(2) for path in chunks(tmp_path / f"node-{node}" / "saved")]
    assert sum(pq.read_metadata(path).num_rows for path in both) == 2 * 5 * 3
