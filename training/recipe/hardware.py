"""Where the stages run, and with how many processes: all of them, or one by its name."""

from typing import Annotated

from pydantic import Field

from training.recipe.bounds import Minutes, Name, Processes, Retries, Strict, Threads

LOCAL = "local"  # the pool that is none: the machine that the run itself is on
LEARNING = {"zero_stage", "activation_checkpointing"}  # of no use to a stage that learns nothing
ZeroStage = Annotated[int, Field(ge=0, le=3)]


class StageHardware(Strict):
    """What one stage has otherwise than the rest of the run; what is left out is as there."""

    num_processes: Processes | None = None
    threads_per_process: Threads | None = None
    zero_stage: ZeroStage | None = None
    activation_checkpointing: bool | None = None
    pool: Name | None = None


class HardwareRecipe(Strict):
    """How many processes train, with how many CPU threads each, and what is done about memory."""

    num_processes: Processes = 1
    threads_per_process: Threads = 2
    zero_stage: ZeroStage = 0
    # Keeps each layer's input alone and computes the rest again in the backward pass.
    activation_checkpointing: bool = False
    # How often a stage that the machine has killed is tried again by itself.
    retries: Retries = 1
    # How long the processes wait for one another in a collective before they give up.
    collective_timeout_minutes: Minutes = 30.0
    # The work pool whose worker runs the stages; `local` is the machine that the run is on.
    pool: Name = LOCAL
    # Stage -> what it has otherwise.
    stages: dict[Name, StageHardware] = Field(default_factory=dict)

    def of(self, stage: str) -> "HardwareRecipe":
        """What one stage runs on: its own values, and the others' where it has none."""
        own = self.stages.get(stage, StageHardware()).model_dump(exclude_none=True)
        return self.model_copy(update={**own, "stages": {}})
