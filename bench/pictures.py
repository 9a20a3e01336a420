"""An update on pictures: read ahead or in turn, shown to the vision tower once or again and again.

Eight pictures of 448 px, four responses of 16 to 48 tokens to each, micro-batches of about four.
One thread computes, so that a core is left to read pictures meanwhile, as beside a GPU.
"""

import io
from collections.abc import Callable
from statistics import median
from time import perf_counter
from unittest.mock import patch

import numpy as np
import torch
from PIL import Image

from bench.rl_step import MODEL, RATE
from bench.table import Row
from infra.settings import PROJECT_ROOT
from training.learner.learner import Learner
from training.model.encoding import TokenSequence, encode_prompt
from training.model.forward import ForwardSettings
from training.model.policy import Policy, load_policy
from training.recipe.hardware import HardwareRecipe
from training.recipe.recipe import load_recipe
from training.recipe.stages import OptimizerRecipe
from training.records import EncodedImage
from training.rollout.protocol import Prompt
from training.runtime import device
from training.sft.train import token_mean_loss

NUM_PICTURES, SIDE_PIXELS, GROUP_SIZE = 8, 448, 4
TOKENS_PER_MICRO_BATCH = 1600


def compare(num_rounds: int) -> list[Row]:
    """Two rows, without bars: both depend on what a picture costs beside a text."""
    device.start(1)
    together, apart = updating(share_images=True), updating(share_images=False)
    times: dict[str, list[float]] = {"ahead": [], "in turn": [], "apart": []}
    for update in (together, apart):
        update()  # warms up
    for _ in range(num_rounds):
        times["ahead"].append(update_seconds(together))
        times["apart"].append(update_seconds(apart))
        with patch("training.model.forward.ahead", map):
            times["in turn"].append(update_seconds(together))
    ahead, in_turn, for_each = (median(times[name]) for name in ("ahead", "in turn", "apart"))
    name = f"update on {NUM_PICTURES} pictures of {SIDE_PIXELS} px with {GROUP_SIZE} responses each"
    return [
        Row(f"{name}: read ahead / in turn", "s", ahead, in_turn, "at most", None),
        Row(f"{name}: share_images / without", "s", ahead, for_each, "at most", None),
    ]


def update_seconds(update: Callable[[], object]) -> float:
    """How long it takes (s)."""
    start = perf_counter()
    update()
    return perf_counter() - start


def updating(*, share_images: bool) -> Callable[[], object]:
    """An update of a new learner, to be repeated."""
    recipe = load_recipe(PROJECT_ROOT / "infra/recipes/pocket.toml")
    policy = load_policy(MODEL, recipe.model, system_prompt=recipe.system_prompt)
    batch = sequences(policy)
    learner = Learner(
        policy,
        optimizer=OptimizerRecipe(learning_rate=RATE),
        hardware=HardwareRecipe(threads_per_process=1, share_images=share_images),
        num_updates=1000,
        tokens_per_micro_batch=TOKENS_PER_MICRO_BATCH,
    )
    return lambda: learner.update(batch, token_mean_loss(batch), ForwardSettings())


def sequences(policy: Policy) -> list[TokenSequence]:
    """Responses of random lengths and tokens to pictures of noise."""
    generator = torch.Generator().manual_seed(0)
    made = []
    for seed in range(NUM_PICTURES):
        prompt = encode_prompt(policy, Prompt("What is shown?", [picture(seed)]))
        for length in torch.randint(16, 49, (GROUP_SIZE,), generator=generator).tolist():
            response = torch.randint(20, 300, (length,), generator=generator)
            made.append(TokenSequence(prompt, response))
    return made


def picture(seed: int) -> EncodedImage:
    """A PNG of noise."""
    size = (SIDE_PIXELS, SIDE_PIXELS, 3)
    pixels = np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return {"bytes": buffer.getvalue(), "path": None}
