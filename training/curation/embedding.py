"""Sentence embeddings by a model of transformers: the mean over a text's tokens, of length 1."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from contracts.errors import ModelError
from contracts.texts import marked
from training.runtime import device
from training.runtime.failures import is_out_of_memory

BATCH = 64


def encoder(folder: Path, max_tokens: int) -> Callable[[Sequence[str]], NDArray[np.float32]]:
    """Loads a model that embeds texts, on this process's device.

    Only weights in safetensors are read, and no code of the model's own is run.

    Args:
        folder: The model's, with its tokenizer.
        max_tokens: What lies behind so many tokens of a text is not seen.

    Returns:
        What gives one vector for each text [N, H], in their order.

    Raises:
        ModelError: transformers cannot load the folder, or what it holds is no text encoder.
    """
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    with _refused():
        tokenizer = AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False)
        model = AutoModel.from_pretrained(
            str(folder), dtype=torch.float32, use_safetensors=True, trust_remote_code=False
        )
        model = model.to(device.current_device()).eval()

    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        with _refused():
            vectors = np.zeros((len(texts), model.config.hidden_size), dtype=np.float32)
            for places in _batches(texts):
                tokens = tokenizer(
                    [texts[place] for place in places],
                    padding=True,
                    truncation=True,
                    max_length=max_tokens,
                    return_tensors="pt",
                ).to(model.device)
                vectors[places] = _means(model, tokens["input_ids"], tokens["attention_mask"])
            return vectors

    return embed


@contextmanager
def _refused() -> Iterator[None]:
    """Says of whatever a model raises that it is none of those that can be used."""
    try:
        yield
    except Exception as error:  # a stranger's files may provoke any
        if is_out_of_memory(error):
            raise
        reason = marked(str(error).strip().partition("\n")[0])[:300]
        raise ModelError(
            f"The embedding model cannot be used: {type(error).__name__}: {reason}",
            where="recipe, curation.topics.embedding.path",
            rule="transformers loads it as a text encoder with a tokenizer, from safetensors and "
            "with its own classes",
            fix="name such a model; or leave `embedding` out: topics are then found by words",
        ) from error


def _batches(texts: Sequence[str]) -> list[list[int]]:
    """Places of texts of similar length: little is spent on padding."""
    order = sorted(range(len(texts)), key=lambda place: (len(texts[place]), place))
    return [order[start : start + BATCH] for start in range(0, len(order), BATCH)]


@torch.inference_mode()
def _means(
    model: torch.nn.Module, token_ids: torch.Tensor, mask: torch.Tensor
) -> NDArray[np.float32]:
    """Means over the tokens that are no padding, of length 1 [B, H].

    Args:
        model: Gives hidden states [B, T, H].
        token_ids: [B, T].
        mask: 1 for a token, 0 for padding [B, T].
    """
    states = model(input_ids=token_ids, attention_mask=mask).last_hidden_state
    weights = mask.unsqueeze(-1).to(states.dtype)
    means = (states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1.0)
    found: NDArray[np.float32] = torch.nn.functional.normalize(means, dim=-1).cpu().numpy()
    return found
