"""Stages 2 and 3: GRPO with Prioritized Advantage Distillation (paper section 3.3).

One step: sample G responses to each prompt; verify and reward them; A_i = (r_i - mean r) / std r
within a group; distill the batch to the sequences worth learning from (Algorithm 1); and only for
those compute log-probabilities and take optimizer steps.

How the authors' code differs is said where the difference lies: `training/rl/`.
"""

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from datasets import Dataset

from contracts.errors import DataError
from training.answers import Verifier
from training.grpo.experience import Experience, append, collect
from training.grpo.mini_batch import MiniBatch, loss_settings, normalizer_of
from training.grpo.step_metrics import (
    experience_metrics,
    selection_metrics,
    update_metrics,
    update_speed,
)
from training.learner.checkpoints import Checkpoints, Places
from training.learner.learner import Learner, UpdateResult
from training.model.adapters import attach_adapters
from training.model.encoding import EncodedPrompt, TokenSequence, encode_prompt
from training.model.forward import Scorer, ScoreSettings
from training.model.policy import Policy, load_policy
from training.recipe.recipe import Recipe
from training.recipe.stages import RlStage
from training.records import Problem, read_problems
from training.rl import schedules
from training.rl.advantages import group_advantages, without_truncated, zero_variance_sequences
from training.rl.pad import Selection, population, select
from training.rollout.engine import open_engine
from training.rollout.protocol import Prompt, SamplingSettings
from training.runtime import device
from training.runtime.metrics import Metric, MetricsLog
from training.runtime.seeds import rows_at, seeded_generator

# How often `dynamic` replaces the groups that teach nothing before it goes on with fewer: DAPO
# refills without a bound, and hangs once every prompt is solved.
MAX_REFILL_ROUNDS = 4
# Problems whose greedy answers are kept from before and after the stage, for a reader.
NUM_SHOWN_SAMPLES = 4


@dataclass
class RlState:
    """Everything that changes over the stage besides the learner's; generators hold no state.

    Attributes:
        step: Batches of rollouts done.
        data_position: Prompts drawn, over all epochs.
        num_skipped_updates: Steps whose selection was empty.
    """

    step: int = 0
    data_position: int = 0
    num_skipped_updates: int = 0


def train(
    recipe: Recipe,
    stage: RlStage,
    policy: Path,
    data: Path,
    output: Path,
    places: Places = Places(),  # noqa: B008 - frozen
) -> None:
    """Runs the stage.

    Args:
        recipe: The run's recipe: seed, system prompt, model and hardware.
        stage: This stage's section of it.
        policy: Model folder to start from; also the reference of a KL term.
        data: Folder of the curated sets; `<stage.data>.parquet` is read.
        output: Receives `model/`, `metrics.jsonl`, `samples.jsonl` and `summary.json`.
        places: Where step checkpoints are saved, and which one to go on from.

    Raises:
        DataError: The set is missing or empty.
        ModelError: See `load_policy` and `open_engine`.
        Preempted: SIGTERM came; the state is saved.
    """
    device.start(recipe.hardware.threads_per_process)
    problems = _read(data / f"{stage.data}.parquet")
    with Verifier() as verifier:
        grpo = Grpo(recipe, stage, policy, problems, verifier)
        with Checkpoints(
            recipe.checkpoints, places, output, grpo.learner, grpo.state
        ) as checkpoints:
            if checkpoints.resume():
                grpo.refresh_sampler()
            else:
                grpo.show_samples(output / "samples.jsonl")
            log = MetricsLog(output / "metrics.jsonl" if device.rank() == 0 else None)
            while grpo.state.step < stage.num_steps:
                metrics = grpo.step()
                log.write(step=grpo.state.step, num_steps=stage.num_steps, **metrics)
                checkpoints.after_step(score=metrics["reward"])
        grpo.show_samples(output / "samples.jsonl")
    grpo.learner.save_model(output / "model")
    summary = {
        "stage": stage.name,
        "num_rows": len(problems),
        "num_steps": stage.num_steps,
        "num_prompts": grpo.state.data_position,
        "num_updates": grpo.learner.state.num_updates,
        "num_skipped_updates": grpo.state.num_skipped_updates,
        "seconds": round(log.seconds, 1),
    }
    if device.rank() == 0:
        (output / "summary.json").write_text(json.dumps(summary, indent=1), encoding="utf-8")


