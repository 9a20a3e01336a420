"""An evaluation's parts: what was asked of a model is found, whoever asked and under what name."""

import json
import uuid
from dataclasses import replace
from itertools import count
from pathlib import Path

import pandas as pd
import pytest
from prefect.client.schemas.objects import State
from prefect.states import Completed

from contracts.artifact import Artifact
from contracts.provenance import Provenance
from contracts.request import StageRequest
from drills.disturbed import Watcher
from report.evidence import read_scores
from tasks import keys, parts, pools
from tasks.keys import Reuse, ingredients, input_digests, stage_key
from tasks.make import make_artifact
from tasks.parts import PARTS_FOLDER, find_parts
from tasks.requested import make_and_enter
from tests.endpoint import Raw, completion, question_of
from tests.tasks.machine import Machine, recipe
from training.evaluation import asking as verdicts
from training.evaluation.parts import ANSWERS
from training.evaluation.run import ENDPOINT_FILE
from training.recipe.recipe import Recipe
from training.stage import run as run_stage

TEXT = {"name": "pocket_text", "num_problems": 3}
PICTURES = {"name": "pocket_multimodal", "num_problems": 2}


def in_this_process(job, *_, **__):
    (job.output.parent / "log.txt").touch()
    run_stage(job)


class Evaluator(Machine):
    """Evaluates models behind an endpoint."""

    def policy(self, address: str, model: str) -> Artifact:
        folder = self.settings.home / model
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ENDPOINT_FILE).write_text(json.dumps({"address": address, "model": model}))
        run = self.run(recipe())
        return run.store().publish(folder, "input", run.provenance("model", {}))

    def evaluate(
        self,
        mine: Recipe,
        policies: dict[str, Artifact],
        execute=in_this_process,
        reuse: Reuse = "code",
    ) -> Artifact:
        run = replace(self.run(mine), reuse=reuse)
        store, inputs = run.store(), policies | self.resolve(mine).benchmarks
        digests = input_digests(store, mine, "evaluate", inputs)
        made_of = ingredients(mine, "evaluate", "evaluate", digests)
        self.key = stage_key(made_of)
        return make_artifact(run, store, "evaluate", made_of, inputs, Watcher(), execute=execute)

    def evaluate_elsewhere(self, mine: Recipe, policies: dict[str, Artifact]) -> Artifact:
        """As a run whose evaluation is in another pool, with that pool's part in this process."""
        run = self.run(mine, run_id=str(uuid.uuid4()))
        store, inputs = run.store(), policies | self.resolve(mine).benchmarks
        digests = input_digests(store, mine, "evaluate", inputs)
        made_of = ingredients(mine, "evaluate", "evaluate", digests)
        self.key = stage_key(made_of)

        def worker(request: StageRequest, *_: object) -> tuple[uuid.UUID, State]:
            given = dict(request.inputs)
            make_and_enter(run, store, request, made_of, given, Watcher(), execute=in_this_process)
            return uuid.uuid4(), Completed()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pools, "_run", worker)
            return pools.make_elsewhere(run, store, "evaluate", made_of, inputs, Watcher())

    def scores(self, artifact: Artifact) -> dict[tuple[str, str], float]:
        folder = self.store.fetch(artifact)
        scores = json.loads((folder / "scores.json").read_text())["scores"]
        return {(one["policy"], one["benchmark"]): one["value"] for one in scores}


@pytest.fixture
def machine(tmp_path) -> Evaluator:
    return Evaluator(tmp_path / "home", str(tmp_path / "store"))


def of(*benchmarks, **changes) -> Recipe:
    evaluation = {"benchmarks": benchmarks, "max_response_tokens": 8}
    evaluation["connection"] = {"retries": 0, "concurrency": 1}
    return recipe(evaluation=evaluation | changes)


def asked(endpoint) -> list[str]:
    """Which models were asked something since the last call, apart from the probe."""
    bodies, endpoint.asked = endpoint.asked, []
    return sorted(body["model"] for body in bodies if question_of(body) != "What is shown?")


