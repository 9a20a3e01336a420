"""Where the figures of training stages go."""

from typing import Literal

from pydantic import field_validator

from training.recipe.bounds import Name, Strict


class LoggingRecipe(Strict):
    """Where the figures of training stages go beside their `metrics.jsonl`; they change no result.

    Addresses and credentials are the environment's: a recipe is shown in reports.
    """

    sinks: tuple[Literal["tensorboard", "wandb", "mlflow"], ...] = ()
    project: Name = "revisual"  # W&B's project, MLflow's experiment

    @field_validator("sinks")
    @classmethod
    def _each_once(cls, sinks: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(sinks)) != len(sinks):
            raise ValueError(f"a sink is named once, these are {list(sinks)}")
        return sinks
