"""The workers of this project's work pools. They run its flows, whatever the API was asked to run.

    python -m infra.worker [--with-healthcheck] [--name NAME]

serves the pool of whole runs; `flows.pools` serves other pools, whose workers run single stages.
A worker that is told to stop tells its runs, and waits: their processes store what their stages
save.
A deployment can bring steps of its own to be run before its flow (shell scripts among them), a
pool's template or a run's job variables can bring another command. Here none of them count: the
flows, their folder and its command are fixed, and a run of anything else ends with a message.
"""

import argparse
import asyncio
import os
import socket
import sys
import time
from collections.abc import Collection
from contextlib import suppress
from datetime import timedelta
from typing import Any, ClassVar, Self
from uuid import UUID

import psutil
from anyio.abc import TaskStatus
from prefect.client.orchestration import PrefectClient, SyncPrefectClient, get_client
from prefect.client.schemas import filters
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.responses import DeploymentResponse
from prefect.runner.runner import Runner
from prefect.states import Crashed
from prefect.workers.base import BaseWorkerResult
from prefect.workers.process import ProcessJobConfiguration, ProcessWorker, ProcessWorkerResult

from contracts.errors import ServiceError
from contracts.graces import WORKER_GRACE_SECONDS
from contracts.secrets import mask_logs_and_tracebacks
from infra.access import PRIVATE_UMASK
from infra.settings import POOL, PROJECT_ROOT
from infra.supervisor import STOP_SIGNALS

# By the deployments' names, of the pool of whole runs.
FLOWS = {
    "full": "flows.full.full",
    "curate": "flows.curate.curate",
    "evaluate": "flows.evaluate.evaluate",
    "ablation": "flows.ablation.ablation",
}
STAGE_FLOW = "flows.stage.stage"
# Prefect's engine, in the process of a run, takes the flow from this variable where it is set: it
# then asks neither for the deployment's entrypoint nor for its steps.
FLOW_VARIABLE = "PREFECT__FLOW_ENTRYPOINT"
# As prefect.yaml has it: a worker asks them again for the hooks of a run that crashed.
STEPS = [{"prefect.deployments.steps.set_working_directory": {"directory": "."}}]
WORKER_LABEL = "prefect.worker.name"  # of a run: whose it is, as Prefect's workers write it
LABELLED_WITHIN = timedelta(minutes=1)
POLL_SECONDS = 0.2
# A machine that goes down tells every process, and the supervisor tells its command: signals that
# come within this time are one notice.
ONE_NOTICE_SECONDS = 5.0
# What a pool offers to be set for a run: nothing.
JOB_TEMPLATE = {
    "variables": {"type": "object", "properties": {}},
    "job_configuration": {"command": None, "working_dir": str(PROJECT_ROOT)},
}


class ProjectJob(ProcessJobConfiguration):
    """How a run is started; neither the pool's template nor the run's job variables count."""

    @classmethod
    async def from_template_and_values(
        cls,
        base_job_template: dict[str, Any],
        values: dict[str, Any],
        client: PrefectClient | None = None,
    ) -> Self:
        """The same for every run: Prefect's engine, in the project's root."""
        return cls(working_dir=PROJECT_ROOT)


class ProjectRunner(Runner):
    """Cancels a run as one is told to stop: its process stores what its stage saves."""

    async def _kill_process(self, pid: int, grace_seconds: float = WORKER_GRACE_SECONDS) -> None:
        """Sends SIGTERM, and SIGKILL in the end.

        Prefect gives 30 s, which no setting and no job variable changes: a large save would be cut
        short.

        Raises:
            RuntimeError: There is no such process, as Prefect's callers expect it.
        """
        try:
            process = psutil.Process(pid)
            process.terminate()
        except psutil.NoSuchProcess as error:
            raise RuntimeError(
                f"Unable to kill process {pid}: The process was not found."
            ) from error
        deadline = time.monotonic() + WORKER_GRACE_SECONDS
        while process.is_running():
            if time.monotonic() > deadline:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
                return
            await asyncio.sleep(POLL_SECONDS)


