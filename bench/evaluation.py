"""The ten benchmarks at full size without a model: fetched, read, answered, scored, on one core.

`python -m bench.evaluation [--only mathverse ...]` prints the table of `docs/benchmarks.md`; its
seconds are the processor's. Each benchmark is a full-size copy with content of our own
(`experiments.synthetic_benchmarks`), served by a hub on loopback and read by the code of a run. Two
policies answer it by what is known beforehand to be right or wrong; a verdict that differs from it
ends the command.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil
from datasets import disable_progress_bars

from contracts.scores import Verdicts
from experiments.synthetic_benchmarks import answers
from experiments.synthetic_benchmarks.files import REPOSITORIES, write_repository
from experiments.synthetic_benchmarks.pictures import figure
from tests.hub import Hub, hub_server
from tests.tasks.machine import Machine, recipe
from training.answers import Outcome, Verifier
from training.evaluation.asking import (
    Answered,
    Pair,
    judge_of,
    predictions_of,
)
from training.evaluation.items import Item
from training.evaluation.registry import find_benchmark, load_benchmarks
from training.evaluation.requests import requests_of, settings_of
from training.evaluation.summary import write_scores
from training.evaluation.verdicts import rules_digest, scorer
from training.recipe.recipe import Recipe
from training.rollout.protocol import Finished, Request, Sample
from training.runtime import device
from training.runtime.metrics import MetricsLog
from training.sampling.job import SamplingJob
from training.sampling.verdicts import Judge, finished_again, judged

SHARES = {"base": 0.3, "later": 0.7}  # of right answers, by policy
SAMPLES = {"aime24": 32, "aime25": 32}  # mean@32; the others are answered once
WANTED_PER_SECOND = 2_000.0


@dataclass(frozen=True)
class Measured:
    """One benchmark: what there was of it, and how long each part took.

    Attributes:
        name: The benchmark.
        num_items: Items that it asks.
        num_bytes: Bytes of the files that were fetched.
        num_answers: Answers of both policies.
        fetch_seconds: Listing, downloading and digesting the files.
        load_seconds: Reading the rows, and decoding every image.
        job_seconds: Handing out requests with their images, and writing and reading answers.
        start_seconds: Start of the process for algebra, which imports sympy, once a stage.
        score_seconds: From answers to scores: what is taken from them, verdicts, predictions,
            metrics, intervals, gains; without that start.
    """

    name: str
    num_items: int
    num_bytes: int
    num_answers: int
    fetch_seconds: float
    load_seconds: float
    job_seconds: float
    start_seconds: float
    score_seconds: float

    @property
    def answers_per_second(self) -> float:
        """Scored answers a second."""
        return self.num_answers / self.score_seconds

    def __str__(self) -> str:
        return (
            f"| `{self.name}` | {self.num_items:,} | {self.num_bytes / 2**20:.1f} "
            f"| {self.fetch_seconds:.1f} | {self.load_seconds:.1f} | {self.num_answers:,} "
            f"| {self.job_seconds:.2f} | {self.start_seconds:.2f} | {self.score_seconds:.2f} "
            f"| {self.answers_per_second:,.0f} |"
        )


class Script:
    """An `Answerer` that has every answer beforehand."""

    def __init__(self, texts: Mapping[str, Sequence[str]]) -> None:
        self._texts = texts

    def stream(self, lots: Iterator[Sequence[Request]], seed: int) -> Iterator[list[Finished]]:
        """See `training.rollout.protocol.Answerer.stream`."""
        for lot in lots:
            yield [
                (request, [Sample(text, len(text) // 4, False) for text in self._texts[request.id]])
                for request in lot
            ]


def processor_seconds() -> float:
    """Seconds that this process and its ended children have computed so far.

    What else runs on the machine does not count, but for what it does to caches.
    """
    return time.process_time() + children_seconds()


def children_seconds() -> float:
    """Seconds that children of this process have computed, of those that have ended."""
    times = os.times()
    return times.children_user + times.children_system


def started_seconds(verifier: Verifier) -> float:
    """Starts the process for algebra, and says how long that has computed."""
    verifier.verify([r"\boxed{1 + \lfloor x \rfloor}"], [r"\lfloor x \rfloor + 1"])
    return sum(sum(process.cpu_times()[:4]) for process in psutil.Process().children())


def timed(judge: Judge, seconds: list[float]) -> Judge:
    """The same judge, which enters how long its own thread computed."""

    def judge_and_note(requests: Sequence[Request], responses: Sequence[str]) -> list[Outcome]:
        start = time.thread_time()
        found = judge(requests, responses)
        seconds.append(time.thread_time() - start)
        return found

    return judge_and_note


def published(name: str, hub: Hub, folder: Path, num_clusters: int | None = None) -> None:
    """Puts a copy of a benchmark onto the hub, where the published one lies."""
    place = find_benchmark(name).PLACE
    assert place is not None
    paths = write_repository(name, folder, figure, num_clusters=num_clusters)
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
    hub.repo(f"datasets/{place.path}").commit(files, branch=place.revision)


def recipe_of(name: str) -> Recipe:
    """A recipe that asks the benchmark alone."""
    asked = {"name": name, "samples_per_problem": SAMPLES.get(name, 1), "temperature": 1.0}
    return recipe(evaluation={"benchmarks": [asked], "max_response_tokens": 1024})


def measure(name: str, home: Path, num_clusters: int | None = None) -> Measured:
    """Fetches, reads, answers and scores one benchmark.

    Raises:
        RuntimeError: A verdict is not what it has to be.
    """
    with hub_server() as (address, hub):
        os.environ["HF_ENDPOINT"] = address
        published(name, hub, home / "hub", num_clusters)
        wanted, machine = recipe_of(name), Machine(home / "machine", str(home / "store"))
        start = processor_seconds()
        inputs = machine.resolve(wanted)
        folders = {one: machine.folder(found) for one, found in inputs.benchmarks.items()}
        fetched = processor_seconds()
    items = load_benchmarks(wanted.evaluation, folders)[name]
    loaded = processor_seconds()
    num_bytes = sum(
        path.stat().st_size for folder in folders.values() for path in folder.rglob("*.parquet")
    )
    texts, is_right = script_of(items, wanted)
    asked, children = processor_seconds(), children_seconds()
    verdict_seconds: list[float] = []
    rows, started = answered(items, wanted, texts, verdict_seconds)
    verdict_seconds.append(children_seconds() - children - started)  # algebra is theirs
    judged = processor_seconds()
    by = {name: Verdicts(rules=rules_digest(items, accept_rounded=wanted.answers.accept_rounded))}
    found = {pair: predictions_of(pair, own, {}) for pair, own in rows.items()}
    write_scores(found, by, wanted, home)
    score_seconds = sum(verdict_seconds) + processor_seconds() - judged
    check(rows, is_right)
    check_scores(rows, is_right, home / "scores.json")
    return Measured(
        name=name,
        num_items=len(items),
        num_bytes=num_bytes,
        num_answers=sum(map(len, rows.values())),
        fetch_seconds=fetched - start,
        load_seconds=loaded - fetched,
        job_seconds=judged - asked - started - sum(verdict_seconds),
        start_seconds=started,
        score_seconds=score_seconds,
    )


def script_of(
    items: Sequence[Item], wanted: Recipe
) -> tuple[dict[str, list[str]], dict[str, list[bool]]]:
    """What both policies answer, by the requests' ids, and whether it has to be right."""
    (benchmark,) = wanted.evaluation.benchmarks
    texts, is_right = dict[str, list[str]](), dict[str, list[bool]]()
    for policy, share in SHARES.items():
        draws = random.Random(f"{benchmark.name} {policy}")
        for item in items:
            name = f"{policy}/{item.problem['id']}"
            chosen = [
                draws.random() < share
                for _ in range(settings_of(benchmark, wanted.evaluation).samples_per_prompt)
            ]
            texts[name] = [
                (answers.right if one else answers.wrong)(item.rule, draws) for one in chosen
            ]
            is_right[name] = [one and item.rule.kind != "none" for one in chosen]
    return texts, is_right


