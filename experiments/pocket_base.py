"""Trains the pocket base: `python -m experiments.pocket_base --output FOLDER`.

The base is an "instruct" model for short answers. It writes down what it is given, in text or in
pictures of any level, and does problems of one or two steps. The figures of its training go to
`training.json`.
"""

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from training.answers import verify_in_process
from training.evaluation.scores import reads_right
from training.model.encoding import TokenSequence, encode_prompt, encode_response
from training.model.forward import ForwardPass, ForwardSettings
from training.model.policy import Policy
from training.pocket.lessons import Kind, Lesson, draw_lessons, reading_problems
from training.pocket.model import build_model, build_processor, train_tokenizer
from training.pocket.problems import FAMILIES, generate
from training.records import Modality, Problem
from training.rollout.protocol import Prompt, SamplingSettings
from training.rollout.transformers_engine import TransformersEngine
from training.runtime import device

SYSTEM_PROMPT = "Think in <think></think>, then answer in \\boxed{}."
_BATCHES_PER_SORT = 8  # sequences are sorted by length within this many batches, to pad little
_CURVE_POINTS = 20  # of the loss, in the written figures
_LAST_RATE = 0.05  # share of the peak learning rate that the cosine ends at


LessonKey = tuple[Modality, Kind]


@dataclass(frozen=True)
class Phase:
    """A part of the training.

    Attributes:
        num_steps: Optimizer steps.
        shares: How often each sort of lesson is drawn; they sum to 1.
    """

    num_steps: int
    shares: Mapping[LessonKey, float]


@dataclass(frozen=True)
class BaseSettings:
    """Size of the training.

    Attributes:
        num_lessons: Different lessons of each sort.
        phases: What is taught when.
        batch_size: Lessons per step.
        learning_rate: Peak of the cosine schedule.
        num_problems: Held-out problems of each modality that measure the result.
        warmup_steps: Steps of linear warm-up.
        seed: Decides lessons, weights and order.
    """

    num_lessons: Mapping[LessonKey, int]
    phases: tuple[Phase, ...]
    batch_size: int
    learning_rate: float
    num_problems: int
    warmup_steps: int = 80
    seed: int = 0

    @property
    def num_steps(self) -> int:
        """Optimizer steps of all phases."""
        return sum(phase.num_steps for phase in self.phases)


TEXT_DRILL: LessonKey = ("text", "drill")
TEXT_GLANCE: LessonKey = ("text", "glance")
TEXT_SHORT: LessonKey = ("text", "short")
IMAGE_GLANCE: LessonKey = ("multimodal", "glance")
IMAGE_SHORT: LessonKey = ("multimodal", "short")

SHIPPED = BaseSettings(
    num_lessons={
        TEXT_DRILL: 8_000,
        TEXT_GLANCE: 8_000,
        TEXT_SHORT: 12_000,
        IMAGE_GLANCE: 14_000,
        IMAGE_SHORT: 10_000,
    },
    phases=(
        # Copying and sums are learnt fastest from text alone; then seeing, which takes longest.
        Phase(500, {TEXT_DRILL: 0.5, TEXT_GLANCE: 0.3, TEXT_SHORT: 0.2}),
        Phase(
            2_900,
            {
                TEXT_DRILL: 0.05,
                TEXT_GLANCE: 0.12,
                TEXT_SHORT: 0.18,
                IMAGE_GLANCE: 0.4,
                IMAGE_SHORT: 0.25,
            },
        ),
    ),
    batch_size=32,
    learning_rate=4e-3,
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


def endless(
    sequences: Sequence[TokenSequence], rng: np.random.Generator
) -> Iterator[TokenSequence]:
    """The sequences again and again, each time in a new order."""
    while True:
        for place in rng.permutation(len(sequences)):
            yield sequences[place]


def curriculum(
    sequences: Mapping[LessonKey, Sequence[TokenSequence]], settings: BaseSettings
) -> Iterator[list[TokenSequence]]:
    """All batches, phase by phase; a batch holds sequences of similar length."""
    rng = np.random.default_rng(settings.seed)
    streams = {key: endless(lessons, rng) for key, lessons in sequences.items()}
    for phase in settings.phases:
        yield from islice(_batches(streams, phase, settings.batch_size, rng), phase.num_steps)


def _batches(
    streams: Mapping[LessonKey, Iterator[TokenSequence]],
    phase: Phase,
    batch_size: int,
    rng: np.random.Generator,
) -> Iterator[list[TokenSequence]]:
    keys = list(phase.shares)
    while True:
        drawn = rng.choice(
            len(keys), size=_BATCHES_PER_SORT * batch_size, p=[phase.shares[key] for key in keys]
        )
        window = [next(streams[keys[place]]) for place in drawn]
        window.sort(key=lambda sequence: sequence.num_tokens)
        for number in rng.permutation(_BATCHES_PER_SORT):
            yield window[number * batch_size : (number + 1) * batch_size]


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
    sequences: Mapping[LessonKey, Sequence[TokenSequence]],
    settings: BaseSettings,
    report: Callable[[int, float], None],
) -> list[float]:
    """Imitates the responses, with linear warm-up and a cosine schedule.

    Returns:
        The mean loss per response token of each step, nats.
    """
    model = policy.model.train()
    optimizers = _optimizers(model, settings.learning_rate)
    forward_pass = ForwardPass(policy)
    losses: list[float] = []
    for step, batch in enumerate(curriculum(sequences, settings)):
        for group in (group for optimizer in optimizers for group in optimizer.param_groups):
            group["lr"] = settings.learning_rate * _rate_factor(step, settings)
        computed = forward_pass(batch, ForwardSettings())
        loss = -computed.log_probs.sum() / computed.mask.sum()
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


