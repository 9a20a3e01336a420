"""The judge: asked where the rules find nothing, believed where the response says so, counted."""

import hashlib
import json
from itertools import count
from threading import Barrier

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.endpoint import Raw, completion, question_of
from training.answers import Verifier
from training.evaluation.judge import PROMPTS, compared, read_reply, stands_in
from training.evaluation.run import ENDPOINT_FILE, evaluate
from training.recipe.recipe import parse_recipe
from training.rollout.http_engine import SHORT_QUESTION

SAID = "The sum is forty-two, I mean 42."


@pytest.mark.parametrize(
    ("reply", "finding", "answer"),
    [
        ("ANSWER: 42", "found", "42"),
        ("  answer:   42  \n", "found", "42"),
        ("ANSWER: forty-two", "found", "forty-two"),
        ("ANSWER: none", "none", None),
        ("ANSWER: None.", "none", None),
        ("ANSWER: 43", "invented", None),
        ("ANSWER: 4", "invented", None),  # inside a number
        ("ANSWER: um", "invented", None),  # inside a word
        ("ANSWER:", "unusable", None),
        ("42", "unusable", None),
        ("", "unusable", None),
        ("I think so.\nANSWER: 42", "unusable", None),
        ("ANSWER: 42\nANSWER: 43", "unusable", None),
        ("ANSWER: " + "4" * 2000, "unusable", None),
    ],
)
def test_a_reply_is_read_to_the_letter(reply, finding, answer):
    assert read_reply(reply, SAID) == (finding, answer)


@pytest.mark.parametrize(
    ("response", "stands"),
    [
        ("So the answer is A", True),
        ("I take (A) here.", True),
        ("A. It is the longest side.", True),
        ("Therefore:\n**A**", True),
        ("Consider a triangle with angle B", False),
        ("Let A be a point", False),
        ("Option B is wrong, option A is right", True),
    ],
)
def test_a_letter_is_an_answer_where_it_is_marked_as_a_choice(response, stands):
    assert stands_in("A", response) is stands


@given(st.text(max_size=30), st.text(max_size=60))
def test_what_is_found_stands_in_the_response(answer, response):
    finding, found = read_reply(f"ANSWER: {answer}", response)
    assert (finding == "found") == (found is not None)
    if found is not None:
        assert stands_in(found, response)
        assert "".join(found.casefold().split()) in "".join(response.casefold().split())


def test_the_sample_that_is_compared_is_drawn_by_the_seed_alone():
    candidates = list(range(100, 200))
    drawn = compared(candidates, 20, seed=0)
    assert drawn == compared(candidates, 20, seed=0) != compared(candidates, 20, seed=1)
    assert len(set(drawn)) == 20 and set(drawn) <= set(candidates)
    assert compared(candidates, 1000, seed=0) == candidates
    assert compared([], 20, seed=0) == compared(candidates, 0, seed=0) == []


# Ten sums, with what the policy says to each, and the judge to that.
POLICY = {
    0: "\\boxed{0}",
    1: "\\boxed{9}",
    2: "It must be 2.",
    3: "It must be 9.",
    4: "No idea.",
    5: "It must be 5.",
    6: "It must be 6.",
    7: "\\boxed{7}",
    8: "\\boxed{8}",
    9: "It must be 9.",
}
JUDGE = {
    0: "ANSWER: 0",
    1: "ANSWER: 9",
    2: "ANSWER: 2",
    3: "ANSWER: 9",
    4: "ANSWER: none",
    5: "ANSWER: 55",  # stands nowhere
    6: "Right!",
    7: "ANSWER: none",  # where the rules can read an answer
    8: "ANSWER: 8",
    9: Raw(b"", 503),
}


@pytest.fixture
def own(tmp_path):
    folder = tmp_path / "sums"
    folder.mkdir()
    rows = [{"id": str(n), "question": f"sum {n}?", "answer": str(n)} for n in range(10)]
    pd.DataFrame(rows).to_parquet(folder / "sums.parquet")
    return folder


@pytest.fixture
def run(endpoint, own, tmp_path):
    """Evaluates the endpoint, which plays policy and judge, into a folder of a name."""
    endpoint.models = ["policy", "judge"]
    endpoint.answer = _play

    def evaluated(
        name,
        *,
        judge=True,
        resume=None,
        parts=None,
        replies=None,
        benchmarks=("sums",),
        has_policy=False,
        **changes,
    ):
        values = _recipe(endpoint, own, benchmarks)
        values["evaluation"] |= changes
        if not judge:
            del values["evaluation"]["judge"]
        policy, output, save = (tmp_path / name / one for one in ("policy", "output", "save"))
        for folder in (policy, output):
            folder.mkdir(parents=True)
        (policy / ENDPOINT_FILE).write_text(
            json.dumps({"address": endpoint.address, "model": "policy"})
        )
        evaluate(
            parse_recipe(values, where="test"),
            {"policy": policy if has_policy or not parts else None},
            output,
            folders={f"benchmark:{one}": own for one in benchmarks},
            parts=parts,
            replies=replies,
            save=save,
            resume=resume,
        )
        (score, *_) = json.loads((output / "scores.json").read_text())["scores"]
        return output, pd.read_parquet(output / "predictions.parquet"), score

    return evaluated


