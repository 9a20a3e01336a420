import numpy as np
import pyarrow.parquet as pq
import pytest

from training.evaluation.prediction import write_predictions
from training.evaluation.scores import paired_gain, reads_right, score_of
from training.pocket.problems import generate

GENERATOR = np.random.default_rng(0)


def prediction(number=0, outcome="right", **changes):
    row = {
        "policy": "base",
        "benchmark": "pocket_text",
        "problem_id": f"p{number}",
        "sample": 0,
        "level": 1 + number % 2,
        "family": "sums",
        "cluster": f"p{number}",
        "part": None,
        "rule": "boxed",
        "prompt_digest": "0" * 64,
        "question": "?",
        "prompt": "? Think first.",
        "answer": "1",
        "response": "\\boxed{1}",
        "extracted": "1",
        "chosen": None,
        "outcome": outcome,
        "judged_by": "rule",
        "judge_finding": None,
        "judge_reply": None,
        "judge_outcome": None,
        "failure": None,
        "truncated": False,
        "reading_right": None,
        "num_tokens": 4,
        "num_prompt_tokens": 9,
    }
    return row | changes


def test_an_answer_that_did_not_come_has_no_length_and_is_not_cut():
    came = [prediction(0, num_tokens=100, truncated=True), prediction(1, num_tokens=50)]
    failed = [
        prediction(n, "unparseable", failure="time-out", num_tokens=0, response="") for n in (2, 3)
    ]
    score = score_of([*came, *failed], "accuracy", GENERATOR)
    assert (score.value, score.mean_tokens, score.truncated) == (0.5, 75.0, 0.5)
    nothing = score_of(failed, "accuracy", GENERATOR)
    assert (nothing.mean_tokens, nothing.truncated) == (None, None)


def test_a_score_worked_by_hand():
    rows = [
        prediction(0, "right", level=2, reading_right=True, num_tokens=2),
        prediction(1, "wrong", level=10, reading_right=True, family="clocks"),
        prediction(2, "timeout", level=10, reading_right=False, num_tokens=6),
        prediction(3, "unparseable", level=None, truncated=True, num_tokens=8),
    ]
    score = score_of(rows, "accuracy", GENERATOR).model_dump()
    # Wilson at 1 of 4: (0.25 + 0.4802 -+ 1.96 sqrt(0.046875 + 0.060025)) / 1.9604
    assert (score.pop("low"), score.pop("high")) == pytest.approx((0.0456, 0.6994), abs=1e-4)
    assert score == {
        "policy": "base",
        "benchmark": "pocket_text",
        "metric": "accuracy",
        "value": 0.25,
        "num_problems": 4,
        "num_scored": 4,
        "outcomes": {"right": 1, "wrong": 1, "unparseable": 1, "timeout": 1, "crashed": 0},
        "truncated": 0.25,
        "mean_tokens": 5.0,
        "by_level": {"2": {"value": 1.0, "n": 1}, "10": {"value": 0.0, "n": 2}},
        "by_family": {"clocks": {"value": 0.0, "n": 1}, "sums": {"value": 1 / 3, "n": 3}},
        "accuracy": None,
        "by_part": {},
        "samples_per_problem": 1,
        "kind": "shipped",
        "measures": (),
        "reading": pytest.approx(2 / 3),
        "failures": {},
        "findings": {},
        "judge": None,
        "verdicts": None,
    }
    assert list(score["by_level"]) == ["2", "10"]


