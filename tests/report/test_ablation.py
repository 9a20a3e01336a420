"""What an ablation found, against figures worked out by hand."""

from dataclasses import replace
from datetime import UTC, datetime
from math import sqrt

import pandas as pd
import pytest

from contracts.run_record import RunRecord
from contracts.scores import Score, Verdicts
from report.ablation import Cost, Trained, cost_of, summarize
from report.ablation_page import document
from report.evidence import Evidence
from report.write_html import html_page
from report.write_markdown import markdown_page
from training.recipe.grid import Grid

T_2 = 4.302652729696142  # t(0.975, 2)
UPDATE = {"seconds_update": 2.0, "update_tokens_per_second": 50.0}
ROLLOUT = {"seconds_rollout": 3.0, "rollout_tokens_per_second": 100.0}
FINE_TUNING = {"seconds_update": 1.0, "tokens_per_second": 70.0}


@pytest.fixture
def grid() -> Grid:
    arms = [
        {"name": "cs", "stages": ["cold_start"], "paper": {"table": "T", "percent": 40.0}},
        {
            "name": "cs+rl",
            "stages": ["cold_start", "rl"],
            "over": "cs",
            "paper": {"table": "T", "percent": 45.0},
        },
        {"name": "other", "stages": ["cold_start"], "over": "cs"},
    ]
    return Grid.model_validate(
        {"name": "g", "recipe": "r", "paper_benchmark": "pictures", "arms": arms}
    )


def trained(grid: Grid, name: str, seed: int, right: int, of: int = 20) -> Trained:
    """An arm that answers the first `right` items rightly, and has learnt as its stages do."""
    arm = grid.arm(name)
    answers = pd.DataFrame(
        {
            "policy": "policy",
            "benchmark": "pictures",
            "problem_id": [f"p{number:02}" for number in range(of)],
            "cluster": [f"p{number:02}" for number in range(of)],
            "part": None,
            "rule": "text",
            "outcome": ["right" if number < right else "wrong" for number in range(of)],
        }
    )
    score = Score(
        policy="policy",
        benchmark="pictures",
        metric="accuracy",
        value=right / of,
        num_problems=of,
        verdicts=Verdicts(code="c" * 64, rules="d" * 64),
    )
    steps = {
        "cold_start": ({"step": 1.0} | FINE_TUNING,),
        "rl": ({"step": 1.0} | UPDATE | ROLLOUT,),
    }
    evidence = Evidence(
        metrics={stage: steps[stage] for stage in arm.stages},
        scores=(score,),
        gains=(),
        predictions=answers,
        problems=None,
        curation=None,
        has_datasheet=False,
        missing=(),
    )
    record = RunRecord(
        name=f"{name}-{seed}", seed=seed, recipe={}, code_version="1", created=datetime.now(UTC)
    )
    return Trained(arm, record, evidence)


@pytest.fixture
def runs(grid) -> list[Trained]:
    """`cs` gets 10 of 20 with each seed, `cs+rl` 14, 16 and 18."""
    before = [trained(grid, "cs", seed, 10) for seed in range(3)]
    return before + [trained(grid, "cs+rl", seed, 14 + 2 * seed) for seed in range(3)]


def test_means_intervals_and_p_by_hand(grid, runs):
    result = summarize(grid, runs, {})
    (cs, after) = result.accuracies
    assert (cs.mean.value, cs.mean.over_seeds) == (0.5, (0.5, 0.5))
    assert after.mean.value == pytest.approx(0.8)
    assert after.mean.seeds == {0: 0.7, 1: 0.8, 2: 0.9}
    half = T_2 * 0.1 / sqrt(3)
    assert after.mean.over_seeds == pytest.approx((0.8 - half, 0.8 + half))
    (gain,) = result.comparisons
    assert (gain.arm, gain.over) == ("cs+rl", "cs")
    assert gain.mean.value == pytest.approx(0.3)
    assert gain.mean.over_seeds == pytest.approx((0.3 - half, 0.3 + half))
    # Items 11 to 14 change with all seeds, 15 and 16 with two, 17 and 18 with one: all signs
    # alike, so only two of the 2^8 turns lie as far out.
    assert gain.p == pytest.approx(2 / 2**8)
    low, high = gain.mean.over_items
    assert 0 < low < 0.3 < high
    assert gain.verdict == "up"