def _play(body):
    text = question_of(body)
    if text == SHORT_QUESTION:
        return completion("2", model=body["model"])
    number = int(text.partition("sum ")[2].partition("?")[0])
    reply = (POLICY if body["model"] == "policy" else JUDGE)[number]
    return reply if isinstance(reply, Raw) else completion(reply, model=body["model"])


def _recipe(endpoint, own, benchmarks):
    connection = {"retries": 0, "backoff_seconds": 0.001}
    stage = {"kind": "sft", "name": "s", "data": "cold", "optimizer": {"learning_rate": 1e-4}}
    return {
        "name": "judged",
        "system_prompt": "Answer.",
        "model": {"path": "unused"},
        "hardware": {"threads_per_process": 1},
        "sources": [{"name": "t", "kind": "pocket", "modality": "text", "num_problems": 4}],
        "curation": {
            "sets": [
                {"name": "cold", "modality": "text", "num_problems": 2, "needs_solution": True}
            ]
        },
        "stages": [stage | {"epochs": 1, "batch_size": 8, "max_length_tokens": 64}],
        "evaluation": {
            "benchmarks": [
                {"name": one, "kind": "file", "path": str(own), "metric": "math"}
                for one in benchmarks
            ],
            "max_response_tokens": 50,
            "connection": connection,
            "judge": {
                "address": endpoint.address,
                "model": "judge",
                "agreement_samples": 4,
                "connection": connection,
            },
        },
    }


def test_the_judge_is_asked_where_the_rules_find_nothing_and_counted(run, endpoint):
    _, rows, score = run("judged")
    by_number = rows.set_index(rows["problem_id"].str.rpartition("/")[2].astype(int))
    assert by_number["judged_by"].to_dict() == {
        n: "judge" if n in (2, 3) else "rule" for n in range(10)
    }
    assert by_number["judge_finding"].to_dict() == {
        **dict.fromkeys((0, 1, 2, 3, 8), "found"),
        **dict.fromkeys((4, 7), "none"),
        5: "invented",
        6: "unusable",
        9: "failed",
    }
    right = {n for n in range(10) if by_number["outcome"][n] == "right"}
    assert right == {0, 2, 7, 8}  # and of 3 the judge found a wrong answer
    assert by_number["outcome"][3] == "wrong" and by_number["outcome"][6] == "unparseable"
    assert by_number["extracted"][2] == "2" and by_number["judge_reply"][6] == "Right!"
    assert by_number["prompt_digest"].str.fullmatch("[0-9a-f]{64}").all()
    assert score["value"] == 0.4
    assert score["judge"] == "judge, prompt v1"
    assert score["findings"] == {"failed": 1, "found": 2, "invented": 1, "none": 1, "unusable": 1}
    measures = {one["metric"]: (one["value"], one["n"]) for one in score["measures"]}
    assert measures["accuracy, by rules alone"] == (0.3, 10)
    assert measures["answers found by the judge"] == (0.2, 10)
    assert measures["judge agrees with the rules"] == (0.75, 4)  # not of 7
    asked = [one for one in endpoint.asked if one["model"] == "judge"]
    assert len(asked) == 10 and all(one["temperature"] == 0 for one in asked)


def test_without_a_judge_nobody_is_asked(run, endpoint):
    _, rows, score = run("plain", judge=False)
    assert {one["model"] for one in endpoint.asked} == {"policy"}
    assert set(rows["judged_by"]) == {"rule"} and rows["judge_reply"].isna().all()
    assert (score["value"], score["judge"], score["findings"]) == (0.3, None, {})


def test_no_question_is_asked_twice_of_policy_or_judge(run, endpoint, tmp_path):
    first, *_ = run("first")
    endpoint.asked.clear()
    again, *_ = run("again", resume=tmp_path / "first" / "save")
    # What has failed, and that alone.
    assert ["sum 9?" in question_of(one) for one in endpoint.asked] == [True]
    for name in ("predictions.parquet", "scores.json"):
        assert (first / name).read_bytes() == (again / name).read_bytes()


