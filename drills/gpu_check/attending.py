"""Attention: torch's kernels against its plain one, variable lengths, and padding."""

from collections.abc import Callable

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from drills.gpu_check.machine import Machine
from drills.gpu_check.outcome import Failed, Figures
from drills.gpu_check.work import new_batch, new_policy
from training.model.forward import ForwardPass, ForwardSettings
from training.runtime import device

SHAPE = (2, 8, 512, 64)  # rows, heads, tokens, width
LENGTHS = (512, 37, 200)
KERNELS = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "memory-efficient": SDPBackend.EFFICIENT_ATTENTION,
    "cuDNN": SDPBackend.CUDNN_ATTENTION,
}
# Of values about 1 wide: bfloat16's 8 bits, or float32 in another order.
GAP = {torch.bfloat16: 0.03, torch.float32: 1e-5}
# Log-probabilities of one response alone and beside longer ones, nats.
PADDING_NATS = 1e-3


def attention(machine: Machine) -> Figures:
    """The kernels that the learner's `scaled_dot_product_attention` may choose."""
    return machine.measure(kernels, limit_seconds=300)


def kernels() -> Figures:
    """Largest differences from the plain kernel in float32; a flash kernel must be there."""
    where = device.start(1)
    dtype = torch.bfloat16 if where.type == "cuda" else torch.float32
    generator = torch.Generator().manual_seed(0)
    states = [torch.randn(SHAPE, generator=generator).to(where, dtype) for _ in range(3)]
    with sdpa_kernel(SDPBackend.MATH):
        exact = scaled_dot_product_attention(*(s.float() for s in states), is_causal=True)
    figures: Figures = {"format": str(dtype).removeprefix("torch.")}
    for name, kernel in KERNELS.items():
        with sdpa_kernel(kernel):
            figures[f"{name}: largest gap"] = _gap_or_reason(
                lambda: scaled_dot_product_attention(*states, is_causal=True), exact
            )
    figures["variable lengths: largest gap"] = _variable_lengths(states)
    figures["padding: largest gap, nats"] = _padding()
    _require_bounds(figures, GAP[dtype])
    return figures


def _require_bounds(figures: Figures, bound: float) -> None:
    if isinstance(figures["flash: largest gap"], str):
        raise Failed(f"no flash attention: {figures['flash: largest gap']}", figures)
    for name, value in figures.items():
        limit = PADDING_NATS if name.startswith("padding") else bound
        if isinstance(value, float) and not value <= limit:
            raise Failed(f"{name} is {value:.3g}, and may be {limit}", figures)


def _gap_or_reason(attend: Callable[[], torch.Tensor], exact: torch.Tensor) -> float | str:
    """The largest difference; or why torch has no such kernel here."""
    try:
        return float((attend().float() - exact).abs().max())
    except RuntimeError as error:
        return f"not there: {str(error).splitlines()[0]}"


def _variable_lengths(states: list[torch.Tensor]) -> float:
    """What the vision tower calls for its pictures, against each of them alone, in float32."""
    rows = [[s[0, :, :length] for s in states] for length in LENGTHS]
    packed = [torch.cat([row[i] for row in rows], dim=1).transpose(0, 1) for i in range(3)]
    starts = torch.tensor((0, *LENGTHS), device=states[0].device).cumsum(0).int()
    exact = torch.cat(
        [
            scaled_dot_product_attention(*(s.float()[None] for s in row))[0].transpose(0, 1)
            for row in rows
        ]
    )
    attended = device.attend_packed(*packed, starts, max(LENGTHS), None)
    return float((attended.float() - exact).abs().max())


@torch.no_grad()
def _padding() -> float:
    """What the longer rows of a micro-batch change of the log-probabilities of the others."""
    policy = new_policy("float32")
    batch = new_batch(policy, 6)
    forward_pass = ForwardPass(policy).eval()
    together = forward_pass(batch, ForwardSettings())
    gaps = []
    for row, sequence in enumerate(batch):
        alone = forward_pass([sequence], ForwardSettings())
        padded = together.log_probs[row][together.mask[row]]
        gaps.append(float((padded - alone.log_probs[0][alone.mask[0]]).abs().max()))
    return max(gaps)
