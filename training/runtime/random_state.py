"""The global random generators of a process: torch's, CUDA's, numpy's and Python's.

The project's own draws come from `training.runtime.seeds` and need none of these; a library might.
"""

import json
import random

import numpy as np
import torch

from training.runtime import device

Tensors = dict[str, torch.Tensor]


def random_state() -> tuple[Tensors, dict[str, str]]:
    """The generators' states: torch's as bytes, the others as JSON."""
    tensors = {"random/cpu": torch.get_rng_state()}
    if device.current_device().type == "cuda":
        tensors["random/cuda"] = torch.cuda.get_rng_state()
    kind, words, *rest = np.random.get_state()
    texts = {
        "numpy": json.dumps([kind, np.asarray(words).tolist(), *rest]),
        "python": json.dumps(random.getstate()),
    }
    return tensors, texts


def restore_random_state(tensors: Tensors, texts: dict[str, str]) -> None:
    """Puts the generators back; CUDA's only where there was one and is one."""
    torch.set_rng_state(tensors["random/cpu"])
    if "random/cuda" in tensors and device.current_device().type == "cuda":
        torch.cuda.set_rng_state(tensors["random/cuda"])
    kind, words, *rest = json.loads(texts["numpy"])
    np.random.set_state((kind, np.array(words, dtype=np.uint32), *rest))
    version, internal, gauss = json.loads(texts["python"])
    random.setstate((version, tuple(internal), gauss))
