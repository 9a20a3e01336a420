"""The learner: one optimizer step on a global batch, over DeepSpeed.

Supervised training and RL differ in the loss alone, so both hand this class the global batch and
a function from log-probabilities to a loss. The batch is dealt out to the ranks and cut into
micro-batches by a token budget. Losses are sums divided by a normaliser of the whole global batch,
so neither the cut nor the number of ranks changes the update (up to rounding).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from contracts.errors import TrainingError
from training.learner.dealing import Size, Turn, in_step
from training.learner.engine import deepspeed
from training.learner.state import ShardedState
from training.model import family
from training.model.adapters import has_adapters, merged_weights
from training.model.encoding import EncodedPrompt, MicroBatch, TokenSequence
from training.model.forward import (
    ForwardPass,
    ForwardSettings,
    ResponseLogProbs,
    Scoring,
    TokenLogProbs,
    collated,
    forward_without_gradient,
)
from training.model.policy import Policy, freeze
from training.recipe.hardware import HardwareRecipe
from training.recipe.stages import Component, OptimizerRecipe
from training.rl.schedules import learning_rate_factor
from training.runtime import device
from training.runtime.failures import phase
from training.runtime.log import say
from training.runtime.preemption import NEVER, Stop

LossFunction = Callable[[TokenLogProbs, list[int]], tuple[torch.Tensor, dict[str, torch.Tensor]]]


@dataclass
class LearnerState:
    """What an update changes besides the weights and the optimizer's moments.

    Attributes:
        num_updates: Optimizer steps so far; it decides the learning rate.
        num_nonfinite_updates: Updates left out because their gradient was not finite.
        num_nonfinite_in_a_row: Of them, those since the last optimizer step.
    """

    num_updates: int = 0
    num_nonfinite_updates: int = 0
    num_nonfinite_in_a_row: int = 0


@dataclass(frozen=True)
class UpdateResult:
    """What one optimizer step did, over all ranks.

    Attributes:
        loss: The global batch's loss.
        grad_norm: Of the whole gradient, before clipping; not finite if nothing was changed.
        learning_rate: The rate of this step.
        diagnostics: Sums over the global batch of what the loss function reported.
    """

    loss: float
    grad_norm: float
    learning_rate: float
    diagnostics: dict[str, torch.Tensor]

    @property
    def applied(self) -> bool:
        """Whether anything was changed: a gradient that is not finite is thrown away."""
        return math.isfinite(self.grad_norm)


class Learner:
    """Trains a policy in place.

    Args:
        policy: Its model is wrapped, not copied. Under ZeRO-3 its weights are sharded and it can
            no longer be sampled from: see `weights`.
        optimizer: AdamW and its schedule.
        hardware: The ZeRO stage, where the optimizer is, and whether activations are computed again
            instead of kept.
        num_updates: Optimizer steps of the whole stage, for the schedule.
        tokens_per_micro_batch: Token budget of a forward pass on one rank, padding included.
        frozen: Components that do not learn.
    """

    @phase("loading")
    def __init__(
        self,
        policy: Policy,
        *,
        optimizer: OptimizerRecipe,
        hardware: HardwareRecipe,
        num_updates: int,
        tokens_per_micro_batch: int,
        frozen: Sequence[Component] = (),
    ) -> None:
        self.state = LearnerState()
        self._policy = policy
        self._recipe = optimizer
        self._num_updates = num_updates
        self._budget_tokens = tokens_per_micro_batch
        self._is_sharded = hardware.zero_stage == 3
        self._is_offloaded = hardware.offload_optimizer
        # DeepSpeed clips and measures the norm itself, save for plain float32 without ZeRO.
        self._clips_here = hardware.zero_stage == 0 and policy.model.dtype == torch.float32
        freeze(policy.model, frozen)
        # Asked for before ZeRO-3 takes the weights apart.
        self._visual_token_cost = (
            family.visual_token_cost(policy.model) if hardware.share_images else 0.0
        )
        policy.model.train()
        if hardware.activation_checkpointing:
            policy.model.gradient_checkpointing_enable({"use_reentrant": False})
        self._trained = [p for p in policy.model.parameters() if p.requires_grad]
        learns_to_see = any(
            weight.requires_grad and family.component_of(name) != "language_model"
            for name, weight in policy.model.named_parameters()
        )
        # ZeRO adds up gradients, and gathers shards, of whatever each rank has just run.
        self._sees_in_step = device.world_size() > 1 and (
            self._is_sharded or (hardware.zero_stage > 0 and learns_to_see)
        )
        self._adamw = torch.optim.AdamW(
            self._trained,
            lr=optimizer.learning_rate,
            weight_decay=optimizer.weight_decay,
            fused=True,
        )
        self._engine, *_ = deepspeed.initialize(
            model=ForwardPass(policy),
            optimizer=self._adamw,
            config=self._deepspeed_config(hardware),
            dist_init_required=False,
        )
        # DeepSpeed makes groups of its own, with torch's time-out.
        device.limit_collectives(hardware.collective_timeout_minutes)
        self._sharded = ShardedState(policy.model, self._engine, self._adamw, hardware)

    @phase("saving")
    def export_state(self) -> dict[str, torch.Tensor]:
        """This rank's share of weights and moments, in host memory: see `ShardedState`."""
        return self._sharded.export()

    @property
    def state_bytes(self) -> int:
        """Of a step checkpoint, all ranks' shares together."""
        return self._sharded.num_bytes

    def restore_state(self, names: set[str], read: Callable[[str], torch.Tensor]) -> None:
        """Puts weights and moments in place: see `ShardedState`."""
        self._sharded.restore(names, read)

    def _deepspeed_config(self, hardware: HardwareRecipe) -> dict[str, Any]:
        zero: dict[str, Any] = {"stage": hardware.zero_stage}
        if hardware.offload_optimizer:
            # Page-locked memory would be faster to copy, but torch rounds it up to powers of two.
            zero["offload_optimizer"] = {"device": "cpu", "pin_memory": False}
        return {
            # Micro-batches are cut by tokens; DeepSpeed only needs numbers that agree.
            "train_micro_batch_size_per_gpu": 1,
            "gradient_accumulation_steps": 1,
            # Else an offloaded optimizer gets gradients of the last micro-batch's parameters alone:
            # none of the vision tower's where that one has no image.
            "managed_gradient_accumulation": not hardware.offload_optimizer,
            "gradient_clipping": 0.0 if self._clips_here else self._recipe.max_grad_norm,
            "bf16": {
                "enabled": self._policy.model.dtype == torch.bfloat16,
                "check_grad_overflow": True,
            },
            "zero_optimization": zero,
            "zero_allow_untested_optimizer": True,
            "zero_force_ds_cpu_optimizer": False,
            "steps_per_print": None,
        }

    def log_probs(
        self,
        sequences: Sequence[TokenSequence],
        settings: ForwardSettings,
        forward_pass: ForwardPass | None = None,
    ) -> dict[int, ResponseLogProbs]:
        """The log-probabilities of one scoring alone: see `scores`."""
        (scored,) = self.scores(sequences, [Scoring(settings, forward_pass)])
        return scored

    @phase("update")
    def scores(
        self,
        sequences: Sequence[TokenSequence],
        scorings: Sequence[Scoring],
        stop: Stop = NEVER,
    ) -> list[dict[int, ResponseLogProbs]]:
        """Log-probabilities of this rank's share of a global batch, without gradient.

        All scorings share a micro-batch: its images are read and moved to the device once.

        Args:
            sequences: The global batch, as `update` will get it.
            scorings: Which policies' log-probabilities.
            stop: Looked at before each micro-batch.

        Returns:
            For each scoring, by index in `sequences`, the rows that `update` deals to this rank.

        Raises:
            Preempted: See `Stop`.
        """
        found: list[dict[int, ResponseLogProbs]] = [{} for _ in scorings]
        for rows, batch in self._batches(sequences, self._turns(sequences), stop):
            shared = [(rows, batch.to(self._policy.device))]
            for scoring, by_row in zip(scorings, found, strict=True):
                forward_pass = scoring.forward_pass or self._engine
                with scoring.around():
                    by_row.update(forward_without_gradient(forward_pass, shared, scoring.settings))
        return found

    @phase("update")
    def update(
        self,
        sequences: Sequence[TokenSequence],
        loss_function: LossFunction,
        settings: ForwardSettings,
        stop: Stop = NEVER,
    ) -> UpdateResult:
        """Takes one optimizer step, or none if the loss or its gradient is not finite.

        Args:
            sequences: The global batch, the same on every rank; not empty.
            loss_function: Maps a micro-batch's log-probabilities [S, L] and its rows in
                `sequences` to a loss, already divided by the global batch's normaliser, and to sums
                to report.
            settings: What the forward pass computes.
            stop: Looked at before each micro-batch. Weights and moments change after the last.

        Raises:
            TrainingError: Too many updates in a row had a gradient that was not finite.
            Preempted: See `Stop`.
        """
        learning_rate = self._set_learning_rate()
        loss_sum, sums = 0.0, dict[str, torch.Tensor]()
        turns = self._turns(sequences)
        for number, (rows, batch) in enumerate(self._batches(sequences, turns, stop)):
            if not self._is_offloaded:
                self._engine.set_gradient_accumulation_boundary(number == len(turns) - 1)
            computed = self._engine(batch, settings)
            loss, diagnostics = loss_function(computed, rows)
            share = float(turns[number].counts)
            loss_sum += share * float(loss.detach())
            if not math.isfinite(loss_sum):
                # A clamp turns NaN log-probabilities into a gradient of 0, which would pass as an
                # update: make it one that every rank throws away.
                loss = loss + math.nan * computed.log_probs.sum()
            # DeepSpeed averages over the ranks, but the ranks' losses are parts of one sum.
            self._engine.backward(loss * (share * device.world_size()))
            for name, value in diagnostics.items():
                sums[name] = sums.get(name, torch.zeros(())) + share * value.detach().cpu()
        grad_norm = self._step()
        self._sharded.forget_gradients()
        self._count(is_finite=math.isfinite(grad_norm))
        sums["loss"] = torch.tensor(loss_sum)
        sums = device.sum_over_ranks(sums)
        return UpdateResult(float(sums.pop("loss")), grad_norm, learning_rate, sums)

    def _batches(
        self, sequences: Sequence[TokenSequence], turns: Sequence[Turn], stop: Stop
    ) -> Iterator[tuple[list[int], MicroBatch]]:
        for batch in collated(self._policy, sequences, [turn.rows for turn in turns]):
            stop.agree()
            yield batch

    def _turns(self, sequences: Sequence[TokenSequence]) -> list[Turn]:
        """This rank's micro-batches, and weightless ones.

        Sharded weights are gathered by all ranks together, so each runs as many forward passes
        as the rank that has most.
        """
        sees = [self._sees_in_step and bool(one.prompt.images) for one in sequences]
        turns = in_step(self._sizes(sequences), sees, device.world_size(), self._budget_tokens)
        return turns[device.rank()]

    def _sizes(self, sequences: Sequence[TokenSequence]) -> list[Size]:
        """The sequences' sizes; they share a prompt if it is the same object."""
        of_prompts: dict[int, tuple[int, float]] = {}  # number, and its images' cost
        for prompt in (sequence.prompt for sequence in sequences):
            if id(prompt) not in of_prompts:
                of_prompts[id(prompt)] = len(of_prompts), self._cost_of_images(prompt)
        return [Size(one.num_tokens, *of_prompts[id(one.prompt)]) for one in sequences]

    def _cost_of_images(self, prompt: EncodedPrompt) -> float:
        """In tokens of the language model; 0 where responses do not share images."""
        if not self._visual_token_cost or not prompt.images:
            return 0.0
        return self._visual_token_cost * self._policy.num_visual_tokens(prompt.token_ids)

    def _set_learning_rate(self) -> float:
        rate = self._recipe.learning_rate * learning_rate_factor(
            self.state.num_updates,
            self._num_updates,
            warmup_ratio=self._recipe.warmup_ratio,
            schedule=self._recipe.schedule,
        )
        for group in self._adamw.param_groups:
            group["lr"] = rate
        return rate

    def _step(self) -> float:
        """Clips, steps and clears the gradient; returns its norm.

        A gradient that is not finite is cleared alone, and its norm is not finite either.
        """
        if not self._clips_here:
            self._engine.step()
            norm = float(self._engine.get_global_grad_norm())
            return norm if self._engine.was_step_applied() else math.inf
        norm = float(torch.nn.utils.clip_grad_norm_(self._trained, self._recipe.max_grad_norm))
        if math.isfinite(norm):
            self._engine.step()
        else:
            self._engine.zero_grad()
        return norm

    def _count(self, *, is_finite: bool) -> None:
        """Counts an update, and says it if it was thrown away."""
        state, most = self.state, self._recipe.max_nonfinite_in_a_row
        if is_finite:
            state.num_updates += 1
            state.num_nonfinite_in_a_row = 0
            return
        state.num_nonfinite_updates += 1
        state.num_nonfinite_in_a_row += 1
        in_a_row = state.num_nonfinite_in_a_row
        say(
            f"The gradient after update {state.num_updates} is not finite: left out, "
            f"{in_a_row} in a row"
        )
        if in_a_row >= most:
            raise TrainingError(
                f"{in_a_row} updates in a row had a gradient that is not finite.",
                where=f"after update {state.num_updates} of {self._num_updates}",
                rule=f"fewer than {most} in a row (optimizer.max_nonfinite_in_a_row)",
                fix="lower the learning rate or max_grad_norm; the last checkpoint holds finite "
                "weights",
            )

    def _whole(self, parameters: list[torch.nn.Parameter]) -> AbstractContextManager[None]:
        """Makes sharded parameters whole on every rank for a moment."""
        if not self._is_sharded:
            return nullcontext()
        gathered: AbstractContextManager[None] = deepspeed.zero.GatheredParameters(parameters)
        return gathered

    def weights(self) -> Iterator[tuple[str, torch.Tensor]]:
        """The newest weights for a rollout engine, by every name they have (see `Policy.weights`).

        Shards are gathered one parameter at a time, so all ranks must go through them together.
        """
        model = self._policy.model
        for name, weight in merged_weights(model, self._whole, remove_duplicate=False):
            yield name, weight.clone() if self._is_sharded else weight

    @phase("saving")
    def save_model(self, folder: Path) -> None:
        """Writes the policy as a model folder, from rank 0; all ranks take part.

        Adapters are merged: the next stage and the evaluation load a stock model.
        """
        model = self._policy.model
        state: dict[str, torch.Tensor] | None = None
        if self._is_sharded or has_adapters(model):
            kept = model.state_dict().keys()  # without buffers that a model computes by itself
            state = {name: buffer for name, buffer in model.named_buffers() if name in kept}
            for name, weight in merged_weights(model, self._whole, remove_duplicate=True):
                if device.rank() == 0:  # who writes; all take part in gathering
                    state[name] = weight.cpu().clone()
        if device.rank() == 0:
            self._policy.save(folder, state)
        if device.world_size() > 1:
            dist.barrier()
