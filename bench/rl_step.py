"""One RL step, ours and TRL's GRPOTrainer's, on the same weights, prompts, rewards and lengths.

16 prompts x 8 samples x 64 tokens; the end of text is never sampled, so every response has 64. Both
sample, verify the answers with the same verifier, score, and take one AdamW step; no KL term. Both
run one process with a thread a core, and cut the update into micro-batches, never slower here than
one large batch. TRL runs without activation checkpointing, which would slow it down.

Rounds of both alternate, so that a change of the machine's load reaches both.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Literal
from unittest.mock import patch

import torch
from datasets import Dataset

from bench.peer import NUM_THREADS, StepClock, in_new_process
from bench.table import Row
from infra.settings import PROJECT_ROOT
from training.answers import Verifier
from training.grpo import train as grpo
from training.images import decode_image
from training.learner.learner import Learner
from training.model.encoding import TokenSequence, encode_prompt
from training.model.forward import ForwardPass, ForwardSettings
from training.model.policy import Policy, load_policy
from training.pocket.problems import generate
from training.recipe.model import ModelRecipe
from training.recipe.recipe import Recipe, load_recipe
from training.recipe.stages import OptimizerRecipe, RepetitionReward, RlStage
from training.records import Modality, Problem
from training.rl.rewards import total_rewards
from training.rollout.protocol import Prompt
from training.runtime import device

MODEL = PROJECT_ROOT / "infra/models/pocket-base"
NUM_PROMPTS, GROUP_SIZE, NUM_TOKENS, RATE = 16, 8, 64, 1e-5
# About the same on both sides: TRL counts sequences, we count tokens.
TOKENS_PER_MICRO_BATCH, SEQUENCES_PER_MICRO_BATCH = 4096, 32
# Random in most responses, so that every group teaches something, on both sides.
REWARDS = [RepetitionReward(kind="repetition", ngram=1)]


class EndlessPolicy(Policy):
    """A policy whose responses never end before their budget."""

    @cached_property
    def forbidden_token_ids(self) -> torch.Tensor:
        """Also the tokens that would end a response."""
        forbidden = Policy.forbidden_token_ids.func(self)
        return torch.cat([forbidden, self.end_token_ids]).unique()


def endless_policy(path: str | Path, model: ModelRecipe, *, system_prompt: str) -> Policy:
    """`load_policy`, without an end."""
    loaded = load_policy(path, model, system_prompt=system_prompt)
    return EndlessPolicy(loaded.model, loaded.processor, loaded.system_prompt)


def new_stage(**changes: object) -> RlStage:
    """The step's settings; `changes` are a variant's."""
    values = {
        "kind": "rl",
        "name": "bench",
        "data": "bench",
        "optimizer": {"learning_rate": RATE},
        "num_steps": 1000,
        "prompts_per_step": NUM_PROMPTS,
        "group_size": GROUP_SIZE,
        "max_response_tokens": NUM_TOKENS,
        "top_p": 1.0,
        "tokens_per_micro_batch": TOKENS_PER_MICRO_BATCH,
        "rewards": [reward.model_dump() for reward in REWARDS],
    }
    return RlStage.model_validate(values | changes)


@dataclass
class Ours:
    """A stage that is advanced step by step."""

    stage: grpo.Grpo

    def seconds(self, num_steps: int) -> list[float]:
        """Durations of the next steps (s)."""
        taken = []
        for _ in range(num_steps):
            start = perf_counter()
            metrics = self.stage.step()
            taken.append(perf_counter() - start)
            if metrics["skipped_update"]:
                raise RuntimeError("a step without an update cannot be compared")
        return taken


def ours(recipe: Recipe, stage: RlStage, problems: Sequence[Problem], verifier: Verifier) -> Ours:
    """A stage over the problems, on the endless policy."""
    with patch("training.grpo.train.load_policy", endless_policy):
        return Ours(
            grpo.Grpo(
                recipe, stage, MODEL, Dataset.from_list([dict(p) for p in problems]), verifier
            )
        )


def trl_seconds(problems: Sequence[Problem], system_prompt: str, num_steps: int) -> list[float]:
    """Durations (s) of a new GRPOTrainer's steps after its first, which warms up."""
    with Verifier() as verifier:
        return _trl_seconds(problems, system_prompt, verifier, num_steps)


