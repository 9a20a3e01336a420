"""Stages 2 and 3: GRPO with Prioritized Advantage Distillation (paper section 3.3).

One step: sample G responses to each prompt; verify and reward them; A_i = (r_i - mean r) / std r
within a group; distill the batch to the sequences worth learning from (Algorithm 1); and only for
those compute log-probabilities and take optimizer steps.

How the authors' code differs is said where the difference lies: `training/rl/`.
"""

import json
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from datasets import Dataset

from training.answers import Verifier
from training.grpo.experience import Experience, append, collect
from training.grpo.mini_batch import MiniBatch, entropy_coefficient, normalizer_of
from training.grpo.problems import check_lengths, stage_problems
from training.grpo.reference import Reference
from training.grpo.selection import (
    batch_of,
    distill_batch,
    drawn_from,
    num_missing_prompts,
    parts_of,
    rows_with_gradient,
)
from training.grpo.step_metrics import (
    experience_metrics,
    selection_metrics,
    update_metrics,
    update_speed,
)
from training.grpo.upcoming import Upcoming
from training.grpo.validation import NAMES as VALIDATION_METRICS
from training.grpo.validation import hold_out, is_due, validate
from training.learner.checkpoints import Checkpoints, Places
from training.learner.learner import UpdateResult
from training.learner.setup import new_learner, write_summary
from training.model.encoding import TokenSequence
from training.model.forward import ForwardSettings, Scoring
from training.model.nucleus import Truncation
from training.model.policy import Policy, load_policy
from training.recipe.recipe import Recipe
from training.recipe.stages import RlStage
from training.records import Problem
from training.rl import schedules
from training.rl.arms import Batch
from training.rl.pad import Selection
from training.rollout.engine import open_engine
from training.rollout.protocol import Prompt, SamplingSettings
from training.runtime import device
from training.runtime.log import say
from training.runtime.metrics import Metric, MetricsLog
from training.runtime.preemption import NEVER, Stop
from training.runtime.seeds import seeded_generator

# Problems whose greedy answers are kept from before and after the stage, for a reader.
NUM_SHOWN_SAMPLES = 4


