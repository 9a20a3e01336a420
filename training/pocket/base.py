"""Trains the pocket base: `python -m training.pocket.base --output FOLDER`.

The base is an "instruct" model for short answers. It writes down what it is given, in text or in
pictures of any level, then answers at once. The figures of its training go to `training.json`.
"""

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from training import device
from training.answers import verify_one
from training.encoding import TokenSequence, encode_prompt, encode_response
from training.evaluation.scores import reads_right
from training.pocket.lessons import Lesson, draw_lessons
from training.pocket.model import build_model, build_processor, train_tokenizer
from training.pocket.problems import FAMILIES, generate
from training.policy import Policy
from training.records import Modality, Problem
from training.rollout.protocol import Prompt, SamplingSettings
from training.rollout.transformers_engine import TransformersEngine
from training.scoring import Scorer, ScoreSettings

SYSTEM_PROMPT = "Think in <think></think>, then answer in \\boxed{}."
_BATCHES_PER_SORT = 8  # sequences are sorted by length within this many batches, to pad little
_CURVE_POINTS = 20  # of the loss, in the written figures
_LAST_RATE = 0.05  # share of the peak learning rate that the cosine ends at


@dataclass(frozen=True)
class BaseSettings:
    """Size of the training.

    Attributes:
        num_lessons: Different lessons of each modality.
        num_steps: Optimizer steps.
        num_text_steps: How many of them, at the beginning, see text only.
        batch_size: Lessons per step.
        learning_rate: Peak of the cosine schedule.
        num_problems: Held-out problems of each modality that measure the result.
    """

    num_lessons: dict[Modality, int]
    num_steps: int
    num_text_steps: int
    batch_size: int
    learning_rate: float
    num_problems: int
    warmup_steps: int = 80
    seed: int = 0


SHIPPED = BaseSettings(
    num_lessons={"text": 20_000, "multimodal": 28_000},
    num_steps=3_000,
    num_text_steps=400,
    batch_size=32,
    learning_rate=2e-3,
    num_problems=600,
)


def new_policy(lessons: list[Lesson], generator: torch.Generator) -> Policy:
    """An untrained policy whose tokenizer knows the words of the lessons and of the traces."""
    corpus = [f"{SYSTEM_PROMPT}\nsystem\nuser\nassistant\n"]
    for lesson in lessons:
        corpus += [lesson.question, lesson.response]
    corpus += [problem["solution"] or "" for problem in generate("text", "train", 2_000, 0)]
    tokenizer = train_tokenizer(corpus)
    return Policy(build_model(tokenizer, generator), build_processor(tokenizer), SYSTEM_PROMPT)


def encode_lessons(policy: Policy, lessons: list[Lesson]) -> list[TokenSequence]:
    """Lessons as prompts with the responses to learn."""
    return [
        TokenSequence(
            encode_prompt(policy, Prompt(lesson.question, lesson.images)),
            encode_response(policy, lesson.response),
        )
        for lesson in lessons
    ]


def batches(
    sequences: list[TokenSequence], batch_size: int, rng: np.random.Generator
) -> Iterator[list[TokenSequence]]:
    """Endless batches of sequences of similar length, each epoch in a new order."""
    while True:
        order = rng.permutation(len(sequences))
        for start in range(0, len(order), _BATCHES_PER_SORT * batch_size):
            window = [sequences[i] for i in order[start : start + _BATCHES_PER_SORT * batch_size]]
            window.sort(key=lambda sequence: sequence.num_tokens)
            cuts = [window[i : i + batch_size] for i in range(0, len(window), batch_size)]
            for place in rng.permutation(len(cuts)):
                yield cuts[place]


def curriculum(
    sequences: list[TokenSequence], settings: BaseSettings
) -> Iterator[list[TokenSequence]]:
    """All the batches: text alone first, which is where copying is learnt fastest, then both."""
    rng = np.random.default_rng(settings.seed)
    text = [sequence for sequence in sequences if not sequence.prompt.images]
    yield from islice(batches(text, settings.batch_size, rng), settings.num_text_steps)
    num_mixed_steps = settings.num_steps - settings.num_text_steps
    yield from islice(batches(sequences, settings.batch_size, rng), num_mixed_steps)