def measure(
    policy: Policy, problems: list[Problem], max_response_tokens: int = 96
) -> dict[str, Any]:
    """Greedy accuracy and reading score: in all, per level, per family, and of levels 1 and 2."""
    prompts = [Prompt(problem["question"], problem["images"]) for problem in problems]
    responses = TransformersEngine(policy).generate(
        prompts, SamplingSettings(max_response_tokens, temperature=0.0), torch.Generator()
    )
    rows: list[dict[str, Any]] = [
        {
            "level": problem["level"],
            "family": problem["family"],
            "accuracy": verify_in_process(response.text, problem["answer"]) == "right",
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


def held_out_figures(policy: Policy, num_problems: int, seed: int) -> dict[str, Any]:
    """What a base can do on the test split, by modality.

    Returns:
        `held_out`, problems of all levels; `asked_to_read`, questions of all levels that one look
        at the givens answers. While it solves, a base stops reading where short problems end.
    """
    return {
        "held_out": {
            modality: measure(policy, generate(modality, "test", num_problems, seed))
            for modality in FAMILIES
        },
        "asked_to_read": {
            modality: measure(
                policy,
                reading_problems(modality, "test", num_problems, np.random.default_rng(seed)),
            )
            for modality in FAMILIES
        },
    }


def _mean(rows: list[dict[str, Any]], metric: str) -> float:
    return round(float(np.mean([row[metric] for row in rows])), 4)


def train_base(settings: BaseSettings, output: Path) -> dict[str, Any]:
    """Trains a base, writes its model folder and `training.json`; returns the figures."""
    started = time.monotonic()
    rng = np.random.default_rng(settings.seed)
    lessons = {key: draw_lessons(*key, number, rng) for key, number in settings.num_lessons.items()}
    words = [lesson for drawn in lessons.values() for lesson in drawn[:2_000]]
    policy = new_policy(words, torch.Generator().manual_seed(settings.seed))
    sequences = {key: encode_lessons(policy, drawn) for key, drawn in lessons.items()}

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
        "settings": _described(settings),
        "system_prompt": SYSTEM_PROMPT,
        "num_parameters": sum(p.numel() for p in policy.model.parameters()),
        "seconds": round(seconds),
        "losses": [
            round(float(np.mean(part)), 4)
            for part in np.array_split(losses, min(_CURVE_POINTS, len(losses)))
        ],
        **held_out_figures(policy, settings.num_problems, settings.seed),
    }
    (output / "training.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return figures


def _described(settings: BaseSettings) -> dict[str, Any]:
    """The settings as JSON values."""
    return {
        "num_lessons": {" ".join(key): number for key, number in settings.num_lessons.items()},
        "phases": [
            {
                "num_steps": phase.num_steps,
                "shares": {" ".join(key): share for key, share in phase.shares.items()},
            }
            for phase in settings.phases
        ],
        "batch_size": settings.batch_size,
        "learning_rate": settings.learning_rate,
        "warmup_steps": settings.warmup_steps,
        "seed": settings.seed,
    }


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
            f"{scores['accuracy_levels_1_2']:.3f}, reading {scores['reading']:.3f}, "
            f"when asked to read {figures['asked_to_read'][modality]['reading']:.3f}"
        )


if __name__ == "__main__":
    main()
