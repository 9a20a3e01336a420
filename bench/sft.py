"""Supervised fine-tuning: tokens a second, ours and TRL's SFTTrainer's on the same rows."""

import tempfile
from collections.abc import Sequence
from statistics import median
from time import perf_counter
from typing import Any

import torch
from datasets import Dataset

from bench.peer import NUM_THREADS, StepClock, in_new_process
from bench.rl_step import MODEL, RATE, SEQUENCES_PER_MICRO_BATCH, TOKENS_PER_MICRO_BATCH
from bench.table import Row
from infra.settings import PROJECT_ROOT
from training.learner.learner import Learner
from training.model.encoding import TokenSequence, encode_prompt, encode_response
from training.model.forward import ForwardSettings
from training.model.policy import load_policy
from training.pocket.problems import generate
from training.recipe.recipe import Recipe, load_recipe
from training.recipe.stages import OptimizerRecipe
from training.records import Problem
from training.rollout.protocol import Prompt
from training.runtime import device
from training.sft.train import token_mean_loss

BATCH_SIZE, NUM_STEPS = 64, 8


def ours(recipe: Recipe, problems: Sequence[Problem]) -> tuple[float, int]:
    """Seconds of an epoch after one batch of warm-up, and the tokens of that epoch."""
    policy = load_policy(MODEL, recipe.model, system_prompt=recipe.system_prompt)
    learner = Learner(
        policy,
        optimizer=OptimizerRecipe(learning_rate=RATE),
        hardware=recipe.hardware,
        num_updates=NUM_STEPS + 1,
        tokens_per_micro_batch=TOKENS_PER_MICRO_BATCH,
    )

    def encoded(problem: Problem) -> TokenSequence:
        prompt = encode_prompt(policy, Prompt(problem["question"], problem["images"]))
        return TokenSequence(prompt, encode_response(policy, problem["solution"] or ""))

    rows = [encoded(problem) for problem in problems]
    batches = [rows[start : start + BATCH_SIZE] for start in range(0, len(rows), BATCH_SIZE)]
    learner.update(batches[0], token_mean_loss(batches[0]), ForwardSettings())
    start = perf_counter()
    for batch in batches:
        learner.update(batch, token_mean_loss(batch), ForwardSettings())
    return perf_counter() - start, sum(row.num_tokens for row in rows)


def trl_seconds(recipe: Recipe, problems: Sequence[Problem]) -> float:
    """Duration (s) of SFTTrainer's epoch on the same rows, scaled for the first step left out."""
    from trl import SFTConfig, SFTTrainer

    policy = load_policy(MODEL, recipe.model, system_prompt=recipe.system_prompt)
    rows: list[dict[str, Any]] = [
        {
            "prompt": [
                {"role": "system", "content": recipe.system_prompt},
                {"role": "user", "content": problem["question"]},
            ],
            "completion": [{"role": "assistant", "content": problem["solution"]}],
        }
        for problem in problems
    ]
    with tempfile.TemporaryDirectory() as folder:
        settings = SFTConfig(
            output_dir=folder,
            per_device_train_batch_size=SEQUENCES_PER_MICRO_BATCH,
            gradient_accumulation_steps=BATCH_SIZE // SEQUENCES_PER_MICRO_BATCH,
            max_steps=NUM_STEPS + 1,
            learning_rate=RATE,
            max_length=None,
            gradient_checkpointing=False,
            report_to=[],
            use_cpu=not torch.cuda.is_available(),
            bf16=False,
            save_strategy="no",
            disable_tqdm=True,
        )
        clock = StepClock()
        trainer = SFTTrainer(
            policy.model,
            args=settings,
            train_dataset=Dataset.from_list(rows),
            processing_class=policy.processor.tokenizer,
            callbacks=[clock],
        )
        trainer.train()
    return clock.ends[-1] - clock.ends[0]


def compare(num_rounds: int) -> list[Row]:
    """One row: the same number of rows a second is the same number of tokens a second."""
    recipe = load_recipe(PROJECT_ROOT / "infra/recipes/pocket.toml")
    device.start(NUM_THREADS)
    problems = generate("text", "train", BATCH_SIZE * NUM_STEPS, seed=0)
    times, peers, num_tokens = [], [], 0
    for _ in range(num_rounds):
        peers.append(in_new_process(trl_seconds, recipe, problems))
        seconds, num_tokens = ours(recipe, problems)
        times.append(seconds)
    speeds = num_tokens / median(times), num_tokens / median(peers)
    return [Row("SFT, text", "tokens/s", *speeds, "at least", 1.2)]
