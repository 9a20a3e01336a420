"""Sections of the recipe about a model: what it is, and how it is sampled from."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from training.recipe.bounds import PathText, PositiveInt, Processes, Revision, Strict, Tokens
from training.recipe.places import check_place


class ModelRecipe(Strict):
    """The base policy: an image-text-to-text model of transformers that the start-up probe passes.

    docs/models.md says which families do. `path` is a folder (`/...`, or `./...` and `../...` from
    the recipe's own folder), a prefix of a bucket (`s3://...`), or a model hub's id (`owner/name`),
    at `revision`.
    """

    path: PathText
    revision: Revision | None = None  # branch, tag or commit of a hub's repository; None is `main`
    dtype: Literal["float32", "bfloat16"] = "float32"
    # Pixels an image may have after resizing; None keeps the processor's own bound.
    max_pixels: PositiveInt | None = None

    @model_validator(mode="after")
    def _path_is_a_place(self) -> "ModelRecipe":
        check_place(self.path, revision=self.revision)
        return self


class TransformersRollout(Strict):
    """Sampling with the very model that learns, in its process."""

    engine: Literal["transformers"] = "transformers"


class VllmRollout(Strict):
    """Sampling by vLLM in the processes that learn; on GPUs it sleeps while they do."""

    engine: Literal["vllm"]
    tensor_parallel: Processes = 1  # neighbours that share one copy of the sampler's weights
    # vLLM's share of each GPU's memory while it is awake; a CPU's share is fixed.
    memory_fraction: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.4
    max_length_tokens: Tokens | None = None  # prompt and response; None for the model's own bound


RolloutRecipe = Annotated[TransformersRollout | VllmRollout, Field(discriminator="engine")]
