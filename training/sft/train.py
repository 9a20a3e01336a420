"""Stage 1, the cold start: supervised fine-tuning on reasoning traces (paper section 3.2)."""

import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from contracts.errors import DataError
from training.learner.checkpoints import Checkpoints, Places
from training.learner.learner import LossFunction
from training.learner.setup import new_learner, write_summary
from training.model.encoding import TokenSequence, encode_prompt, encode_response
from training.model.forward import ForwardSettings, TokenLogProbs
from training.model.policy import Policy, load_policy
from training.model.probe import probe
from training.recipe.recipe import Recipe
from training.recipe.stages import SftStage
from training.records import read_problems
from training.rollout.protocol import Prompt
from training.runtime import device
from training.runtime.failures import phase
from training.runtime.log import say
from training.runtime.metrics import MetricsLog
from training.runtime.seeds import rows_at


@dataclass
class SftState:
    """Everything that changes over the stage besides the learner's state.

    Attributes:
        step: Optimizer steps done.
        data_position: Rows read, over all epochs.
        loss: The last step's.
    """

    step: int = 0
    data_position: int = 0
    loss: float = 0.0


def train(
    recipe: Recipe,
    stage: SftStage,
    policy: Path,
    data: Path,
    output: Path,
    places: Places = Places(),  # noqa: B008 - frozen
) -> None:
    """Runs the stage.

    Args:
        recipe: The run's recipe: seed, system prompt, model and hardware.
        stage: This stage's section of it.
        policy: Model folder to start from.
        data: Folder of the curated sets; `<stage.data>.parquet` is read.
        output: Receives `model/`, `metrics.jsonl` and `summary.json`.
        places: Where step checkpoints are saved, and which one to go on from.

    Raises:
        DataError: The set is missing, or no row fits into `max_length_tokens`.
        ModelError: See `load_policy` and `probe`.
        OutOfMemoryError: Of the GPU or of the host.
        Preempted: SIGTERM came; the state is saved.
    """
    hardware = recipe.hardware
    device.start(hardware.threads_per_process, hardware.collective_timeout_minutes)
    model = load_policy(policy, recipe.model, system_prompt=recipe.system_prompt)
    with phase("loading"):
        figures = probe(model)
    say(f"Probe: {figures}")
    rows, num_too_long = _encode(model, data / f"{stage.data}.parquet", stage)
    num_samples = math.ceil(stage.epochs * len(rows))
    num_steps = math.ceil(num_samples / stage.batch_size)
    say(
        f"{len(rows)} traces, {num_too_long} longer than {stage.max_length_tokens} tokens left "
        f"out: {num_steps} steps of {stage.batch_size} sequences"
    )
    learner = new_learner(recipe, stage, model, num_updates=num_steps)
    state = SftState()
    with Checkpoints(recipe.checkpoints, places, output, learner, state) as checkpoints:
        checkpoints.resume()
        log = MetricsLog(output / "metrics.jsonl" if device.rank() == 0 else None)
        while state.step < num_steps:
            step_start = time.monotonic()
            count = min(stage.batch_size, num_samples - state.data_position)
            order = rows_at(
                state.data_position, count, num_rows=len(rows), seed=recipe.seed, label=stage.name
            )
            batch = [rows[row] for row in order]
            result = learner.update(
                batch, token_mean_loss(batch), ForwardSettings(), checkpoints.stop
            )
            state.step, state.data_position = state.step + 1, state.data_position + count
            if result.applied:
                state.loss = result.loss
            num_tokens = sum(sequence.num_tokens for sequence in batch)
            seconds_update = time.monotonic() - step_start
            log.write(
                step=state.step,
                num_steps=num_steps,
                loss=result.loss,
                nonfinite_updates=int(not result.applied),
                learning_rate=result.learning_rate,
                grad_norm=result.grad_norm,
                seconds_update=seconds_update,
                tokens_per_second=num_tokens / seconds_update,
            )
            checkpoints.after_step(score=-state.loss, is_last=state.step == num_steps)
        checkpoints.finish()
        learner.save_model(output / "model")
    write_summary(
        output,
        stage=stage.name,
        num_rows=len(rows),
        dropped_rows={f"longer than {stage.max_length_tokens} tokens": num_too_long},
        num_steps=num_steps,
        num_samples=num_samples,
        num_nonfinite_updates=learner.state.num_nonfinite_updates,
        final_loss=state.loss,
        seconds=round(log.seconds, 1),
    )


def token_mean_loss(batch: list[TokenSequence]) -> LossFunction:
    """Cross-entropy of the response tokens, averaged over all of a global batch's tokens."""
    num_tokens = sum(len(sequence.response_ids) for sequence in batch)

    def loss(computed: TokenLogProbs, _: list[int]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        return -computed.log_probs.sum() / num_tokens, {}

    return loss


def _encode(policy: Policy, path: Path, stage: SftStage) -> tuple[list[TokenSequence], int]:
    """The rows that fit, and how many are too long; a row is dropped but never truncated."""
    rows: list[TokenSequence] = []
    num_too_long = 0
    for problem in read_problems(path):
        if problem["solution"] is None:
            raise DataError(
                f"Problem {problem['id']} has no solution to learn from.",
                where=str(path),
                rule="every row of a supervised set has a solution",
                fix="set `needs_solution = true` in the set's section of the recipe",
            )
        sequence = TokenSequence(
            encode_prompt(policy, Prompt(problem["question"], problem["images"])),
            encode_response(policy, problem["solution"]),
        )
        if sequence.num_tokens > stage.max_length_tokens:
            num_too_long += 1
        else:
            rows.append(sequence)
    if not rows:
        raise DataError(
            f"{path} holds no row of at most {stage.max_length_tokens} tokens.",
            where=f"stage {stage.name}: max_length_tokens = {stage.max_length_tokens}",
            rule="a stage has something to learn from",
            fix="raise max_length_tokens, or curate shorter problems",
        )
    return rows, num_too_long
