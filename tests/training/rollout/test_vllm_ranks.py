"""vLLM's CPU build in two processes, which share the weights."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
TOLERANCE = 1e-3


def test_two_processes_share_the_weights_and_answer_each_other(tmp_path):
    """Tensor parallelism for vLLM, ZeRO-3 for the learner; then a grader for both, after a base."""
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [
            sys.executable,
            *launch,
            str(Path(__file__).with_name("vllm_two_ranks.py")),
            str(tmp_path),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    for rank, num_prompts in ((0, 2), (1, 1)):
        result = json.loads((tmp_path / f"rank{rank}.json").read_text())
        before, stale, after = result["gaps"]
        assert max(before, after) < TOLERANCE < stale
        assert result["prompt_indices"] == [i for i in range(num_prompts) for _ in range(3)]
        assert result["repeats"]
        assert result["left_off"] == ["stopped in step 3", "stopped" if rank else "left"]
        assert not result["left"]  # of the closed engine's weights
        assert result["grader_weights"] == ["meta"]
        # The grader is the base, and each draw depends on the prompt and the seed alone: both
        # answer each of the six sums alike, in groups of one process and of two.
        assert len(texts := sorted(result["texts"])) == 12 and texts[::2] == texts[1::2]
        assert len({text for pair in texts for text in pair}) > 6
