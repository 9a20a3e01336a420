"""How long rows are assumed to be, and what a stage's rows take of a host's memory."""

from training.recipe.recipe import Recipe
from training.recipe.stages import RlStage, Stage, sets_of

# Assumptions: how long sequences are, as shares of the longest; tokens of an RL problem's prompt;
# an encoded image, one in a multimodal row; and what Python and torch need of a row besides.
SFT_LENGTH, RL_LENGTH = (0.1, 0.3), (0.25, 0.5)
PROMPT_TOKENS = 500
IMAGE_BYTES, ROW_BYTES = 256 * 2**10, 2 * 2**10
TOKEN_BYTES = 8  # 64-bit integers


def num_rows(recipe: Recipe, stage: Stage) -> int:
    """Rows of a stage's sets at most: as many as curation takes."""
    return sum(one.num_problems for one in recipe.curation.sets if one.name in sets_of(stage))


def data_bytes(recipe: Recipe, stage: Stage) -> int:
    """What one process holds of its rows, bytes.

    A supervised stage encodes its whole set before the first step (`training.sft.train`): tokens,
    and images as they are in the file. RL reads its set by way of a mapped file, which the system
    takes back, and holds the rows of a step and those held out for validation
    (`training.grpo.train`).
    """
    sets = [one for one in recipe.curation.sets if one.name in sets_of(stage)]
    has_images = any(one.modality == "multimodal" for one in sets)
    rows, tokens = num_rows(recipe, stage), float(PROMPT_TOKENS)
    if isinstance(stage, RlStage):
        held_out = stage.validation.num_problems if stage.validation else 0
        rows = min(rows, stage.prompts_per_step + held_out)
    else:
        tokens = SFT_LENGTH[1] * stage.max_length_tokens
    return rows * row_bytes(int(tokens), IMAGE_BYTES * has_images)


def row_bytes(tokens: int, image_bytes: int) -> int:
    """Bytes of one encoded row, whose images are this large in the file."""
    return TOKEN_BYTES * tokens + image_bytes + ROW_BYTES
