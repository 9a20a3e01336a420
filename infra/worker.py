"""The worker of this project's work pool. It runs two flows, whatever the API was asked for.

    python -m infra.worker [--with-healthcheck]

A deployment can bring steps of its own to be run before its flow (shell scripts among them), a
pool's template or a run's job variables can bring another command. Here none of them count: the
flows, their folder and their command are fixed, and a run of anything else ends with a message.
"""

import argparse
import asyncio
import os
from contextlib import suppress
from typing import Any, Self

from anyio.abc import TaskStatus
from prefect.client.orchestration import PrefectClient, SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import DeploymentResponse
from prefect.utilities.processutils import setup_signal_handlers_worker
from prefect.workers.process import ProcessJobConfiguration, ProcessWorker, ProcessWorkerResult

from contracts.errors import ServiceError
from contracts.secrets import mask_logs_and_tracebacks
from infra.access import PRIVATE_UMASK
from infra.settings import POOL, PROJECT_ROOT

FLOWS = ("flows.full.full", "flows.ablation.ablation")
# Prefect's engine, in the process of a run, takes the flow from this variable where it is set: it
# then asks neither for the deployment's entrypoint nor for its steps.
FLOW_VARIABLE = "PREFECT__FLOW_ENTRYPOINT"
# As prefect.yaml has it: a worker asks them again for the hooks of a run that crashed.
STEPS = [{"prefect.deployments.steps.set_working_directory": {"directory": "."}}]
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
        """The same for every run: Prefect's engine, in the project's root; see `ProjectWorker`."""
        return cls(working_dir=PROJECT_ROOT, env={})


class ProjectWorker(ProcessWorker):
    """Starts a process for each run of this project's deployments."""

    type = "revisual"  # as `process` it would take the place of Prefect's own worker
    job_configuration = ProjectJob

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
        entrypoint = refuse_foreign(await self._deployment(flow_run), flow_run)
        configuration.env[FLOW_VARIABLE] = entrypoint
        return await super().run(flow_run, configuration, task_status)

    async def _deployment(self, flow_run: FlowRun) -> DeploymentResponse | None:
        if flow_run.deployment_id is None:
            return None
        return await self.client.read_deployment(flow_run.deployment_id)


def create_pool(client: SyncPrefectClient) -> None:
    """The pool that this worker serves; no worker of Prefect's own knows its type."""
    pool = WorkPoolCreate(name=POOL, type=ProjectWorker.type, base_job_template=JOB_TEMPLATE)
    client.create_work_pool(pool, overwrite=True)


def refuse_foreign(deployment: DeploymentResponse | None, flow_run: FlowRun) -> str:
    """Lets nothing pass but a run of this project's deployments, with parameters that they have.

    Returns:
        The flow's entrypoint.

    Raises:
        ServiceError: This run is something else.
    """
    entrypoint = None if deployment is None else deployment.entrypoint
    if deployment is None or entrypoint not in FLOWS or deployment.pull_steps != STEPS:
        flows = " and ".join(FLOWS)
        raise ServiceError(
            "This run is not one of the project's deployments, and was not started.",
            where=f"flow run {flow_run.name}, deployment {deployment and deployment.name}",
            rule=f"the pool {POOL} runs {flows} with the steps of prefect.yaml, and nothing else",
            fix="make down, then make up registers the deployments again; see SECURITY.md",
        )
    known = set((deployment.parameter_openapi_schema or {}).get("properties", {}))
    if unknown := sorted(set(flow_run.parameters) - known):
        raise ServiceError(
            f"The flow has no parameter {', '.join(unknown)}.",
            where=f"flow run {flow_run.name}",
            rule=f"its parameters are {', '.join(sorted(known))}",
            fix=f"start it again: prefect deployment run revisual/{deployment.name} -p NAME=VALUE",
        )
    return entrypoint


def main() -> None:
    """Works until it is told to stop."""
    parser = argparse.ArgumentParser(prog="infra.worker", description=__doc__)
    parser.add_argument("--with-healthcheck", action="store_true", help="answer on port 8080")
    options = parser.parse_args()
    os.umask(PRIVATE_UMASK)
    mask_logs_and_tracebacks()
    setup_signal_handlers_worker(os.getpid(), "the worker", print)
    with suppress(KeyboardInterrupt):
        asyncio.run(
            ProjectWorker(work_pool_name=POOL).start(with_healthcheck=options.with_healthcheck)
        )


if __name__ == "__main__":
    main()