def answered(
    items: Sequence[Item],
    wanted: Recipe,
    texts: Mapping[str, Sequence[str]],
    verdict_seconds: list[float],
) -> tuple[dict[Pair, list[Answered]], float]:
    """Both policies' answers through the sampling job of an evaluation, and their verdicts.

    What the verdicts took is added to `verdict_seconds`; what the process for algebra took to start
    is returned with the answers.
    """
    (benchmark,) = wanted.evaluation.benchmarks
    asked = {
        (policy, benchmark.name): requests_of(policy, benchmark, items, wanted.evaluation)
        for policy in SHARES
    }
    every = [request for requests in asked.values() for request in requests]
    with (
        scorer(num_processes=1) as verifier,
        SamplingJob(seed=0, judges=None, log=MetricsLog(None)) as job,
    ):
        started = started_seconds(verifier)
        job.start(every)
        job.ask(every, partial(Script, texts))
        finished = list(map(finished_again, every, job.answers(every)))
        judge = timed(judge_of(verifier), verdict_seconds)
        found = iter(judged(finished, {benchmark.name: judge}))
        rows = {
            pair: [
                Answered(item, request, next(found))
                for item, request in zip(items, requests, strict=True)
                for _ in request.numbers
            ]
            for pair, requests in asked.items()
        }
        return rows, started


def check(rows: Mapping[Pair, Sequence[Answered]], is_right: Mapping[str, Sequence[bool]]) -> None:
    """Compares every verdict with what it has to be."""
    for row in (row for own in rows.values() for row in own):
        wanted = is_right[row.request.id][row.answer["sample"]]
        if (row.answer["outcome"] == "right") != wanted:
            raise RuntimeError(
                f"{row.request.id} is {row.answer['outcome']}, by {row.item.rule}: "
                f"{row.answer['text'][-200:]!r}"
            )


def check_scores(
    rows: Mapping[Pair, Sequence[Answered]], is_right: Mapping[str, Sequence[bool]], path: Path
) -> None:
    """Compares the scores' counts with how many answers have to be right."""
    scores = json.loads(path.read_text(encoding="utf-8"))["scores"]
    found = {(one["policy"], one["benchmark"]): one["outcomes"].get("right", 0) for one in scores}
    wanted = Counter[Pair]()
    for pair, own in rows.items():
        for name in {row.request.id for row in own}:
            wanted[pair] += sum(is_right[name])
    if found != wanted:
        raise RuntimeError(f"{dict(wanted)} answers have to be right, scores.json says {found}")


def main() -> int:
    """Prints the table; exits with 1 if a benchmark is scored more slowly than it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=list(REPOSITORIES), default=REPOSITORIES)
    parser.add_argument("--clusters", type=int, help="the first so many groups of each file")
    options = parser.parse_args()
    disable_progress_bars()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    device.start(1)
    print(
        "| benchmark | items | MiB | fetch, s | load, s | answers | job, s | algebra's start, s "
        "| score, s | answers/s |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    is_slow = False
    for name in options.only:
        with tempfile.TemporaryDirectory() as folder:
            measured = measure(name, Path(folder), options.clusters)
        print(measured, flush=True)
        is_slow |= measured.answers_per_second < WANTED_PER_SECOND
    return int(is_slow)


if __name__ == "__main__":
    sys.exit(main())