def test_several_answers_to_a_problem_are_one_cluster():
    """Ten problems of four answers: five always right, five never; the answers add no evidence."""
    rows = [
        prediction(n, "right" if n < 5 else "wrong", sample=k) for n in range(10) for k in range(4)
    ]
    score = score_of(rows, "accuracy", np.random.default_rng(0))
    assert (score.metric, score.value, score.num_problems) == ("mean@4", 0.5, 10)
    assert score.outcomes == {
        "right": 20,
        "wrong": 20,
        "unparseable": 0,
        "timeout": 0,
        "crashed": 0,
    }
    assert score.by_level["1"].model_dump() == {"value": 3 / 5, "n": 5}
    # A binomial share of ten problems: 95 % of its draws lie within 0.2 to 0.8; of forty, 0.35.
    assert score.low == pytest.approx(0.2, abs=0.05) and score.high == pytest.approx(0.8, abs=0.05)
    # Every problem with the same share: nothing varies over problems, but there are ten of them
    # only. Up to 3.8415 / 13.8415 of all may be different ones, with any share.
    mixed = [
        prediction(n, "right" if k < 2 else "wrong", sample=k) for n in range(10) for k in range(4)
    ]
    score = score_of(mixed, "accuracy", np.random.default_rng(0))
    found = (score.value, score.low, score.high)
    assert found == pytest.approx((0.5, 0.5 - 0.2775 / 2, 0.5 + 0.2775 / 2), abs=1e-4)


def test_no_reading_score_without_readings():
    assert score_of([prediction()], "accuracy", GENERATOR).reading is None


def test_a_gain_is_paired():
    base = [prediction(n, "right" if n < 10 else "wrong") for n in range(40)]
    # Right where the base is, and on 6 more: not one problem got worse.
    after = [prediction(n, "right" if n < 16 else "wrong", policy="cold_start") for n in range(40)]
    gain = paired_gain(after, base, "accuracy", np.random.default_rng(0))
    assert (gain.policy, gain.over, gain.points) == ("cold_start", "base", 15.0)
    # 6 of 40 differ by 100 points: a binomial share, 95 % about 2.5 to 10 of 40... never below 0.
    assert 0.0 < gain.low_points < 8.0
    assert 22.0 < gain.high_points < 32.0


def test_nothing_changed_is_no_proof_that_nothing_changes():
    """By hand: 0 of 40 problems differ, so that up to 3.8415 / 43.8415 = 8.76 % of all may."""
    base = [prediction(n, "right" if n < 10 else "wrong") for n in range(40)]
    after = [row | {"policy": "rl"} for row in base]
    gain = paired_gain(after, base, "accuracy", np.random.default_rng(0))
    found = (gain.points, gain.low_points, gain.high_points)
    assert found == pytest.approx((0.0, -8.762, 8.762), abs=1e-3)


def test_a_gain_needs_the_same_problems():
    with pytest.raises(ValueError, match="longer"):
        paired_gain(
            [prediction()], [prediction(), prediction(1)], "accuracy", np.random.default_rng(0)
        )


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ("<think>Given: 5 +3 -2. 5 +3=8 -2=6.</think>\\boxed{6}", True),
        ("<think>Given:  5 +3  -2.</think>\\boxed{6}", True),
        ("<think>Given: 5 +3 -2</think>\\boxed{6}", True),
        ("Given: 5 +3 -2", True),
        ("<think>Given: 5 +3 -2 +1. 5 +3=8</think>", False),
        ("<think>Given: 5 +3. 5 +3=8.</think>", False),
        ("<think>5 +3 -2.</think>", False),
        ("", False),
    ],
)
def test_a_reading_is_right_if_the_givens_are_transcribed_exactly(response, expected):
    assert reads_right("5 +3 -2", response) is expected


def test_a_decimal_point_does_not_end_the_givens():
    assert reads_right("2.5 cm", "Given: 2.5 cm. 2.5*2=5.") is True


def test_without_a_reading_there_is_no_verdict():
    assert reads_right(None, "Given: 5.") is None


@pytest.mark.parametrize("modality", ["text", "multimodal"])
def test_every_pocket_trace_reads_right(modality):
    for problem in generate(modality, "test", 200, seed=5):
        assert reads_right(problem["reading"], problem["solution"]) is True, problem["id"]
        assert reads_right(problem["reading"] + " 9", problem["solution"]) is False


def test_predictions_keep_nulls(tmp_path):
    written = prediction(level=None, extracted=None, reading_right=None)
    write_predictions([written], tmp_path / "some" / "predictions.parquet")
    assert pq.read_table(tmp_path / "some" / "predictions.parquet").to_pylist() == [written]
