"""Two real processes share the prompts of one call."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from training.rollout.protocol import Prompt, SamplingSettings
from training.rollout.sharded import ShardedEngine
from training.rollout.transformers_engine import TransformersEngine

ROOT = Path(__file__).parents[3]

PROGRAM = """
import json, sys
import torch, torch.distributed as dist
from training.rollout.protocol import Prompt, Response, SamplingSettings
from training.rollout.sharded import ShardedEngine

rank, meeting_point = int(sys.argv[1]), sys.argv[2]
dist.init_process_group("gloo", init_method=f"file://{meeting_point}", rank=rank, world_size=2)

class Echo:
    def generate(self, prompts, settings, generator):
        return [
            Response(i, torch.ones(1), torch.zeros(1), f"{p.question} {sample} by {rank}", False)
            for i, p in enumerate(prompts) for sample in range(settings.samples_per_prompt)
        ]

responses = ShardedEngine(Echo()).generate(
    [Prompt(name) for name in "abcde"], SamplingSettings(4, samples_per_prompt=2), torch.Generator()
)
print(json.dumps([[each.prompt_index, each.text] for each in responses]))
dist.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_answer_every_other_prompt_and_both_see_all(tmp_path):
    environment = os.environ | {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(rank), str(tmp_path / "meeting-point")],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    outputs = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    expected = [
        [index, f"{name} {sample} by {index % 2}"]
        for index, name in enumerate("abcde")
        for sample in range(2)
    ]
    assert [json.loads(output) for output in outputs] == [expected, expected]


def test_one_process_answers_as_the_engine_itself(tiny_policy, images):
    engine = TransformersEngine(tiny_policy)
    prompts = [Prompt("one"), Prompt("two, longer", images[:1]), Prompt("three")]
    settings = SamplingSettings(4, samples_per_prompt=2)
    alone, sharded = (
        each.generate(prompts, settings, torch.Generator().manual_seed(1))
        for each in (engine, ShardedEngine(engine))
    )
    assert [(one.prompt_index, one.text) for one in alone] == [
        (one.prompt_index, one.text) for one in sharded
    ]
