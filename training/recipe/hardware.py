"""Where the stages run, and with how many processes: all of them, or one by its name."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from training.recipe.bounds import (
    Address,
    Minutes,
    Name,
    Nodes,
    Processes,
    Retries,
    Strict,
    Threads,
)

LOCAL = "local"  # the pool that is none: the machine that the run itself is on
# Of no use to a stage that learns nothing.
LEARNING = {
    "zero_stage",
    "offload_optimizer",
    "activation_checkpointing",
    "share_images",
    "reference_in_host",
}
NOT_LEARNING = ("curate", "evaluate")
ZeroStage = Annotated[int, Field(ge=0, le=3)]
ExecutorName = Literal["torchrun", "ray"]


class StageHardware(Strict):
    """What one stage has otherwise than the rest of the run; what is left out is as there."""

    num_processes: Processes | None = None
    threads_per_process: Threads | None = None
    zero_stage: ZeroStage | None = None
    offload_optimizer: bool | None = None
    activation_checkpointing: bool | None = None
    share_images: bool | None = None
    reference_in_host: bool | None = None
    pool: Name | None = None
    executor: ExecutorName | None = None
    nodes: Nodes | None = None
    address: Address | None = None


class HardwareRecipe(Strict):
    """How many processes train, with how many CPU threads each, and what is done about memory."""

    num_processes: Processes = 1  # on each node
    threads_per_process: Threads = 2
    zero_stage: ZeroStage = 0
    # AdamW steps in host memory: master weights and moments are there, with the gradients.
    offload_optimizer: bool = False
    # Keeps each layer's input alone and computes the rest again in the backward pass.
    activation_checkpointing: bool = False
    # Responses to one prompt learn in one micro-batch, where that costs less than its images do.
    share_images: bool = False
    # The reference of a KL term is on the GPU for its passes alone.
    reference_in_host: bool = False
    # How often in a row a stage that the machine has killed, and that has saved nothing more since
    # it was killed before, is tried again by itself.
    retries: Retries = 1
    # How long the processes wait for one another in a collective before they give up.
    collective_timeout_minutes: Minutes = 30.0
    # The work pool whose worker runs the stages; `local` is the machine that the run is on.
    pool: Name = LOCAL
    # What starts the processes: torchrun on one machine, or Ray, on machines of its cluster.
    executor: ExecutorName = "torchrun"
    nodes: Nodes = 1
    # Of Ray's cluster; without one, a Ray of the stage's own runs on its machine.
    address: Address | None = None
    # How long a stage waits until Ray has its nodes.
    placement_timeout_minutes: Minutes = 5.0
    # Stage -> what it has otherwise.
    stages: dict[Name, StageHardware] = Field(default_factory=dict)

    def of(self, stage: str) -> "HardwareRecipe":
        """What one stage runs on: its own values, and the others' where it has none."""
        own = self.stages.get(stage, StageHardware()).model_dump(exclude_none=True)
        return self.model_copy(update={**own, "stages": {}})

    def field_of(self, stage: str, name: str) -> str:
        """Where a stage has a value from: `hardware.NAME`, or its own `hardware.stages.STAGE.NAME`.

        Args:
            stage: Its name.
            name: A field of `StageHardware`.
        """
        is_own = getattr(self.stages.get(stage, StageHardware()), name) is not None
        return f"hardware.stages.{stage}.{name}" if is_own else f"hardware.{name}"

    @property
    def num_ranks(self) -> int:
        """Processes that train together, on all nodes."""
        return self.num_processes * self.nodes


def misplaced(hardware: HardwareRecipe, stages: tuple[str, ...]) -> Iterator[str]:
    """What is wrong with what a run's stages have, each fault with its field.

    Args:
        hardware: The run's.
        stages: The names of its stages.
    """
    used = {hardware.of(stage).executor for stage in stages}
    if hardware.address is not None and "ray" not in used:
        yield 'hardware.address is that of Ray, and no stage has executor = "ray"'
    for stage in stages:
        own, of = hardware.stages.get(stage, StageHardware()), hardware.of(stage)
        learning = own.model_dump(include=LEARNING, exclude_none=True)
        if stage in NOT_LEARNING and learning:
            yield (
                f"hardware.stages.{stage}: nothing is learned there; remove {', '.join(learning)}"
            )
        if stage not in NOT_LEARNING and of.offload_optimizer and of.zero_stage == 0:
            yield (
                f"{hardware.field_of(stage, 'offload_optimizer')}: "
                "zero_stage 0 has its optimizer on the GPU; "
                f"set zero_stage of stage {stage} to 1, 2 or 3"
            )
        nodes = f"{hardware.field_of(stage, 'nodes')} ({of.nodes})"
        if of.executor != "ray" and own.address is not None:
            yield f'hardware.stages.{stage}.address is that of Ray: set executor = "ray"'
        if of.nodes == 1:
            continue
        if of.executor != "ray":
            yield f'{nodes}: torchrun starts stage {stage} on one machine; set executor = "ray"'
        elif of.address is None:
            yield f"{nodes}: stage {stage} needs a Ray cluster; name its hardware.address"


def uneven(hardware: HardwareRecipe, stages: tuple[str, ...], size: int) -> Iterator[str]:
    """The numbers of processes that do not form whole groups, each with its field.

    Args:
        hardware: The run's.
        stages: The names of the stages that matter.
        size: Of a group.
    """
    for stage in stages:
        num_processes = hardware.of(stage).num_processes
        if num_processes % size:
            yield f"{hardware.field_of(stage, 'num_processes')} ({num_processes})"
