"""Whether Prefect's background services are at work: the probe of `services` in docker-compose.yml.

Their process lives on when one of them has died. So Redis is asked for what they leave undone: the
task that looks for runs without heartbeats must have been due lately and have a worker, and what
came into the streams of events and actions must have been read by all who read them.

The container is Prefect's own, without this project's code: only what Prefect needs is imported.
"""

import asyncio
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import cast

from docket import Docket
from redis.asyncio import Redis

LATE_SECONDS = 60.0
TASK = "evaluate_proactive_triggers_periodic"  # of itself every five seconds
READERS = {
    "events": ("event-persister", "reactive-triggers", "task-run-recorder"),
    "actions": ("actions",),
}


async def silent_task(docket: Docket) -> list[str]:
    """Says so if the task is late, or nobody would run it."""
    task, workers = await docket.get_execution(TASK), await docket.task_workers(TASK)
    oldest = datetime.now(UTC) - timedelta(seconds=LATE_SECONDS)
    if task is not None and task.when > oldest and workers:
        return []
    return [f"{TASK} was due {task and task.when}, and has {len(workers)} workers"]


async def unread(redis: Redis) -> list[str]:
    """Says which stream a group does not read, or has not read for too long."""
    found = []
    for stream, names in READERS.items():
        groups = {group["name"].decode(): group for group in await redis.xinfo_groups(stream)}
        for name in names:
            read = groups[name]["last-delivered-id"].decode() if name in groups else "0-0"
            entries = await redis.xrange(stream, min=read, count=2)
            left = [entry.decode() for entry, _ in cast("list[tuple[bytes, object]]", entries)]
            for entry in [entry for entry in left if entry != read][:1]:
                waits_seconds = time.time() - int(entry.partition("-")[0]) / 1000
                if waits_seconds > LATE_SECONDS:
                    found.append(f"{name} has left an entry of {stream} for {waits_seconds:.0f} s")
    return found


async def problems() -> list[str]:
    """What is not at work, as far as Redis tells."""
    async with Docket(name="prefect", url=os.environ["PREFECT_SERVER_DOCKET_URL"]) as docket:
        found = await silent_task(docket)
    host, port, number = (
        os.environ[f"PREFECT_REDIS_MESSAGING_{name}"] for name in ("HOST", "PORT", "DB")
    )
    async with Redis(host=host, port=int(port), db=int(number)) as redis:
        return found + await unread(redis)


if __name__ == "__main__":
    sys.exit("\n".join(asyncio.run(problems())) or None)