def test_another_benchmark_or_checkpoint_asks_only_what_is_new(machine, endpoint):
    endpoint.models = ["one", "two"]
    endpoint.answer = lambda body: completion("\\boxed{1}", model=body["model"])
    one, two = (machine.policy(endpoint.address, name) for name in endpoint.models)

    first = machine.evaluate(of(TEXT), {"base": one})
    assert asked(endpoint) == ["one"] * 3
    both = machine.evaluate(of(TEXT, PICTURES), {"base": one})
    assert asked(endpoint) == ["one"] * 2
    # By another name, beside another model.
    given = {"base": two, "later": one} | machine.resolve(of(TEXT, PICTURES)).benchmarks
    for reuse, num_found in (("code", 2), ("none", 0)):
        salt = "another run" if reuse == "none" else ""
        found = find_parts(machine.store, of(TEXT, PICTURES), given, reuse, salt=salt)
        assert str(found) == f"{num_found} of 4 sets of answers"
    all_four = machine.evaluate(of(TEXT, PICTURES), {"base": two, "later": one})
    assert asked(endpoint) == ["two"] * 5
    assert (
        machine.scores(both)["base", "pocket_text"] == machine.scores(first)["base", "pocket_text"]
    )
    found = read_scores(machine.store.fetch(both) / "scores.json").scores
    assert {one.verdicts.code for one in found} == {keys.verdicts_digest()}
    assert len({one.verdicts.rules for one in found}) == 2
    assert set(machine.scores(all_four)) == {
        (policy, benchmark)
        for policy in ("base", "later")
        for benchmark in ("pocket_text", "pocket_multimodal")
    }
    rows = pd.read_parquet(machine.store.fetch(all_four) / "predictions.parquet")
    assert list(rows["policy"].unique()) == ["base", "later"]
    # What was never asked anything new is not fetched, and is told of all the same.
    fewer = machine.evaluate(of(PICTURES), {"base": one, "later": two})
    assert asked(endpoint) == []
    assert len(machine.scores(fewer)) == 2
    named = machine.store.manifest(fewer).inputs
    assert {"base", "later", "part:base/pocket_multimodal"} <= named.keys()


@pytest.mark.parametrize(
    "changes", [{"max_response_tokens": 9}, {"temperature": 0.5}, {"top_p": 0.9}]
)
def test_other_settings_ask_again(machine, endpoint, changes):
    endpoint.models = ["one"]
    endpoint.answer = lambda body: completion("\\boxed{1}", model=body["model"])
    one = machine.policy(endpoint.address, "one")
    machine.evaluate(of(TEXT), {"base": one})
    asked(endpoint)
    machine.evaluate(of(TEXT, **changes), {"base": one})
    assert asked(endpoint) == ["one"] * 3


def test_a_judge_is_asked_of_the_answers_that_there_are(machine, endpoint):
    """Nobody asks the model again for it, nor the judge for another size of its sample."""
    endpoint.models = ["one", "judge", "another"]
    names = count()

    def answer(body):
        if body["model"] == "one":  # two that the rules can read, one that they cannot
            number = next(names)
            said = "It may be 7, I think." if number % 3 else f"\\boxed{{{number}}}"
            return completion(f"Answer {number}. {said}", model="one")
        return completion("ANSWER: none", model=body["model"])

    endpoint.answer = answer
    one = machine.policy(endpoint.address, "one")

    def judged(model: str, agreement_samples: int) -> list[str]:
        judge = {"address": endpoint.address, "model": model}
        judge["agreement_samples"] = agreement_samples
        machine.evaluate(of(TEXT, judge=judge), {"base": one})
        return asked(endpoint)

    machine.evaluate(of(TEXT), {"base": one})
    assert asked(endpoint) == ["one"] * 3
    assert judged("judge", 0) == ["judge"] * 2
    assert judged("judge", 5) == ["judge"]  # the one that the rules could read
    assert judged("judge", 5) == judged("judge", 1) == []
    assert judged("another", 0) == ["another"] * 2


def test_an_edited_rule_asks_nothing_and_one_table_has_one_codes_verdicts(
    machine, endpoint, monkeypatch
):
    """Also of answers that are taken whatever code: a gain over two codes' verdicts is none."""
    endpoint.models = ["one", "two"]
    endpoint.answer = lambda body: completion("\\boxed{1}", model=body["model"])
    one, two = (machine.policy(endpoint.address, name) for name in endpoint.models)
    machine.evaluate(of(TEXT), {"base": one})
    asked(endpoint)

    edited = {"training.evaluation.verdicts": "0" * 64}
    whole, prompts = keys.stage_modules, parts.prompt_modules
    monkeypatch.setattr(keys, "stage_modules", lambda *names: whole(*names) | edited)
    monkeypatch.setattr(parts, "prompt_modules", lambda: prompts() | edited)
    monkeypatch.setattr(verdicts, "judge_by_rules", lambda rules, *_: ["right"] * len(rules))
    for reuse in ("code", "recipe"):
        table = machine.evaluate(of(TEXT), {"base": one, "later": two}, reuse=reuse)
        scores = machine.scores(table)
        assert set(scores.values()) == {1.0}, reuse
    assert asked(endpoint) == ["two"] * 3


def test_answers_of_other_code_are_taken_where_that_is_asked_for(machine, endpoint, monkeypatch):
    endpoint.models = ["one"]
    endpoint.answer = lambda body: completion("\\boxed{1}", model=body["model"])
    one = machine.policy(endpoint.address, "one")
    machine.evaluate(of(TEXT), {"base": one})
    asked(endpoint)
    monkeypatch.setattr(parts, "answering_modules", lambda _: {"an engine": "0" * 64})
    monkeypatch.setattr(keys, "stage_modules", lambda *_: {"another": "0" * 64})
    machine.evaluate(of(TEXT, PICTURES), {"base": one}, reuse="recipe")
    assert asked(endpoint) == ["one"] * 2
    # Nobody takes them for this code's.
    given = {"base": one} | machine.resolve(of(TEXT)).benchmarks
    assert find_parts(machine.store, of(TEXT), given, "code").found == {}


