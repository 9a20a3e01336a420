"""Tokens a second of the pocket base: learning, and sampling in the learner's process."""

import time

import torch

from drills.gpu_check.learner import new_learner
from drills.gpu_check.machine import Machine
from drills.gpu_check.outcome import Figures
from drills.gpu_check.work import new_batch, new_policy, new_problems, prompt_of
from training.model.forward import ForwardSettings
from training.rollout.protocol import SamplingSettings
from training.rollout.transformers_engine import TransformersEngine
from training.runtime import device
from training.sft.train import token_mean_loss

BATCH_SIZE, NUM_UPDATES = 32, 4
NUM_PROMPTS = 16
SAMPLING = SamplingSettings(max_response_tokens=64, temperature=1.0, samples_per_prompt=4)


def speed(machine: Machine) -> Figures:
    """Figures alone: a model of 2.2 M parameters says nothing of a large one's speed."""
    return machine.measure(
        tokens_per_second, limit_seconds=300, dtype="bfloat16" if machine.num_gpus else "float32"
    )


def tokens_per_second(dtype: str) -> Figures:
    """After one update and one sample that are not counted."""
    device.start(1)
    policy = new_policy(dtype)
    engine = TransformersEngine(policy)
    prompts = [prompt_of(problem) for problem in new_problems(NUM_PROMPTS)]
    generator = torch.Generator().manual_seed(0)
    engine.generate(prompts, SAMPLING, generator)
    start = time.perf_counter()
    responses = engine.generate(prompts, SAMPLING, generator)  # its tokens come back to the host
    sampled = sum(len(response.token_ids) for response in responses)
    sampling = time.perf_counter() - start
    learner = new_learner(policy, tokens_per_micro_batch=4096)
    batch = new_batch(policy, BATCH_SIZE)
    learner.update(batch, token_mean_loss(batch), ForwardSettings())
    start = time.perf_counter()
    for _ in range(NUM_UPDATES):  # each ends by reading its loss and norm
        learner.update(batch, token_mean_loss(batch), ForwardSettings())
    learning = time.perf_counter() - start
    learned = NUM_UPDATES * sum(sequence.num_tokens for sequence in batch)
    return {
        "format": dtype,
        "learned tokens a second": learned / learning,
        "sampled tokens a second": sampled / sampling,
    }
