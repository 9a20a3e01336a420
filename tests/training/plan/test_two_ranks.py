"""The plan of two processes against what each of them really holds."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from infra.launcher import stage_environment
from tests.training.plan.peaks import TOLERANCE, TWO_RANKS, planned_parts, planned_peak

ROOT = Path(__file__).parents[3]
# All cases are measured at once, before the first of them: longer than a test may take otherwise.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1000)]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """By rank and case: bytes of weights, masters and moments, and the peak of an update."""
    output = tmp_path_factory.mktemp("two-ranks")
    program = str(Path(__file__).with_name("two_ranks.py"))
    done = subprocess.run(
        [sys.executable, "-m", "infra.torchrun", "--nproc-per-node", "2", program, str(output)],
        env=stage_environment(1) | {"PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return [json.loads((output / f"rank-{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.parametrize("number", range(len(TWO_RANKS)), ids=map(str, TWO_RANKS))
def test_each_rank_holds_what_is_planned(found, number, monkeypatch):
    case = TWO_RANKS[number]
    planned = planned_peak(case, 2, monkeypatch)
    peaks = [of_rank[number]["peak"] for of_rank in found]
    print(f"measured {[p / 1e6 for p in peaks]} MB, planned {planned / 1e6:.2f} MB")
    # The plan is of the rank that holds most.
    assert max(peaks) == pytest.approx(planned, rel=TOLERANCE)
    for of_rank in found:
        assert of_rank[number]["peak"] < planned * (1 + TOLERANCE)
        # Shares are rounded up, tensor by tensor in ZeRO-3.
        assert of_rank[number]["parts"] == pytest.approx(planned_parts(case, 2), rel=0.01)