def test_of_a_part_in_which_an_answer_is_missing_that_alone_is_asked_again(machine, endpoint):
    endpoint.models = ["one"]
    replies = [Raw(b"", 503), completion("\\boxed{1}", model="one")]
    endpoint.answer = lambda body: replies[min(1, len(endpoint.asked) - 1)]
    one = machine.policy(endpoint.address, "one")
    machine.evaluate(of(TEXT), {"base": one})
    missing = question_of(endpoint.asked[0])
    assert len(asked(endpoint)) == 3
    endpoint.answer = lambda body: replies[1]
    machine.evaluate(of(TEXT, PICTURES), {"base": one})
    questions = [question_of(body) for body in endpoint.asked]
    assert len(asked(endpoint)) == 1 + 2 and questions.count(missing) == 1


def test_a_refused_question_is_answered_for_good(machine, endpoint):
    """Its part is whole: another benchmark asks nothing of it, nor reads the policy for it."""
    endpoint.models = ["one"]
    replies = [Raw(b"too long", 400), completion("\\boxed{1}", model="one")]
    endpoint.answer = lambda body: replies[min(1, len(endpoint.asked) - 1)]
    one = machine.policy(endpoint.address, "one")
    first = machine.evaluate(of(TEXT), {"base": one})
    assert len(asked(endpoint)) == 3 and machine.store.find(machine.key) == first
    given = {"base": one} | machine.resolve(of(TEXT)).benchmarks
    found = find_parts(machine.store, of(TEXT), given, "code")
    needed = found.needed(given)
    assert "part:base/pocket_text" in needed and "base" not in needed
    endpoint.answer = lambda body: replies[1]
    both = machine.evaluate(of(TEXT, PICTURES), {"base": one})
    assert len(asked(endpoint)) == 2
    scores = json.loads((machine.store.fetch(both) / "scores.json").read_text())["scores"]
    assert [one["failures"] for one in scores] == [{"status 400": 1}, {}]


@pytest.mark.parametrize("place", ["here", "in another pool"])
def test_what_has_no_answer_is_not_taken_for_finished(machine, endpoint, place):
    evaluate = machine.evaluate if place == "here" else machine.evaluate_elsewhere
    endpoint.models = ["one"]
    failing = [True]

    def answer(body):
        if failing and "answered" in seen:
            return Raw(b"", 503)
        seen.append("answered")
        return completion("\\boxed{1}", model="one")

    seen: list[str] = []
    endpoint.answer = answer
    one = machine.policy(endpoint.address, "one")
    incomplete = evaluate(of(TEXT), {"base": one})
    assert len(asked(endpoint)) == 3 and machine.store.find(machine.key) is None
    score = json.loads((machine.store.fetch(incomplete) / "scores.json").read_text())["scores"][0]
    assert score["failures"] == {"status 503": 2} and score["num_problems"] == 3

    failing.clear()
    whole = evaluate(of(TEXT), {"base": one})
    assert len(asked(endpoint)) == 2  # what was answered is not asked again
    assert machine.store.find(machine.key) == whole
    assert Path(machine.store.fetch(whole) / "predictions.parquet").is_file()


@pytest.mark.parametrize(
    ("failure", "is_finished"),
    [("prompt too long: 9 tokens leave no room", True), ("status 503: prompt too long", False)],
)
def test_a_prompt_without_room_is_not_asked_again_by_any_run(
    machine, endpoint, failure, is_finished
):
    """As if the first question were longer than what the model holds: it is in every run."""
    endpoint.models = ["one"]
    endpoint.answer = lambda body: completion("\\boxed{1}", model="one")
    one = machine.policy(endpoint.address, "one")

    def without_room(job, *_, **__):
        assert not job.needs_gpus
        in_this_process(job)
        path = job.output / PARTS_FOLDER / "base" / "pocket_text" / ANSWERS
        rows = pd.read_parquet(path)
        rows.loc[0, "failure"] = failure
        rows.to_parquet(path)

    first = machine.evaluate(of(TEXT), {"base": one}, without_room)
    assert len(asked(endpoint)) == 3
    assert machine.store.find(machine.key) == (first if is_finished else None)
    given = {"base": one} | machine.resolve(of(TEXT)).benchmarks
    (part,) = find_parts(machine.store, of(TEXT), given, "code").parts.values()
    assert part.is_whole is is_finished
    given["base"] = machine.store.publish(machine.store.fetch(first), "model", Provenance())
    (part,) = find_parts(machine.store, of(TEXT), given, "code").parts.values()
    assert part.needs_gpus  # a model of ours is to answer
