"""The learner's state as whole tensors by parameter name, whoever holds the pieces.

ZeRO spreads master weights and moments over the ranks: stages 1 and 2 as slices of one flat
buffer, stage 3 parameter by parameter. A checkpoint that kept those pieces could be read by the
same number of ranks only. Here every tensor is made whole for a moment, one after the other, and
each rank keeps some of them; so any number of ranks, at any ZeRO stage, reads what any other wrote.
The values are copied, never recomputed: the same number of ranks goes on with the same bytes.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import nn

from training.learner.dealing import shares
from training.learner.engine import deepspeed
from training.recipe.hardware import HardwareRecipe
from training.runtime import device
from training.runtime.rhythm import state_bytes

WEIGHT = "weight"  # the float32 master weight
STEP = "step"  # AdamW's own count, for its bias correction
MOMENTS = ("exp_avg", "exp_avg_sq")
Tensors = dict[str, torch.Tensor]
Engine: TypeAlias = Any  # DeepSpeed has no types to check


def tensor_name(part: str, parameter: str) -> str:
    """What a checkpoint calls one part of a parameter's state."""
    return f"{part}/{parameter}"


class ShardedState:
    """Reads and writes weights and moments of what a learner trains.

    Args:
        model: The policy's model; what has no gradient never changes and is left out.
        engine: DeepSpeed's engine around it.
        adamw: The optimizer that the engine was given.
        hardware: The ZeRO stage, and where the optimizer is.
    """

    def __init__(
        self,
        model: nn.Module,
        engine: Engine,
        adamw: torch.optim.AdamW,
        hardware: HardwareRecipe,
    ) -> None:
        self._engine, self._adamw, self._zero_stage = engine, adamw, hardware.zero_stage
        self._is_offloaded = hardware.offload_optimizer
        self._trained = {name: p for name, p in model.named_parameters() if p.requires_grad}

    @property
    def num_bytes(self) -> int:
        """Of all that `export` copies on all ranks, once there are moments."""
        return state_bytes(_num_elements(parameter) for parameter in self._trained.values())

    def export(self) -> Tensors:
        """Copies this rank's share of the state to host memory; all ranks take part.

        Returns:
            By `tensor_name`, float32; all ranks' shares together are the whole state. There are
            no moments before the first update.
        """
        sizes = [_num_elements(parameter) for parameter in self._trained.values()]
        own = set(shares(sizes, device.world_size())[device.rank()])
        exported: Tensors = {}
        for index, (name, parameter) in enumerate(self._trained.items()):
            for part in (WEIGHT, *self._moments_of(parameter)):
                whole = self._read(parameter, part)
                if index in own:
                    exported[tensor_name(part, name)] = whole.detach().to("cpu", copy=True)
            if index in own and self._moments_of(parameter):
                exported[tensor_name(STEP, name)] = self._step_of(parameter).cpu().clone()
        return exported

    @torch.no_grad()
    def restore(self, names: set[str], read: Callable[[str], torch.Tensor]) -> None:
        """Puts a whole state in place; all ranks take part.

        Args:
            names: What the checkpoint holds.
            read: Reads one tensor of it by its name.
        """
        steps = {
            name: read(tensor_name(STEP, name))
            for name in self._trained
            if tensor_name(STEP, name) in names
        }
        self._make_moments(steps)
        for name, parameter in self._trained.items():
            for part in (WEIGHT, *(MOMENTS if name in steps else ())):
                value = read(tensor_name(part, name)).to(parameter.device)
                self._write(parameter, part, value)
                if part == WEIGHT:
                    self._copy_to_model(parameter, value)

    @torch.no_grad()
    def forget_gradients(self) -> None:
        """Clears the gradients that DeepSpeed would keep beyond their update.

        ZeRO-3 and an offloaded optimizer overwrite them, but only those of parameters that have new
        ones: after an update with images, one without would move the vision tower once more.
        """
        kept: list[torch.Tensor] = []
        if self._zero_stage == 3:
            kept.append(self._engine.optimizer.grad_partitions_flat_buffer)
        if self._is_offloaded:
            kept += [master.grad for master in self._masters() if master.grad is not None]
            kept += getattr(self._engine.optimizer, "accumulated_grads_in_cpu", {}).values()
        for gradient in kept:
            gradient.zero_()

    def _masters(self) -> list[torch.Tensor]:
        """What AdamW steps on: without ZeRO one tensor a parameter, else flat buffers."""
        if self._zero_stage == 3:
            flat: list[torch.Tensor] = self._engine.optimizer.fp32_partitioned_groups_flat
            return flat
        return [master for group in self._adamw.param_groups for master in group["params"]]

    def _master_of(self, parameter: nn.Parameter) -> torch.Tensor:
        """Without ZeRO: the parameter itself, or its float32 copy."""
        index = next(i for i, p in enumerate(self._trained.values()) if p is parameter)
        return self._masters()[index]

    def _moments_of(self, parameter: nn.Parameter) -> tuple[str, ...]:
        """Which moments there are: none before the first gradient."""
        if self._zero_stage == 0:
            return MOMENTS if self._adamw.state.get(self._master_of(parameter)) else ()
        return MOMENTS if self._adamw.state else ()

    def _step_of(self, parameter: nn.Parameter) -> torch.Tensor:
        master = self._master_of(parameter) if self._zero_stage == 0 else self._masters()[0]
        step: torch.Tensor = self._adamw.state[master]["step"]
        return step

    def _read(self, parameter: nn.Parameter, part: str) -> torch.Tensor:
        whole: torch.Tensor
        if self._zero_stage == 0:
            master = self._master_of(parameter)
            whole = master if part == WEIGHT else self._adamw.state[master][part]
        elif part == WEIGHT:
            whole = deepspeed.utils.safe_get_full_fp32_param(parameter)
        else:
            whole = deepspeed.utils.safe_get_full_optimizer_state(parameter, part)
        return whole

    def _write(self, parameter: nn.Parameter, part: str, value: torch.Tensor) -> None:
        if self._zero_stage == 0:
            self._read(parameter, part).copy_(value)
        elif part == WEIGHT:
            deepspeed.utils.safe_set_full_fp32_param(parameter, value)
        else:
            deepspeed.utils.safe_set_full_optimizer_state(parameter, value, part)

    def _make_moments(self, steps: Tensors) -> None:
        """Makes the moments that AdamW would make in its first step, for `_write` to fill."""
        if not steps:
            return
        if self._zero_stage == 0:
            counts = {self._master_of(self._trained[name]): step for name, step in steps.items()}
        else:
            # A flat buffer has one count. Without ZeRO a parameter that never had a gradient
            # lags behind; the others' count is the right one for all of them from now on.
            counts = dict.fromkeys(self._masters(), torch.stack([*steps.values()]).max())
        for master, count in counts.items():
            self._adamw.state[master] = {
                "step": count.to(master.device, copy=True),
                **{moment: torch.zeros_like(master) for moment in MOMENTS},
            }
        if self._zero_stage in (1, 2):
            # DeepSpeed maps parameters to their slices of the moments in its first step only.
            self._engine.optimizer._lazy_init_hp_params_optimizer_state()

    def _copy_to_model(self, parameter: nn.Parameter, value: torch.Tensor) -> None:
        """The weights that the forward pass reads, in the model's own number format."""
        if self._zero_stage < 3:
            parameter.copy_(value)
            return
        with deepspeed.zero.GatheredParameters([parameter], modifier_rank=0):
            if device.rank() == 0:
                parameter.copy_(value)


def _num_elements(parameter: nn.Parameter) -> int:
    """Elements of the whole parameter, also when ZeRO-3 has left a piece of it here."""
    return int(getattr(parameter, "ds_numel", parameter.numel()))