def test_one_verdict_needs_seeds_and_items(grid):
    """Two seeds with 11 and 18 of 20 over 10: the items say yes, the seeds do not."""
    runs = [trained(grid, "cs", seed, 10) for seed in range(2)]
    runs += [trained(grid, "cs+rl", seed, right) for seed, right in enumerate((11, 18))]
    (gain,) = summarize(grid, runs, {}).comparisons
    assert gain.mean.over_items[0] > 0 > gain.mean.over_seeds[0]
    assert gain.verdict == "not shown"
    # With one seed there is no interval over seeds, and the items decide.
    (alone,) = summarize(grid, [runs[1], runs[3]], {}).comparisons
    assert alone.mean.over_seeds is None
    assert alone.verdict == "up"


def test_a_verdict_needs_the_corrected_p(grid):
    """Six items of one sign: p is 2/2^6, which is 0.031, and twice that beside another gain."""
    runs = [trained(grid, "cs", 0, 10), trained(grid, "cs+rl", 0, 16)]
    (alone,) = summarize(grid, runs, {}).comparisons
    assert (alone.p, alone.verdict) == (pytest.approx(2 / 2**6), "up")
    result = summarize(grid, [*runs, trained(grid, "other", 0, 10)], {})
    gain, _ = result.comparisons
    assert gain.mean.over_items[0] > 0
    assert (gain.p, gain.verdict) == (pytest.approx(4 / 2**6), "not shown")
    assert result.paper[1].verdict == "not shown"


def without_responses(one: Trained, number: int) -> Trained:
    (score,) = one.evidence.scores
    failed = score.model_copy(update={"failures": {"time-out": number}})
    return replace(one, evidence=replace(one.evidence, scores=(failed,)))


def test_what_a_seed_did_not_score_in_full_is_named_and_in_no_mean(grid, runs):
    runs[4] = without_responses(runs[4], 3)
    result = summarize(grid, runs, {})
    assert [one.arm for one in result.accuracies] == ["cs"]
    assert result.comparisons == ()
    assert result.paper[1].our_gain is None
    reason = "answers that did not come: cs+rl with seed 1 lacks 3"
    assert [(one.arm, one.over, one.reason) for one in result.incomplete] == [
        ("cs+rl", None, reason),
        ("cs+rl", "cs", reason),
    ]
    page = markdown_page(document(result, title="Ablation", subtitle="Of a test."))
    assert f"no mean: {reason}" in page and f"not compared: {reason}" in page


def test_what_was_judged_by_other_code_is_in_no_mean_and_no_gain(grid, runs):
    (score,) = runs[4].evidence.scores
    other = score.model_copy(update={"verdicts": Verdicts(code="e" * 64, rules="d" * 64)})
    runs[4] = replace(runs[4], evidence=replace(runs[4].evidence, scores=(other,)))
    result = summarize(grid, runs, {})
    assert [one.arm for one in result.accuracies] == ["cs"] and result.comparisons == ()
    assert all(one.reason.startswith("judged by other code: ") for one in result.incomplete)
    assert [one.over for one in result.incomplete] == [None, "cs"]


def test_a_benchmark_that_one_seed_lacks_is_named_and_in_no_mean(grid, runs):
    runs[3] = replace(runs[3], evidence=replace(runs[3].evidence, scores=()))
    result = summarize(grid, runs, {})
    assert [one.arm for one in result.accuracies] == ["cs"]
    assert {one.reason for one in result.incomplete} == {"cs+rl with seed 0 did not evaluate it"}


def test_a_benchmark_that_all_seeds_of_an_arm_lack_is_named(grid, runs):
    for number in (3, 4, 5):
        runs[number] = replace(runs[number], evidence=replace(runs[number].evidence, scores=()))
    result = summarize(grid, runs, {})
    assert [one.arm for one in result.accuracies] == ["cs"] and result.comparisons == ()
    lacking = [f"cs+rl with seed {seed}" for seed in range(3)]
    reason = f"{' and '.join(lacking)} did not evaluate it"
    assert [(one.arm, one.over, one.reason) for one in result.incomplete] == [
        ("cs+rl", None, reason),
        ("cs+rl", "cs", reason),
    ]


