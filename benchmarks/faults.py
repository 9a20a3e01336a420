"""The table of faults in docs/reliability.md: makes them, counts them, and checks what is left.

`python -m benchmarks.faults [--seed 0]` prints the table.
"""

import argparse
import os
import random
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.attempts import Aim
from benchmarks.fault_table import Row, markdown
from benchmarks.fault_tests import tested
from benchmarks.kills import CAMPAIGNS, Campaign, killed
from benchmarks.seaweed import seaweed_server
from benchmarks.stage_faults import full_disk, moving_clock, two_at_once

# Of each campaign: 24 kills in all.
AIMS: tuple[Aim, ...] = (
    "at a random moment",
    "at a random moment",
    "in the middle of a save",
    "in the middle of an upload",
)


def kills(folder: Path, seed: int) -> Iterator[Row]:
    """All campaigns, two at a time: starting a stage keeps one core busy."""
    with seaweed_server(folder) as server, ThreadPoolExecutor(2) as executor:
        os.environ.update(server.environment)

        def run(number: int, campaign: Campaign) -> Row:
            own = folder / f"kills-{number}"
            local = campaign.store == "local store"
            uri = str(own / "store") if local else f"s3://{server.bucket}/kills-{number}"
            return killed(campaign, own, uri, AIMS, random.Random(f"{seed}/{number}"))

        yield from executor.map(run, range(len(CAMPAIGNS)), CAMPAIGNS)


def around_stages(folder: Path) -> Iterator[Row]:
    """What needs no luck to hit."""
    yield moving_clock(folder / "clock", "multimodal_rl")
    yield two_at_once(folder / "two", "cold_start")
    if row := full_disk(folder / "full", "cold_start"):
        yield row


def main() -> int:
    """Prints the table; 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [*kills(folder, options.seed), *around_stages(folder), *tested(folder)]
    print(markdown(rows))
    return int(not all(row.good for row in rows))


if __name__ == "__main__":
    sys.exit(main())
