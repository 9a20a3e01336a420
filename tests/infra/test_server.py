import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Two transactions that read, and then write, at the same time, on Prefect's own terms.
CLASH = """
import asyncio, contextlib, sys
import sqlalchemy as sa
from prefect.server.database.configurations import AioSqliteConfiguration

async def main():
    database = AioSqliteConfiguration(f"sqlite+aiosqlite:///{sys.argv[1]}")
    engine = await database.engine()
    async with engine.begin() as connection:
        await connection.execute(sa.text("CREATE TABLE runs (id INTEGER)"))

    read = [asyncio.Event(), asyncio.Event()]

    async def write(number):
        async with await database.session(engine) as session:
            async with database.begin_transaction(session):
                await session.execute(sa.text("SELECT count(*) FROM runs"))
                read[number].set()
                with contextlib.suppress(TimeoutError):  # who has to wait for its turn reads later
                    await asyncio.wait_for(read[1 - number].wait(), 3)
                await session.execute(sa.text("INSERT INTO runs VALUES (1)"))

    done = await asyncio.gather(write(0), write(1), return_exceptions=True)
    print([type(one).__name__ for one in done if one is not None])

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("imports", "failed"), [("", "['OperationalError']"), ("import infra.server", "[]")]
)
def test_writers_of_the_database_take_turns(tmp_path, imports, failed):
    done = subprocess.run(
        [sys.executable, "-c", imports + CLASH, str(tmp_path / "prefect.db")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == failed, done.stderr