class ProjectWorker(ProcessWorker):
    """Starts a process for each run of this project's deployments."""

    type = "revisual"  # as `process` it would take the place of Prefect's own worker
    job_configuration = ProjectJob
    flows: ClassVar[Collection[str]] = tuple(FLOWS.values())
    _is_told = False
    _num_runs = 0

    async def __aenter__(self) -> Self:
        # As Prefect's process worker, with another runner.
        await super(ProcessWorker, self).__aenter__()
        self._runner = await self._exit_stack.enter_async_context(
            ProjectRunner(pause_on_shutdown=False, limit=None)
        )
        return self

    async def run(
        self,
        flow_run: FlowRun,
        configuration: ProcessJobConfiguration,
        task_status: TaskStatus[int] | None = None,
    ) -> ProcessWorkerResult:
        """Runs the flow, if it is one of this project's.

        Raises:
            ServiceError: It is not, or has parameters that the flow does not know.
        """
        allowed = await self._deployment(flow_run)
        configuration.env[FLOW_VARIABLE] = entrypoint_of(allowed, flow_run, self.flows)
        return await super().run(flow_run, configuration, task_status)

    async def _submit_run_and_capture_errors(
        self, flow_run: FlowRun, task_status: TaskStatus[int | Exception] | None = None
    ) -> BaseWorkerResult | Exception:
        # To its end: after the process it says to the server how that ended, if nobody else has.
        self._num_runs += 1
        try:
            return await super()._submit_run_and_capture_errors(flow_run, task_status)
        finally:
            self._num_runs -= 1

    def is_worker_still_polling(self, query_interval_seconds: float) -> bool:
        """What its probe says; told to stop it asks for no runs, and is not killed for that."""
        return self._is_told or super().is_worker_still_polling(query_interval_seconds)

    async def get_and_submit_flow_runs(self) -> list[FlowRun]:
        """Takes what is due; nothing more once it has been told to stop."""
        return [] if self._is_told else await super().get_and_submit_flow_runs()

    async def sync_with_backend(self) -> None:
        """Says that it takes runs. Once told to stop it does not, and may lose the server."""
        if not self._is_told:
            await super().sync_with_backend()

    async def end_runs(self) -> None:
        """Tells the processes of its runs to stop, and waits until all have.

        Ended without that, the worker kills them, and what their stages save is stored by nobody.
        """
        self._is_told = True
        told: set[psutil.Process] = set()
        while self._num_runs or self._submitting_flow_run_ids:
            for process in set(psutil.Process().children()) - told:
                told.add(process)
                with suppress(psutil.NoSuchProcess):
                    process.terminate()
            await asyncio.sleep(POLL_SECONDS)

    async def _deployment(self, flow_run: FlowRun) -> DeploymentResponse | None:
        if flow_run.deployment_id is None:
            return None
        return await self.client.read_deployment(flow_run.deployment_id)


class StageWorker(ProjectWorker):
    """Starts a process for each stage that is asked for in its pool."""

    type = "revisual-stage"
    flows = (STAGE_FLOW,)


def create_pool(client: SyncPrefectClient) -> None:
    """The pool that this worker serves; no worker of Prefect's own knows its type.

    One run at a time, of whichever deployment: the machine belongs to one training. A run that is
    being cancelled counts no more, though it still saves. The worker's own limit would hold its
    place until its process has ended, and break on a quick retry.
    """
    pool = WorkPoolCreate(
        name=POOL, type=ProjectWorker.type, base_job_template=JOB_TEMPLATE, concurrency_limit=1
    )
    client.create_work_pool(pool, overwrite=True)


def entrypoint_of(
    deployment: DeploymentResponse | None, flow_run: FlowRun, flows: Collection[str]
) -> str:
    """The flow of one of this project's deployments; a run of anything else is refused.

    Args:
        deployment: What the run is of.
        flow_run: The run, with its parameters.
        flows: Entrypoints of the flows that its pool runs.

    Raises:
        ServiceError: This run is something else.
    """
    flow = deployment.entrypoint if deployment else None
    if deployment is None or flow is None or flow not in flows or deployment.pull_steps != STEPS:
        raise ServiceError(
            "This run is not one of the project's deployments, and was not started.",
            where=f"flow run {flow_run.name}, deployment {deployment and deployment.name}",
            rule=f"its pool runs {' and '.join(flows)} with the steps of prefect.yaml, and "
            "nothing else",
            fix="register the deployments again: make down, then make up; for a pool of stages, "
            "start its worker again; see SECURITY.md",
        )
    known = set((deployment.parameter_openapi_schema or {}).get("properties", {}))
    if unknown := sorted(set(flow_run.parameters) - known):
        raise ServiceError(
            f"The flow has no parameter {', '.join(unknown)}.",
            where=f"flow run {flow_run.name}",
            rule=f"its parameters are {', '.join(sorted(known))}",
            fix=f"start it again: prefect deployment run revisual/{deployment.name} -p NAME=VALUE",
        )
    return flow