def _trl_seconds(
    problems: Sequence[Problem], system_prompt: str, verifier: Verifier, num_steps: int
) -> list[float]:
    from trl import GRPOConfig, GRPOTrainer

    def reward(completions: list[Any], answer: list[str], **_: object) -> list[float]:
        texts = [completion[0]["content"] for completion in completions]
        outcomes = verifier.verify(texts, answer)
        total, _parts = total_rewards(texts, [NUM_TOKENS] * len(texts), outcomes, REWARDS)
        return [float(value) for value in total]

    policy = load_policy(MODEL, ModelRecipe(path="unused"), system_prompt=system_prompt)
    rows = [trl_row(problem, system_prompt) for problem in problems]
    with tempfile.TemporaryDirectory() as folder:
        settings = GRPOConfig(
            output_dir=folder,
            per_device_train_batch_size=SEQUENCES_PER_MICRO_BATCH,
            gradient_accumulation_steps=NUM_PROMPTS * GROUP_SIZE // SEQUENCES_PER_MICRO_BATCH,
            num_generations=GROUP_SIZE,
            max_completion_length=NUM_TOKENS,
            generation_kwargs={"min_new_tokens": NUM_TOKENS},
            max_steps=num_steps + 1,
            learning_rate=RATE,
            beta=0.0,
            gradient_checkpointing=False,
            report_to=[],
            use_cpu=not torch.cuda.is_available(),
            bf16=False,
            save_strategy="no",
            disable_tqdm=True,
        )
        clock = StepClock()
        trainer = GRPOTrainer(
            policy.model,
            reward,
            settings,
            train_dataset=Dataset.from_list(rows),
            processing_class=policy.processor,
            callbacks=[clock],
        )
        trainer.train()
    return [end - begin for begin, end in zip(clock.begins, clock.ends, strict=True)][1:]


def trl_row(problem: Problem, system_prompt: str) -> dict[str, Any]:
    """A problem in TRL's columns."""
    messages = [
        {"role": "system", "content": system_prompt},
        {"role": "user", "content": problem["question"]},
    ]
    row: dict[str, Any] = {"prompt": messages, "answer": problem["answer"]}
    if problem["images"]:
        row["images"] = [decode_image(image) for image in problem["images"]]
    return row


@contextmanager
def prepared() -> Iterator[Verifier]:
    """The process group, a thread a core, and a verifier."""
    device.start(NUM_THREADS)
    with Verifier() as verifier:
        yield verifier


def compare(modality: Modality, *, num_rounds: int, steps_per_round: int, vllm: bool) -> list[Row]:
    """Times every variant against TRL; a row each."""
    recipe = load_recipe(PROJECT_ROOT / "infra/recipes/pocket.toml")
    problems = generate(modality, "train", NUM_PROMPTS * 8, seed=0)
    variants: dict[str, tuple[Literal["transformers", "vllm"], RlStage, float | None]] = {
        "PAD, rho 0.5": ("transformers", new_stage(pad={"ratio": 0.5}), 0.5),
        "no selection": ("transformers", new_stage(pad={"strategy": "none"}), 0.8),
    }
    if vllm:
        variants["PAD, rho 0.5, vLLM"] = ("vllm", new_stage(pad={"ratio": 0.5}), None)
    with prepared() as verifier:
        running = {}
        for name, (engine, stage, _) in variants.items():
            rollout = {"rollout": {"engine": engine}}
            changed = Recipe.model_validate(recipe.model_dump() | rollout)
            running[name] = ours(changed, stage, problems, verifier)
            running[name].seconds(1)  # warms up
        times: dict[str, list[float]] = {name: [] for name in variants}
        trl: list[float] = []
        for _ in range(num_rounds):
            trl += in_new_process(trl_seconds, problems, recipe.system_prompt, steps_per_round)
            for name, one in running.items():
                times[name] += one.seconds(steps_per_round)
    return [
        Row(f"RL step, {modality}, {name}", "s", median(times[name]), median(trl), "at most", bar)
        for name, (_, _, bar) in variants.items()
    ]


def selection_saving(modality: Modality) -> Row:
    """Old and reference log-probabilities of what PAD selects, against those of the whole batch."""
    recipe = load_recipe(PROJECT_ROOT / "infra/recipes/pocket.toml")
    policy, reference = (
        endless_policy(MODEL, recipe.model, system_prompt=recipe.system_prompt) for _ in range(2)
    )
    with prepared():
        learner = Learner(
            policy,
            optimizer=OptimizerRecipe(learning_rate=RATE),
            hardware=recipe.hardware,
            num_updates=1,
            tokens_per_micro_batch=4096,
        )
        sequences = []
        generator = torch.Generator().manual_seed(0)
        for problem in generate(modality, "train", NUM_PROMPTS, seed=0):
            prompt = encode_prompt(policy, Prompt(problem["question"], problem["images"]))
            ids = torch.randint(20, 300, (GROUP_SIZE, NUM_TOKENS), generator=generator)
            sequences += [TokenSequence(prompt, row) for row in ids]
        forward_pass, settings = (
            ForwardPass(reference).eval(),
            ForwardSettings(bans_placeholders=True),
        )

        def seconds(rows: list[TokenSequence]) -> float:
            start = perf_counter()
            learner.log_probs(rows, settings)
            learner.log_probs(rows, settings, forward_pass)
            return perf_counter() - start

        halves = sequences[::2]
        seconds(halves)  # warms up
        pairs = [(seconds(halves), seconds(sequences)) for _ in range(5)]
    selected, everything = (median(list(times)) for times in zip(*pairs, strict=True))
    name = f"old and reference log-probs, {modality}: after selecting half / before selecting"
    return Row(name, "s", selected, everything, "at most", None)