def test_seeds_without_items_show_no_gain(grid):
    """Three seeds of one gain: their interval lies above 0, and there is no p without answers."""
    runs = [trained(grid, "cs", seed, 10) for seed in range(3)]
    for seed, right in enumerate((15, 15, 16)):
        one = trained(grid, "cs+rl", seed, right)
        runs.append(replace(one, evidence=replace(one.evidence, predictions=None)))
    (gain,) = summarize(grid, runs, {}).comparisons
    assert gain.mean.over_seeds[0] > 0 and gain.p is None
    assert gain.verdict == "not shown"


def test_gains_are_over_the_seeds_that_both_arms_have(grid, runs):
    (gain,) = summarize(grid, runs[1:], {}).comparisons  # without `cs` of seed 0
    assert gain.mean.seeds == pytest.approx({1: 0.3, 2: 0.4})


def test_a_mean_over_fewer_seeds_says_so_and_shows_no_gain(grid, runs):
    """Whose run ended badly is not known to be like the others."""
    result = summarize(grid, runs[1:], {}, seeds=range(4))  # `cs` of seed 0, and all of seed 3
    assert result.seeds == (0, 1, 2, 3)
    assert [one.mean.lacking for one in result.accuracies] == [(0, 3), (3,)]
    (gain,) = result.comparisons
    assert (gain.mean.lacking, gain.verdict) == ((0, 3), "not shown")
    assert gain.p <= 0.05 and gain.mean.over_seeds[0] < 0.3
    page = markdown_page(document(result, title="Ablation", subtitle="Of a test."))
    assert "(2 of 4 seeds)" in page and "(3 of 4 seeds)" in page and "+35.0 (2 of 4 seeds)" in page


def test_other_items_have_a_gain_but_no_interval_over_items(grid):
    runs = [trained(grid, "cs", 0, 10), trained(grid, "cs+rl", 0, 15)]
    renamed = runs[1].evidence.predictions.assign(problem_id=[f"q{n:02}" for n in range(20)])
    runs[1] = replace(runs[1], evidence=replace(runs[1].evidence, predictions=renamed))
    (gain,) = summarize(grid, runs, {}).comparisons
    assert (gain.mean.value, gain.mean.over_items, gain.p) == (0.25, None, None)
    assert gain.verdict == "no interval"


def test_costs_are_sums_over_stages_and_differences_over_the_other_arm(grid, runs):
    assert cost_of(runs[3].evidence) == Cost(
        learner_seconds=3.0, learner_tokens=170.0, sampler_seconds=3.0, sampler_tokens=300.0
    )
    result = summarize(grid, runs, {})
    assert result.costs["cs"].learner_tokens == 70.0
    (gain,) = result.comparisons
    assert gain.extra == Cost(
        learner_seconds=2.0, learner_tokens=100.0, sampler_seconds=3.0, sampler_tokens=300.0
    )


def test_the_papers_numbers_stand_beside_ours(grid, runs):
    alone, beside = summarize(grid, runs, {}).paper
    assert (alone.paper_gain, alone.our_gain) == (None, None)
    assert (beside.percent, beside.paper_gain) == (45.0, 5.0)
    assert (beside.our_gain, beside.verdict) == (pytest.approx(30.0), "up")


@pytest.mark.parametrize("write", [html_page, markdown_page])
def test_the_page_says_gains_costs_the_paper_and_what_failed(grid, runs, write):
    result = summarize(grid, runs, {"other-seed-0": "StageError: it ended"})
    page = write(document(result, title="Ablation", subtitle="Of a test."))
    for told in ("80.0 % ± 24.8", "+30.0", "+2.0 s", "+100", "+5.0", "yes", "StageError: it ended"):
        assert told in page
    worse = summarize(grid, [trained(grid, "cs", 0, 15), trained(grid, "cs+rl", 0, 5)], {})
    assert "no, the other" in write(document(worse, title="Ablation", subtitle="Of a test."))