def _optimizers(model: nn.Module, learning_rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the layers' matrices, AdamW for embeddings, convolution, norms and biases."""
    named = list(model.named_parameters())
    matrices = [p for name, p in named if p.ndim == 2 and "embed_tokens" not in name]
    chosen = {id(p) for p in matrices}
    others = [p for _, p in named if id(p) not in chosen]
    return [
        torch.optim.Muon(
            matrices, lr=learning_rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"
        ),
        torch.optim.AdamW(others, lr=learning_rate, weight_decay=0.01, betas=(0.9, 0.98)),
    ]


def teach(
    policy: Policy,
    sequences: list[TokenSequence],
    settings: BaseSettings,
    report: Callable[[int, float], None],
) -> list[float]:
    """Imitates the responses, with linear warm-up and a cosine schedule.

    Returns:
        The mean loss per response token of each step, nats.
    """
    model = policy.model.train()
    optimizers = _optimizers(model, settings.learning_rate)
    scorer = Scorer(policy)
    losses: list[float] = []
    for step, batch in enumerate(curriculum(sequences, settings)):
        for group in (group for optimizer in optimizers for group in optimizer.param_groups):
            group["lr"] = settings.learning_rate * _rate_factor(step, settings)
        scores = scorer(batch, ScoreSettings())
        loss = -scores.log_probs.sum() / scores.mask.sum()
        model.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        losses.append(float(loss.detach()))
        report(step + 1, losses[-1])
    return losses


def _rate_factor(step: int, settings: BaseSettings) -> float:
    warmup = min(1.0, (step + 1) / settings.warmup_steps)
    progress = step / settings.num_steps
    return warmup * (_LAST_RATE + (1 - _LAST_RATE) * 0.5 * (1 + math.cos(math.pi * progress)))


def measure(policy: Policy, problems: list[Problem]) -> dict[str, Any]:
    """Greedy accuracy and reading score: in all, per level, per family, and of levels 1 and 2."""
    prompts = [Prompt(problem["question"], problem["images"]) for problem in problems]
    responses = TransformersEngine(policy).generate(
        prompts, SamplingSettings(max_response_tokens=96, temperature=0.0), torch.Generator()
    )
    rows: list[dict[str, Any]] = [
        {
            "level": problem["level"],
            "family": problem["family"],
            "accuracy": verify_one(response.text, problem["answer"]) == "right",
            "reading": bool(reads_right(problem["reading"], response.text)),
        }
        for problem, response in zip(problems, responses, strict=True)
    ]
    scores: dict[str, Any] = {}
    for metric in ("accuracy", "reading"):
        scores[metric] = _mean(rows, metric)
        scores[f"{metric}_levels_1_2"] = _mean([r for r in rows if r["level"] in (1, 2)], metric)
        for field in ("level", "family"):
            values = sorted({row[field] for row in rows})
            scores[f"{metric}_by_{field}"] = {
                str(value): _mean([r for r in rows if r[field] == value], metric)
                for value in values
            }
    return scores


def _mean(rows: list[dict[str, Any]], metric: str) -> float:
    return round(float(np.mean([row[metric] for row in rows])), 4)


def train_base(settings: BaseSettings, output: Path) -> dict[str, Any]:
    """Trains a base, writes its model folder and `training.json`; returns the figures."""
    started = time.monotonic()
    rng = np.random.default_rng(settings.seed)
    lessons = [
        lesson
        for modality in FAMILIES
        for lesson in draw_lessons(modality, settings.num_lessons[modality], rng)
    ]
    policy = new_policy(
        lessons[:: max(1, len(lessons) // 8_000)], torch.Generator().manual_seed(settings.seed)
    )
    sequences = encode_lessons(policy, lessons)

    def report(step: int, loss: float) -> None:
        if step % 100 == 0:
            print(
                f"step {step}/{settings.num_steps}  loss {loss:.4f}  "
                f"{time.monotonic() - started:.0f} s",
                flush=True,
            )

    losses = teach(policy, sequences, settings, report)
    seconds = time.monotonic() - started
    policy.save(output)
    figures = {
        "settings": asdict(settings),
        "system_prompt": SYSTEM_PROMPT,
        "num_parameters": sum(p.numel() for p in policy.model.parameters()),
        "seconds": round(seconds),
        "losses": [
            round(float(np.mean(part)), 4)
            for part in np.array_split(losses, min(_CURVE_POINTS, len(losses)))
        ],
        "held_out": {
            modality: measure(
                policy, generate(modality, "test", settings.num_problems, settings.seed)
            )
            for modality in FAMILIES
        },
    }
    (output / "training.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return figures


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="the model folder to write")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    arguments = parser.parse_args()
    device.start(arguments.threads)
    arguments.output.mkdir(parents=True, exist_ok=True)
    figures = train_base(SHIPPED, arguments.output)
    for modality, scores in figures["held_out"].items():
        print(
            f"{modality}: accuracy {scores['accuracy']:.3f}, levels 1-2 "
            f"{scores['accuracy_levels_1_2']:.3f}, reading {scores['reading']:.3f}"
        )


if __name__ == "__main__":
    main()
