"""The probe of Prefect's services, with Docket's own store in memory; in the drill with Redis."""

import asyncio
import re
import time
from datetime import timedelta

from docket import Docket, Perpetual, Worker

from infra.images.services_health import READERS, TASK, silent_task, unread

EVERY_SECOND = Perpetual(automatic=True, every=timedelta(seconds=1))


async def evaluate_proactive_triggers_periodic(perpetual: Perpetual = EVERY_SECOND) -> None:
    """As Prefect's, but for the work."""


def test_a_task_that_nobody_runs_is_told_and_one_that_comes_again_is_not() -> None:
    async def told() -> list[list[str]]:
        async with Docket(name="prefect", url="memory://silent") as docket:
            nobody = await silent_task(docket)
            docket.register(evaluate_proactive_triggers_periodic)
            async with Worker(docket) as worker:
                running = asyncio.create_task(worker.run_forever())
                deadline = time.monotonic() + 60
                while (found := await silent_task(docket)) and time.monotonic() < deadline:
                    await asyncio.sleep(0.1)
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
            return [nobody, found, await silent_task(docket)]

    assert evaluate_proactive_triggers_periodic.__name__ == TASK
    nobody, at_work, ended = asyncio.run(told())
    assert nobody == [f"{TASK} was due None, and has 0 workers"]
    assert at_work == []
    assert len(ended) == 1 and ended[0].endswith("has 0 workers")


def test_what_a_group_has_left_unread_for_a_minute_is_told() -> None:
    async def told() -> list[str]:
        async with Docket(name="prefect", url="memory://unread") as docket, docket.redis() as redis:
            now = int(time.time() * 1000)
            for stream, groups in READERS.items():
                for group in groups:
                    await redis.xgroup_create(stream, group, id="0", mkstream=True)
                for age_ms in (9_000_000, 70_000, 5_000):
                    await redis.xadd(stream, {"data": "{}"}, id=f"{now - age_ms}-0")
                for group in groups:  # two have read all that is a minute old
                    count = 2 if group in ("event-persister", "actions") else 1
                    await redis.xreadgroup(group, "one", {stream: ">"}, count=count)
            return await unread(redis)

    found = [
        re.fullmatch(r"(\S+) has left an entry of events for (\d+) s", line).groups()
        for line in asyncio.run(told())
    ]
    assert [group for group, _ in found] == ["reactive-triggers", "task-run-recorder"]
    # Of the entry that is unread, which is 70 s old, and not of the one before.
    assert all(70 <= int(seconds) < 9000 for _, seconds in found)
