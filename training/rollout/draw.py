"""Drawing one token per row from logits: greedy, temperature, truncation."""

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import torch

from contracts.errors import Preempted
from training.model.nucleus import Truncation, outside
from training.rollout.protocol import Prompt

# Step of a batch -> a random number in [0, 1) for each of its rows [R], float64.
Uniforms = Callable[[int], torch.Tensor]


def prompt_seed(seed: int, prompt: Prompt) -> int:
    """The seed of a prompt's own draws, 128 bits of it; equal prompts have the same."""
    digest = hashlib.sha256(f"{seed}/{prompt.digest}".encode()).digest()
    return int.from_bytes(digest[:16], "big")


def uniforms_of_prompts(
    prompts: Sequence[Prompt], seed: int, num_samples: int, num_steps: int
) -> Uniforms:
    """Draws that belong to seed, prompt and sample, whoever else is in the batch.

    Args:
        prompts: Those of the batch.
        seed: The job's seed.
        num_samples: Rows of each prompt, neighbours in the batch.
        num_steps: Tokens of a row at most.
    """
    # A counter-based generator: sample s of a prompt has a stream of its own, 2^192 numbers after
    # the one before.
    rows = [
        np.random.Generator(
            np.random.Philox(key=prompt_seed(seed, prompt), counter=[0, 0, 0, sample])
        ).random(num_steps)
        for prompt in prompts
        for sample in range(num_samples)
    ]
    columns = torch.from_numpy(np.stack(rows)).T.contiguous()
    return columns.__getitem__


def draw_tokens(
    logits: torch.Tensor, uniforms: torch.Tensor, temperature: float, truncation: Truncation
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draws by inverting the cumulative distribution, one random number a row.

    Args:
        logits: [R, V] float32; -inf forbids a token.
        uniforms: Random numbers in [0, 1) [R], float64.
        temperature: 0 takes the most likely token.
        truncation: Which tokens can be drawn.

    Returns:
        Token ids [R] and their log-probabilities [R] under the distribution they were drawn
        from: with temperature, renormalised over what can be drawn; 0 where the draw is greedy.
    """
    if temperature == 0.0:
        greedy = logits.argmax(dim=-1)
        return greedy, torch.zeros_like(logits[:, 0])
    log_probs = torch.log_softmax(logits / temperature, dim=-1)
    if truncation.is_none:
        return _invert(log_probs, uniforms)
    log_probs = log_probs.masked_fill(outside(log_probs.exp(), truncation), -torch.inf)
    drawn, drawn_log_probs = _invert(log_probs, uniforms)
    return drawn, drawn_log_probs - log_probs.logsumexp(dim=-1)


def _invert(log_probs: torch.Tensor, uniforms: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The first entry whose cumulative mass exceeds the row's share of the total, and its value."""
    # float64: over a vocabulary of 150,000 tokens float32 sums lose the rare ones.
    cumulative = log_probs.double().exp().cumsum(dim=-1)
    total = cumulative[:, -1:].contiguous()
    drawn = torch.searchsorted(cumulative, uniforms[:, None] * total, right=True)
    # Rounding may carry a target up to the total: take the last entry that has any mass.
    last = torch.searchsorted(cumulative, total)
    drawn = torch.minimum(drawn, last)
    return drawn.squeeze(1), log_probs.gather(1, drawn).squeeze(1)


def until_told(uniforms: Uniforms, is_told: Callable[[], bool]) -> Uniforms:
    """The same draws, until the process is told to stop.

    Args:
        uniforms: Of a decoding.
        is_told: Asked at each of its steps.

    Returns:
        What raises `Preempted` then.
    """

    def drawn(step: int) -> torch.Tensor:
        if is_told():
            raise Preempted("sampling was left off")
        return uniforms(step)

    return drawn
