"""Which of the responses in several files count, and which are read."""

from itertools import permutations

import pyarrow.parquet as pq
import pytest

from training.rollout.protocol import Prompt, Request, SamplingSettings
from training.runtime.metrics import MetricsLog
from training.sampling.chunks import read_chunks, stream_chunks, write_chunk
from training.sampling.job import SamplingJob


@pytest.mark.parametrize("order", permutations(("failed", "unjudged", "judged", "judged later")))
def test_of_several_chunks_the_first_verified_one_counts(order, tmp_path):
    row = {"request": "one", "sample": 0, "num_tokens": 1, "truncated": False, "failure": ""}
    written = {
        "failed": {**row, "failure": "no answer", "outcome": "unparseable"},
        "unjudged": row,
        "judged": {**row, "outcome": "right"},
        "judged later": {**row, "outcome": "right"},
    }
    for number, name in enumerate(order):
        write_chunk([{**written[name], "text": name}], tmp_path, str(number))
    (found,) = read_chunks([tmp_path])
    assert found[0]["text"] == next(name for name in order if name.startswith("judged"))
    for path in sorted(tmp_path.glob("chunk-*")):
        if pq.read_table(path, columns=["outcome"]).column(0)[0].as_py() == "right":
            path.unlink()
    (found,) = read_chunks([tmp_path])
    assert found[0]["text"] == "unjudged"


def test_of_several_unverified_chunks_the_first_counts_however_they_are_read(tmp_path):
    row = {"request": "one", "sample": 0, "num_tokens": 1, "truncated": False, "failure": ""}
    for number, text in enumerate(("first", "second")):
        write_chunk([{**row, "text": text}], tmp_path, str(number))
    found = [*read_chunks([tmp_path]), *stream_chunks([tmp_path], {"one"})]
    assert [rows[0]["text"] for rows in found] == ["first", "first"]


def test_only_the_requests_that_are_wanted_are_kept(tmp_path):
    row = {"sample": 0, "text": "", "num_tokens": 1, "truncated": False, "failure": ""}
    for number in range(3):
        names = f"a{number}", f"b{number}"
        write_chunk([{**row, "request": name} for name in names], tmp_path, str(number))

    def found(requests):
        return sorted(rows[0]["request"] for rows in stream_chunks([tmp_path], requests))

    assert found(["b1", "a2", "elsewhere"]) == ["a2", "b1"]
    assert found([]) == [] and len(read_chunks([tmp_path])) == 6


def test_a_request_is_streamed_once_from_the_first_file_in_which_it_did_not_fail(tmp_path):
    row = {"request": "a", "num_tokens": 1, "truncated": False, "failure": ""}
    for number, failure in enumerate(("no answer", "", "")):
        rows = [
            {**row, "sample": sample, "text": f"{number}", "failure": failure} for sample in (1, 0)
        ]
        write_chunk(rows, tmp_path, str(number))
    (found,) = stream_chunks([tmp_path], {"a"})
    assert [(one["sample"], one["text"]) for one in found] == [(0, "1"), (1, "1")]


def test_verdicts_are_of_responses_that_came(tmp_path):
    """A prompt without room, or an endpoint that is away, says nothing of a problem."""
    settings = SamplingSettings(12, samples_per_prompt=2)
    requests = [Request(name, Prompt(name, []), settings, "5", "judge") for name in "ab"]
    came = {"text": "", "num_tokens": 1, "truncated": False, "num_prompt_tokens": 1}
    failed = {"failure": "prompt too long", "outcome": "unparseable"}
    told = [{"failure": "", "outcome": "right"}, failed, failed, failed]
    rows = [
        {**came, **one, "request": requests[number // 2].key, "sample": number % 2}
        for number, one in enumerate(told)
    ]
    write_chunk(rows, tmp_path, "made")
    with SamplingJob(seed=0, judges={}, log=MetricsLog(None), resume=tmp_path) as job:
        assert job.outcomes(requests) == [["right"], []]
        assert [len(one) for one in job.answers(requests)] == [2, 2]