class Grpo:
    """The loop's parts and its state.

    Args:
        recipe: The run's recipe.
        stage: The stage's section of it.
        policy: Model folder to start from.
        problems: The stage's curated set.
        verifier: Decides whether an answer is right.
    """

    def __init__(
        self, recipe: Recipe, stage: RlStage, policy: Path, problems: Dataset, verifier: Verifier
    ) -> None:
        self.state = RlState()
        self._recipe, self._stage = recipe, stage
        self._problems, self._verifier = problems, verifier

        def load() -> Policy:
            return load_policy(policy, recipe.model, system_prompt=recipe.system_prompt)

        self._policy = load()
        # vLLM has weights of its own. So has the transformers engine under ZeRO-3: shards cannot be
        # sampled from.
        in_process = recipe.rollout.engine == "transformers"
        self._needs_weights = not in_process or recipe.hardware.zero_stage == 3
        sampled = load() if in_process and self._needs_weights else self._policy
        self._reference = Scorer(load()).eval() if stage.kl else None
        self._engine = open_engine(recipe.rollout, sampled)
        if stage.lora:
            generator = seeded_generator(recipe.seed, stage.name, "adapters")
            attach_adapters(self._policy.model, stage.lora, generator)
        self.learner = Learner(
            self._policy,
            optimizer=stage.optimizer,
            hardware=recipe.hardware,
            num_updates=stage.num_steps * stage.updates_per_step,
            tokens_per_micro_batch=stage.tokens_per_micro_batch,
            frozen=stage.freeze,
        )

    def step(self) -> dict[str, Metric]:
        """One step of GRPO with PAD; returns its metrics."""
        stage, step = self._stage, self.state.step
        experience = self._collect()
        start = time.monotonic()
        advantages = group_advantages(
            experience.rewards, experience.group_ids, scale=stage.advantage_scale
        )
        if stage.mask_truncated:
            advantages = without_truncated(advantages, experience.truncated)
        temperature = schedules.pad_temperature(
            step, stage.num_steps, start=stage.pad.temperature_start, end=stage.pad.temperature_end
        )
        selection = self._distill(experience, advantages, temperature)
        results = self._update(experience, advantages, selection)
        self.state.num_skipped_updates += not results
        self.state.step += 1
        return {
            **experience_metrics(experience),
            **selection_metrics(experience, advantages, selection, stage),
            **update_metrics(results, stage),
            "pad_temperature": temperature,
            "entropy_coefficient": loss_settings(stage, step).entropy_coefficient,
            **update_speed(experience, selection, time.monotonic() - start),
        }

    def _collect(self) -> Experience:
        """Rollouts of one step; `dynamic` samples further prompts for groups that teach nothing."""
        experience = self._sample(self._stage.prompts_per_step, refill_round=0)
        if self._stage.pad.strategy != "dynamic":
            return experience
        for refill_round in range(1, MAX_REFILL_ROUNDS + 1):
            dead = zero_variance_sequences(experience.rewards, experience.group_ids)
            num_live = int((~dead).sum()) // self._stage.group_size
            if num_live >= self._stage.prompts_per_step:
                break
            more = self._sample(self._stage.prompts_per_step - num_live, refill_round)
            experience = append(experience, more)
        return experience

    def _sample(self, num_prompts: int, refill_round: int) -> Experience:
        stage, state = self._stage, self.state
        rows = rows_at(
            state.data_position,
            num_prompts,
            num_rows=len(self._problems),
            seed=self._recipe.seed,
            label=stage.name,
        )
        state.data_position += num_prompts
        settings = SamplingSettings(
            stage.max_response_tokens, stage.temperature, stage.top_p, stage.group_size
        )
        generator = seeded_generator(
            self._recipe.seed, stage.name, "sampling", state.step, refill_round, device.rank()
        )
        problems = [self._problems[row] for row in rows]
        return collect(
            self._engine,
            self._verifier,
            problems,
            settings,
            rewards=stage.rewards,
            generator=generator,
        )

    def _distill(
        self, experience: Experience, advantages: torch.Tensor, temperature: float
    ) -> Selection:
        """Algorithm 1 on the batch of all ranks; every rank draws the same sequences."""
        pad = self._stage.pad
        return select(
            advantages,
            low=pad.low,
            high=pad.high,
            ratio=pad.ratio,
            temperature=temperature,
            generator=seeded_generator(
                self._recipe.seed, self._stage.name, "selection", self.state.step
            ),
            strategy=pad.strategy,
            group_ids=experience.group_ids,
        )

    def _update(
        self, experience: Experience, advantages: torch.Tensor, selection: Selection
    ) -> list[UpdateResult]:
        """Optimizer steps on the selected sequences; none if nothing was selected."""
        stage = self._stage
        # A zero advantage has no term in the loss, so it is not worth a forward pass.
        chosen = (advantages[selection.indices] != 0.0).nonzero().flatten()
        batches = [
            self._mini_batch(experience, advantages, selection, part, share=len(part) / len(chosen))
            for part in self._parts(chosen)
        ]
        loss = loss_settings(stage, self.state.step)
        settings = ScoreSettings(
            stage.temperature,
            # The nucleus that matters is the sampler's: of old scores where there are any.
            stage.top_p if stage.updates_per_step == 1 else 1.0,
            with_entropy=True,
            bans_placeholders=True,
        )
        results = [
            self.learner.update(batch.sequences, batch.loss_function(loss), settings)
            for batch in batches
        ]
        if results:
            self.refresh_sampler()
        return results

    def refresh_sampler(self) -> None:
        """Gives the sampler the newest weights, where it has a copy of its own."""
        if self._needs_weights:
            self._engine.load_weights(self.learner.weights())

    def _parts(self, chosen: torch.Tensor) -> list[list[int]]:
        """Deals the selection out to this step's updates, at random if there are several."""
        num_parts = min(self._stage.updates_per_step, len(chosen))
        if num_parts > 1:
            generator = seeded_generator(
                self._recipe.seed, self._stage.name, "parts", self.state.step
            )
            chosen = chosen[torch.randperm(len(chosen), generator=generator)]
        return [part.tolist() for part in chosen.tensor_split(num_parts)] if num_parts else []

    def _mini_batch(
        self,
        experience: Experience,
        advantages: torch.Tensor,
        selection: Selection,
        part: list[int],
        *,
        share: float,
    ) -> MiniBatch:
        """The `part` of a selection that is one update; made before the step's first update.

        `share` is the part's size, the whole selection's being 1.
        """
        stage = self._stage
        rows = selection.indices[part]
        responses = [experience.responses[row] for row in rows.tolist()]
        prompts = {
            index: self._encode(experience.problems[index])
            for index in {response.prompt_index for response in responses}
        }
        sequences = [TokenSequence(prompts[r.prompt_index], r.token_ids) for r in responses]
        # Unweighted, the loss is a mean over what was drawn; weighted, over what was drawn from.
        averaged = self._population(experience, advantages) if stage.pad.importance_weight else rows
        normalizer = normalizer_of(experience.lengths_tokens[averaged], advantages[averaged], stage)
        reference, plain = self._reference, ScoreSettings(stage.temperature, bans_placeholders=True)
        return MiniBatch(
            sequences,
            advantages[rows],
            [response.log_probs for response in responses],
            normalizer * share if stage.pad.importance_weight else normalizer,
            weights=selection.weights[part] if stage.pad.importance_weight else None,
            old=(
                self.learner.score(sequences, replace(plain, top_p=stage.top_p))
                if stage.updates_per_step > 1
                else None
            ),
            reference=self.learner.score(sequences, plain, reference) if reference else None,
        )

    def _population(self, experience: Experience, advantages: torch.Tensor) -> torch.Tensor:
        """The rows that this step's selection was drawn from."""
        pad = self._stage.pad
        return population(
            advantages,
            low=pad.low,
            high=pad.high,
            strategy=pad.strategy,
            group_ids=experience.group_ids,
        )

    def _encode(self, problem: Problem) -> EncodedPrompt:
        return encode_prompt(self._policy, Prompt(problem["question"], problem["images"]))

    def show_samples(self, path: Path) -> None:
        """Appends the policy's greedy answers to a few fixed problems."""
        num_shown = min(NUM_SHOWN_SAMPLES, len(self._problems)) if device.rank() == 0 else 0
        problems = [self._problems[i] for i in range(num_shown)]
        responses = self._engine.generate(
            [Prompt(problem["question"], problem["images"]) for problem in problems],
            SamplingSettings(self._stage.max_response_tokens, temperature=0.0),
            torch.Generator(),
        )
        if not problems:
            return
        outcomes = self._verifier.verify(
            [response.text for response in responses], [problem["answer"] for problem in problems]
        )
        with path.open("a", encoding="utf-8") as file:
            for problem, response, outcome in zip(problems, responses, outcomes, strict=True):
                line = {
                    "step": self.state.step,
                    "problem_id": problem["id"],
                    "question": problem["question"],
                    "answer": problem["answer"],
                    "response": response.text,
                    "outcome": outcome,
                    "truncated": response.truncated,
                }
                file.write(json.dumps(line, ensure_ascii=False) + "\n")


def _read(path: Path) -> Dataset:
    problems = read_problems(path)
    if len(problems) == 0:
        raise DataError(
            f"{path} holds no problem.",
            where=str(path),
            rule="a stage has something to learn from",
            fix="curate with wider bounds on pass rate and level, or from more sources",
        )
    return problems
