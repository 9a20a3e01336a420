"""What ranks tell each other of a step, and what each of them makes of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from training.grpo.experience import _in_order, _Share, _Tokens, append
from training.rollout.protocol import Response

ROOT = Path(__file__).parents[3]


def share(problems, rewards, seconds):
    """A rank's, with one response of one token to each of its problems; the token is its number."""
    return _Share(
        tokens=[_Tokens(torch.tensor([10 * number]), None) for number in problems],
        responses=[
            Response(number, torch.tensor([number]), torch.tensor([-0.5]), "", truncated=False)
            for number in problems
        ],
        outcomes=["right" if number % 2 else "wrong" for number in problems],
        rewards=torch.tensor(rewards),
        reward_parts={"accuracy": torch.tensor(rewards) / 2},
        seconds_rollout=seconds,
        seconds_reward=1.0,
    )


def test_shares_come_in_the_order_of_the_problems_with_this_ranks_own_images(new_problem):
    problems = [new_problem(number, with_image=True) for number in range(5)]
    ranks = [share([0, 2, 4], [0.0, 2.0, 4.0], 3.0), share([1, 3], [1.0, 3.0], 5.0)]
    whole = _in_order(problems, ranks)
    assert [int(prompt.token_ids) for prompt in whole.prompts] == [0, 10, 20, 30, 40]
    for prompt, problem in zip(whole.prompts, problems, strict=True):
        assert prompt.images is problem["images"]
    assert [int(one.token_ids) for one in whole.responses] == [0, 1, 2, 3, 4]
    assert whole.group_ids.tolist() == whole.rewards.tolist() == [0, 1, 2, 3, 4]
    assert whole.reward_parts["accuracy"].tolist() == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert whole.outcomes == ["wrong", "right", "wrong", "right", "wrong"]
    assert (whole.seconds_rollout, whole.seconds_reward) == (5.0, 1.0)  # of the slowest

    both = append(whole, _in_order(problems[:1], [share([0], [7.0], 2.0)]))
    assert both.group_ids.tolist() == [0, 1, 2, 3, 4, 5]
    assert both.rewards.tolist() == [0, 1, 2, 3, 4, 7]
    assert [int(prompt.token_ids) for prompt in both.prompts] == [0, 10, 20, 30, 40, 0]
    assert both.outcomes[-1] == "wrong" and both.reward_parts["accuracy"][-1] == 3.5
    assert (both.seconds_rollout, both.seconds_reward) == (7.0, 2.0)


@pytest.mark.slow
def test_no_image_travels_and_each_rank_makes_tokens_of_its_own_prompts(
    tiny_model_folder, problem_sets, tmp_path
):
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", "2", str(Path(__file__).with_name("two_ranks_share.py"))),
            *map(str, (tiny_model_folder, problem_sets, tmp_path)),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