@dataclass
class RlState:
    """Everything that changes over the stage besides the learner's; generators hold no state.

    Attributes:
        step: Batches of rollouts done.
        data_position: Prompts drawn, over all epochs.
        num_skipped_updates: Steps whose selection was empty.
        best_validation: The highest accuracy on the held-out problems so far.
        num_validations_since_best: How many validations have not beaten it.
    """

    step: int = 0
    data_position: int = 0
    num_skipped_updates: int = 0
    best_validation: float | None = None
    num_validations_since_best: int = 0


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
        data: Folder of the curated sets; `<set>.parquet` of each that the stage reads.
        output: Receives `model/`, `metrics.jsonl`, `samples.jsonl` and `summary.json`.
        places: Where step checkpoints are saved, and which one to go on from.

    Raises:
        DataError: The set is missing or empty.
        RecipeError: Curation's longest prompt leaves no room for the response.
        ModelError: See `load_policy` and `open_engine`.
        Preempted: SIGTERM came; the state is saved.
    """
    hardware = recipe.hardware
    device.start(hardware.threads_per_process, hardware.collective_timeout_minutes)
    problems, held_out = hold_out(stage_problems(data, stage), stage, recipe.seed)
    say(
        f"{len(problems)} problems, {len(held_out)} held out: {stage.num_steps} steps of "
        f"{stage.prompts_per_step} prompts with {stage.group_size} responses each; "
        f"selection {stage.pad.strategy}"
    )
    with Verifier(accept_rounded=recipe.answers.accept_rounded) as verifier:
        grpo = Grpo(recipe, stage, policy, problems, verifier)
        with (
            Checkpoints(
                recipe.checkpoints, places, output, grpo.learner, grpo.state
            ) as checkpoints,
            grpo.upcoming,
        ):
            if checkpoints.resume():
                grpo.refresh_sampler()
            else:
                grpo.show_samples(output / "samples.jsonl", checkpoints.stop)
            log = MetricsLog(output / "metrics.jsonl" if device.rank() == 0 else None)
            while not grpo.is_finished():
                metrics = grpo.step(checkpoints.stop) | grpo.validate(held_out)
                log.write(step=grpo.state.step, num_steps=stage.num_steps, **metrics)
                score = metrics["validation_accuracy" if stage.validation else "reward"]
                checkpoints.after_step(
                    score=score, is_last=grpo.is_finished(), keeps_best=bool(stage.validation)
                )
            grpo.show_samples(output / "samples.jsonl", checkpoints.stop)
            checkpoints.finish()
            grpo.learner.save_model(output / "model")
    write_summary(
        output,
        stage=stage.name,
        num_rows=len(problems),
        num_held_out=len(held_out),
        num_steps=grpo.state.step,
        best_validation=grpo.state.best_validation,
        num_prompts=grpo.state.data_position,
        num_updates=grpo.learner.state.num_updates,
        num_skipped_updates=grpo.state.num_skipped_updates,
        num_nonfinite_updates=grpo.learner.state.num_nonfinite_updates,
        seconds=round(log.seconds, 1),
    )


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
        self._truncation = Truncation(stage.top_p, stage.top_k, stage.min_p)
        self._problems, self._verifier = problems, verifier

        def load() -> Policy:
            return load_policy(policy, recipe.model, system_prompt=recipe.system_prompt)

        self.policy = load()
        self.upcoming = Upcoming(self.policy, problems, recipe.seed, stage.name)
        check_lengths(self.policy, recipe, stage)
        waits, has_adapters = recipe.hardware.reference_in_host, stage.lora is not None
        self._reference = (
            Reference(self.policy, load, has_adapters=has_adapters, waits_in_host=waits)
            if stage.kl
            else None
        )
        # Shards (ZeRO-3) cannot be sampled from.
        is_sharded = recipe.hardware.zero_stage == 3
        self._engine = open_engine(recipe.rollout, self.policy, copy=load if is_sharded else None)
        num_updates = stage.num_steps * stage.updates_per_step
        self.learner = new_learner(recipe, stage, self.policy, num_updates=num_updates)

    def step(self, stop: Stop = NEVER) -> dict[str, Metric]:
        """One step of GRPO with PAD; returns its metrics.

        Args:
            stop: Looked at until the step's first update ends.

        Raises:
            Preempted: See `Stop`.
        """
        stage, step = self._stage, self.state.step
        experience, num_rounds = self._collect(stop)
        if step + 1 < stage.num_steps:
            self.upcoming.read(self.state.data_position, stage.prompts_per_step)
        start = time.monotonic()
        batch = batch_of(experience, stage)
        temperature = schedules.pad_temperature(
            step, stage.num_steps, start=stage.pad.temperature_start, end=stage.pad.temperature_end
        )
        # Algorithm 1 on the batch of all ranks; every rank draws the same sequences.
        generator = seeded_generator(self._recipe.seed, stage.name, "selection", step)
        selection = distill_batch(batch, stage, temperature=temperature, generator=generator)
        results = self._update(experience, batch, selection, stop)
        self.state.num_skipped_updates += not results
        self.state.step += 1
        return {
            **experience_metrics(experience),
            "refill_rounds": num_rounds,
            **selection_metrics(batch, selection, stage),
            **update_metrics(results, stage),
            "pad_temperature": temperature,
            "entropy_coefficient": entropy_coefficient(
                stage, max(self.learner.state.num_updates - 1, 0)
            ),
            **update_speed(results, time.monotonic() - start),
        }

    def is_finished(self) -> bool:
        """Whether all steps are done, or validation has not improved for too long."""
        validation, state = self._stage.validation, self.state
        patience = validation.patience if validation else None
        has_stalled = patience is not None and state.num_validations_since_best >= patience
        return has_stalled or state.step >= self._stage.num_steps

    def validate(self, held_out: Sequence[Problem]) -> dict[str, Metric]:
        """Measures the policy on held-out problems, if it is time to: null in other steps."""
        stage, state = self._stage, self.state
        if stage.validation is None:
            return {}
        if not is_due(state.step, stage):
            return dict.fromkeys(VALIDATION_METRICS)
        measured = validate(
            self._engine,
            self._verifier,
            held_out,
            stage,
            stage.validation,
            self._recipe.seed,
        )
        accuracy = measured["validation_accuracy"]
        if state.best_validation is None or accuracy > state.best_validation:
            state.best_validation, state.num_validations_since_best = accuracy, 0
        else:
            state.num_validations_since_best += 1
        return {**measured}

    def _collect(self, stop: Stop) -> tuple[Experience, int]:
        """Rollouts of one step, and how many rounds of further prompts refilled them."""
        stage, num_rounds = self._stage, 0
        experience = self._sample(stage.prompts_per_step, num_rounds, stop)
        while num_rounds < stage.pad.refill_rounds:
            num_missing = num_missing_prompts(batch_of(experience, stage), stage)
            if num_missing == 0:
                break
            num_rounds += 1
            experience = append(experience, self._sample(num_missing, num_rounds, stop))
        return experience, num_rounds

    def _sample(self, num_prompts: int, refill_round: int, stop: Stop) -> Experience:
        stage, state = self._stage, self.state
        problems = self.upcoming.take(state.data_position, num_prompts)
        state.data_position += num_prompts
        settings = SamplingSettings(
            stage.max_response_tokens,
            stage.temperature,
            stage.top_p,
            stage.group_size,
            stage.top_k,
            stage.min_p,
            stage.stop,
        )
        generator = seeded_generator(
            self._recipe.seed, stage.name, "sampling", state.step, refill_round, device.rank()
        )
        return collect(
            self._engine,
            self._verifier,
            problems,
            settings,
            policy=self.policy,
            rewards=stage.rewards,
            generator=generator,
            stop=stop,
        )

    def _update(
        self, experience: Experience, batch: Batch, selection: Selection, stop: Stop
    ) -> list[UpdateResult]:
        """Optimizer steps on the selected sequences; none if nothing was selected."""
        stage = self._stage
        generator = seeded_generator(self._recipe.seed, stage.name, "parts", self.state.step)
        parts = parts_of(len(selection.indices), stage.updates_per_step, generator)
        with self._reference.at_work() if self._reference and parts else nullcontext():
            mini_batches = [
                self._mini_batch(experience, batch, selection, part, stop) for part in parts
            ]
        settings = ForwardSettings(
            stage.temperature,
            # Old log-probabilities come with the sampler's nucleus; else it is computed here.
            self._truncation if stage.updates_per_step == 1 else Truncation(),
            with_entropy=True,
            bans_placeholders=True,
        )
        results: list[UpdateResult] = []
        for mini_batch in mini_batches:
            bonus = entropy_coefficient(stage, self.learner.state.num_updates)
            loss = mini_batch.loss_function(stage, bonus)
            until = NEVER if results else stop  # then the weights are those of no step's end
            results.append(self.learner.update(mini_batch.sequences, loss, settings, until))
        if results:
            self.refresh_sampler()
        return results

    def refresh_sampler(self) -> None:
        """Gives the sampler the newest weights, where it has a copy of its own."""
        if self._engine.has_own_weights:
            self._engine.load_weights(self.learner.weights())

    def _mini_batch(
        self,
        experience: Experience,
        batch: Batch,
        selection: Selection,
        part: torch.Tensor,
        stop: Stop,
    ) -> MiniBatch:
        """The `part` of a selection that is one update; made before the step's first update."""
        stage = self._stage
        selected = selection.indices[part]
        # Unweighted, the loss is a mean over what was drawn; weighted, over what was drawn from.
        is_weighted = stage.pad.importance_weight
        averaged = drawn_from(batch, stage) if is_weighted else selected
        normalizer = normalizer_of(experience.lengths_tokens[averaged], stage)
        share = len(part) / len(selection.indices)
        scored = rows_with_gradient(batch.advantages[selected], stage)
        rows = selected[scored]
        responses = [experience.responses[row] for row in rows.tolist()]
        sequences = [
            TokenSequence(experience.prompts[one.prompt_index], one.token_ids) for one in responses
        ]
        plain = ForwardSettings(stage.temperature, bans_placeholders=True)
        scorings: dict[str, Scoring] = {}
        if stage.updates_per_step > 1:
            scorings["old"] = Scoring(replace(plain, truncation=self._truncation))
        if self._reference is not None:
            scorings["reference"] = self._reference.scoring(plain)
        found = self.learner.scores(sequences, [*scorings.values()], stop) if scorings else []
        scores = dict(zip(scorings, found, strict=True))
        return MiniBatch(
            sequences,
            batch.advantages[rows],
            [response.log_probs for response in responses],
            normalizer * share if is_weighted else normalizer,
            weights=selection.weights[part][scored] if is_weighted else None,
            old=scores.get("old"),
            reference=scores.get("reference"),
        )

    def show_samples(self, path: Path, stop: Stop) -> None:
        """Appends the policy's greedy answers to a few fixed problems.

        Raises:
            Preempted: See `Stop`; nothing is appended.
        """
        num_shown = min(NUM_SHOWN_SAMPLES, len(self._problems)) if device.rank() == 0 else 0
        problems = [self._problems[i] for i in range(num_shown)]
        settings = SamplingSettings(
            self._stage.max_response_tokens, temperature=0.0, stop=self._stage.stop
        )
        prompts = [Prompt(problem["question"], problem["images"]) for problem in problems]
        with stop.agreed():
            responses = self._engine.generate(prompts, settings, torch.Generator(), stop.is_told)
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
