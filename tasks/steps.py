"""The steps of a stage as tasks of the flow, for a person who looks at its graph.

The work is done by the stage's processes. A task here does nothing but last as long as its step,
and end as that has ended, with its counts in the state's message.
"""

from collections.abc import Mapping
from queue import SimpleQueue
from typing import Any, NamedTuple
from uuid import UUID

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import State, StateType
from prefect.futures import PrefectFuture
from prefect.states import Crashed

from contracts.errors import StageLost, StagePreempted
from contracts.secrets import without_secrets
from contracts.steps import StepLine

REUSED = "reused"


class End(NamedTuple):
    """How a step has ended: what a state is made of when its task ends, and no sooner.

    A state has the time when it was made. The server leaves out one that is older than the state
    before it, and shows a task that runs for ever.
    """

    type: StateType
    name: str
    message: str


@task(name="step", retries=0, cache_policy=NO_CACHE, task_run_name="{stage}: {name}")
def last_as_long(stage: str, name: str, ended: "SimpleQueue[End]") -> State[Any]:
    """Waits for the end of a step.

    Args:
        stage: The stage that has it.
        name: Its name.
        ended: Gets how it ended.
    """
    end = ended.get()
    return State(type=end.type, name=end.name, message=end.message)


class StepTasks:
    """Begins and ends a task for each step of a stage.

    Args:
        stage: The stage's name.
    """

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._running: dict[str, tuple[PrefectFuture[Any], SimpleQueue[End]]] = {}
        self._mirrored: set[str] = set()

    def show(self, step: StepLine) -> None:
        """Begins a step's task, or ends it; a step that ends has begun."""
        if step.name not in self._running:
            ended = SimpleQueue[End]()
            future = last_as_long.submit(self._stage, step.name, ended)
            self._running[step.name] = future, ended
        if step.told is not None:
            self._end(step.name, completed(step.told))

    def end_all(self, error: BaseException | None = None) -> None:
        """Ends what still runs, as its stage has ended: no task waits for a stage that is gone."""
        self._mirrored.clear()
        told = [self._tell(name, end_of(error)) for name in list(self._running)]
        for future in told:  # whatever comes of one, all have been told
            future.wait()

    def show_reused(self, why: str) -> None:
        """Shows one task, for all the steps that need not be done; of curation alone."""
        if self._stage == "curate":
            self.show(StepLine(REUSED, None))
            self._end(REUSED, completed(why, "Cached"))

    def mirror(self, states: Mapping[str, State[Any]]) -> None:
        """Shows the steps of the same stage in another flow run.

        Args:
            states: By the names of its tasks, in the order in which they began.
        """
        for task_name, state in states.items():
            name = task_name.removeprefix(f"{self._stage}: ")
            if name == task_name or name in self._mirrored:
                continue
            self.show(StepLine(name, None))
            if state.is_final():
                self._mirrored.add(name)
                self._end(name, End(state.type, state.name or "", state.message or ""))

    def _end(self, name: str, end: End) -> None:
        self._tell(name, end).wait()  # milliseconds: the next step begins behind this one

    def _tell(self, name: str, end: End) -> PrefectFuture[Any]:
        future, ended = self._running.pop(name)
        ended.put(end)
        return future


def end_left_behind(stage: str, run_id: UUID) -> None:
    """Ends the tasks that a flow run left when it was killed without a word.

    Args:
        stage: A stage none of whose steps runs now.
        run_id: The flow run.
    """
    left = TaskRunFilter(
        state=TaskRunFilterState(
            name=None, type=TaskRunFilterStateType(any_=[StateType.PENDING, StateType.RUNNING])
        )
    )
    of_run = FlowRunFilter(id=FlowRunFilterId(any_=[run_id]))
    with get_client(sync_client=True) as client:
        for one in client.read_task_runs(flow_run_filter=of_run, task_run_filter=left):
            if one.name.startswith(f"{stage}: "):
                state: State[Any] = Crashed(message="the run was killed")
                client.set_task_run_state(one.id, state, force=True)


def completed(told: str, name: str = "Completed") -> End:
    """A step that has ended well."""
    return End(StateType.COMPLETED, name, without_secrets(told))


def end_of(error: BaseException | None) -> End:
    """How a step has ended that ran when its stage ended."""
    if error is None:
        return completed("ended with its stage, which told nothing of it")
    said = without_secrets(f"{type(error).__name__}: {error}".partition("\n")[0])
    if isinstance(error, StageLost):
        return End(StateType.CRASHED, "Crashed", f"the stage was killed: {said}")
    # A signal reaches a flow as an exception of Prefect's own.
    if isinstance(error, StagePreempted) or not isinstance(error, Exception):
        return End(StateType.CANCELLED, "Cancelled", f"the stage was told to stop: {said}")
    return End(StateType.FAILED, "Failed", said)