def end_orphaned_runs(client: SyncPrefectClient, name: str) -> None:
    """Marks as crashed what a worker of this name left behind: with it, its runs have died.

    A run whose worker was killed would stay `Running`, and keep the next one waiting, until its
    heartbeats are missed; and these are not if the server lost sight of them in the same trouble.
    """
    seen: dict[UUID, float] = {}
    alive = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
    of_pool = filters.WorkPoolFilter(name=filters.WorkPoolFilterName(any_=[POOL]))
    in_state = filters.FlowRunFilter(
        state=filters.FlowRunFilterState(type=filters.FlowRunFilterStateType(any_=alive))
    )
    is_known = False
    while not is_known:
        is_known = True
        for run in client.read_flow_runs(flow_run_filter=in_state, work_pool_filter=of_pool):
            waited = time.monotonic() - seen.setdefault(run.id, time.monotonic())
            is_left = is_left_behind(run, name, timedelta(seconds=waited))
            if is_left:
                crashed: State[Any] = Crashed(message="The worker ended before the run did.")
                client.set_flow_run_state(run.id, crashed, force=True)
            elif is_left is None:
                is_known = False
        if not is_known:
            time.sleep(1)


def is_left_behind(run: FlowRun, name: str, waited: timedelta) -> bool | None:
    """Whether a run that has not ended is what a worker of this name left behind.

    Args:
        run: It may have no label yet: a worker that takes a run makes it pending first.
        name: Of the worker, which runs nothing at the moment.
        waited: How long this one has seen it, by its own clock; that of the state may differ.

    Returns:
        None as long as nobody knows: another worker of the pool may be about to label it.
    """
    if WORKER_LABEL in run.labels:
        return bool(run.labels[WORKER_LABEL] == name)
    return True if waited > LABELLED_WITHIN else None


def serve(worker: ProjectWorker, *, with_healthcheck: bool = False) -> None:
    """Works until it is told to stop (SIGTERM, SIGINT or SIGHUP) and its runs have stopped.

    Told once more, it ends at once, and so do they.
    """
    os.umask(PRIVATE_UMASK)
    mask_logs_and_tracebacks()
    asyncio.run(_serve(worker, with_healthcheck))


async def _serve(worker: ProjectWorker, with_healthcheck: bool) -> None:
    loop = asyncio.get_running_loop()
    working = loop.create_task(worker.start(with_healthcheck=with_healthcheck))
    ending: asyncio.Task[None] | None = None
    told_seconds = 0.0

    async def end() -> None:
        await worker.end_runs()
        working.cancel()

    def on_notice() -> None:
        nonlocal ending, told_seconds
        if ending is None:
            sys.stderr.write("Told to stop: its runs are told, too, and may save and store.\n")
            ending, told_seconds = loop.create_task(end()), loop.time()
        elif loop.time() - told_seconds > ONE_NOTICE_SECONDS:
            working.cancel()

    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, on_notice)
    with suppress(asyncio.CancelledError):
        await working


def main() -> None:
    """Serves the pool of whole runs."""
    parser = argparse.ArgumentParser(prog="infra.worker", description=__doc__)
    parser.add_argument("--with-healthcheck", action="store_true", help="answer on port 8080")
    parser.add_argument("--name", default=socket.gethostname(), help="the machine's, if not given")
    options = parser.parse_args()
    with get_client(sync_client=True) as client:
        end_orphaned_runs(client, options.name)
    worker = ProjectWorker(work_pool_name=POOL, name=options.name)
    serve(worker, with_healthcheck=options.with_healthcheck)


if __name__ == "__main__":
    main()