def test_what_is_kept_is_not_asked_again_and_comes_to_the_same(run, endpoint):
    first, *_ = run("first")
    parts, replies = (
        {("policy", "sums"): first / kind / "policy" / "sums"} for kind in ("parts", "replies")
    )
    endpoint.asked.clear()
    again, *_ = run("again", parts=parts, replies=replies)
    # The judge's reply that did not come; of the policy there is no folder at all.
    assert [(one["model"], "sum 9?" in question_of(one)) for one in endpoint.asked] == [
        ("judge", True)
    ]
    for name in ("predictions.parquet", "scores.json"):
        assert (first / name).read_bytes() == (again / name).read_bytes()
    assert not (again / "parts").exists()  # nothing new


def test_verdicts_are_made_by_the_rules_as_they_are(run, endpoint, monkeypatch):
    """Of what was answered before, too: two codes' verdicts in one table would be no comparison."""
    first, *_ = run("first", judge=False)
    monkeypatch.setattr(
        "training.evaluation.asking.judge_by_rules", lambda rules, *_: ["wrong"] * len(rules)
    )
    endpoint.asked.clear()
    _, rows, score = run(
        "again", judge=False, parts={("policy", "sums"): first / "parts" / "policy" / "sums"}
    )
    assert endpoint.asked == []
    assert set(rows["outcome"]) == {"wrong"} and score["value"] == 0.0


@pytest.mark.parametrize("place", ["chunks", "parts"])
def test_of_several_answers_to_an_item_each_is_kept_for_itself(place, run, endpoint, tmp_path):
    """One of six has no answer at first: it alone is asked again."""
    several, numbers = {"samples_per_problem": 6, "temperature": 1.0}, count(1)

    def answer(body):
        number = next(numbers)
        return Raw(b"", 503) if number == 17 else completion(f"\\boxed{{{number}}}", model="policy")

    endpoint.answer = answer
    first, rows, score = run("first", judge=False, **several)
    assert len(endpoint.asked) == 60 and score["failures"] == {"status 503": 1}
    endpoint.asked.clear()
    part = {("policy", "sums"): first / "parts" / "policy" / "sums"}
    kept = {"resume": tmp_path / "first" / "save"} if place == "chunks" else {"parts": part}
    _, again, score = run("again", judge=False, has_policy=True, **kept, **several)
    assert len(endpoint.asked) == 1 and score["failures"] == {}
    came = rows["failure"].isna()
    assert (again["response"] == rows["response"]).tolist() == came.tolist()


def test_the_answers_to_one_item_are_under_way_at_once(run, endpoint, own):
    pd.DataFrame([{"id": "1", "question": "sum 1?", "answer": "1"}]).to_parquet(
        own / "sums.parquet"
    )
    together = Barrier(6, timeout=60)

    def answer(body):
        together.wait()  # for the others: asked one after the other, nobody would ever come
        return completion("\\boxed{1}", model="policy")

    endpoint.answer = answer
    _, rows, _ = run("several", judge=False, samples_per_problem=6, temperature=1.0)
    assert set(rows["outcome"]) == {"right"} and sorted(rows["sample"]) == [*range(6)]
    assert len({one["seed"] for one in endpoint.asked}) == 6


def test_questions_without_a_response_are_counted_by_why(run, endpoint):
    played = endpoint.answer
    failing = {"sum 2?": Raw(b"a", 400), "sum 3?": Raw(b"b", 400), "sum 4?": Raw(b"c", 503)}

    def answer(body):
        if body["model"] == "policy" and question_of(body) in failing:
            return failing[question_of(body)]
        return played(body)

    endpoint.answer = answer
    _, rows, score = run("failing")
    assert score["failures"] == {"status 400": 2, "status 503": 1}
    failed = rows[rows["failure"].notna()]
    assert set(failed["outcome"]) == {"unparseable"} and failed["judge_finding"].isna().all()
    assert score["num_problems"] == 10 and score["value"] == 0.3


def test_no_answer_is_late_because_others_came_with_it(run, endpoint, own, monkeypatch):
    """A batch of a training step has its limit, here of no time at all; a score has none."""
    floor = "\\lfloor x \\rfloor"  # algebra, in another process
    rows = [
        {"id": str(n), "question": f"sum {n}?", "answer": f"{floor} + {n}"} for n in range(1, 5)
    ]
    pd.DataFrame(rows).to_parquet(own / "sums.parquet")

    def answer(body):
        number = question_of(body).partition("sum ")[2].partition("?")[0]
        return completion(f"\\boxed{{{number} + {floor}}}", model=body["model"])

    endpoint.answer = answer
    monkeypatch.setitem(Verifier.__init__.__kwdefaults__, "batch_seconds", 0.0)
    _, found, score = run("busy", judge=False)
    assert set(found["outcome"]) == {"right"} and score["value"] == 1.0


def test_a_prompt_of_the_judge_stays_as_it_is():
    """Answers to it are in stores, found by its version: another text is another version."""
    digests = {
        name: hashlib.sha256(text.encode()).hexdigest()[:16] for name, text in PROMPTS.items()
    }
    assert digests == {"v1": "6f769205f540695b"}
