"""Pools of workers that run single stages: `python -m flows.pools POOL [--register]`.

A pool that does not exist becomes one of this project's, whose worker starts a process for each
stage. A pool that exists already, such as one of Prefect's Kubernetes workers, stays as it is.
"""

import argparse
import sys

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import WorkPool
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL
from prefect.utilities.callables import parameter_schema

from contracts.errors import ServiceError
from flows.stage import stage
from infra.settings import POOL
from infra.worker import JOB_TEMPLATE, STAGE_FLOW, STEPS, StageWorker, serve


def register(client: SyncPrefectClient, pool: str) -> WorkPool:
    """Makes a pool known to runs: the pool, where there is none, and the stages' deployment in it.

    Raises:
        ServiceError: It is the pool of whole runs.
    """
    if pool == POOL:
        raise ServiceError(
            f"The pool {POOL} runs whole runs.",
            where=f"pool {pool}",
            rule="stages elsewhere have pools of their own",
            fix="choose another name, and write it into the recipe: hardware.pool",
        )
    try:
        found = client.read_work_pool(pool)
    except ObjectNotFound:
        found = client.create_work_pool(
            WorkPoolCreate(name=pool, type=StageWorker.type, base_job_template=JOB_TEMPLATE)
        )
    client.create_deployment(
        client.create_flow(stage),
        name=pool,
        description="One stage of a run that is on another machine.",
        entrypoint=STAGE_FLOW,
        pull_steps=STEPS,
        work_pool_name=pool,
        parameter_openapi_schema=parameter_schema(stage).model_dump_for_openapi(),
        enforce_parameter_schema=False,  # the flow does that itself, and says what is wrong
    )
    return found


def require_served_here(pool: WorkPool) -> None:
    """Refuses to serve a pool that is for other workers.

    Raises:
        ServiceError: It is.
    """
    if pool.type != StageWorker.type:
        raise ServiceError(
            f"The pool {pool.name} is for workers of the type {pool.type}.",
            where=f"pool {pool.name}",
            rule=f"this worker serves pools of the type {StageWorker.type}",
            fix=f"prefect worker start --pool {pool.name}; the stages are registered in it",
        )


def _registered(pool: str) -> WorkPool:
    """Registers it at the server that the environment names."""
    try:
        with get_client(sync_client=True) as client:
            return register(client, pool)
    except httpx.HTTPError as error:
        raise ServiceError(
            f"The Prefect server did not register the pool: {error}",
            where=f"PREFECT_API_URL={PREFECT_API_URL.value()}",
            rule="a worker reaches the server of the runs, and knows its credential",
            fix="make up starts a server here; for another machine's, set PREFECT_API_URL and "
            "PREFECT_API_AUTH_STRING (docs/placement.md)",
        ) from error


def main() -> int:
    """Registers a pool and, unless asked for no more, serves it until told to stop."""
    parser = argparse.ArgumentParser(prog="flows.pools", description=__doc__)
    parser.add_argument("pool")
    parser.add_argument("--register", action="store_true", help="do not serve it")
    options = parser.parse_args()
    try:
        pool = _registered(options.pool)
        if options.register:
            return 0
        require_served_here(pool)
    except ServiceError as error:
        sys.stderr.write(f"ServiceError: {error}\n")
        return 1
    # One stage at a time: the machine's cores, or its GPUs, belong to one training.
    serve(StageWorker(work_pool_name=pool.name, limit=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
