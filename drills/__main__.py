"""The table of faults in docs/reliability.md: makes them, counts them, and checks what is left.

`python -m drills [--seed 0]` prints the table: kills of training stages, faults around
whole stages, and the tests that are marked as faults.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import patch

from drills.attempts import Aim
from drills.disturbed import NUM_STEPS
from drills.fault_table import Row, markdown
from drills.fault_tests import tested
from drills.kills import CAMPAIGNS, Campaign, killed, undisturbed
from drills.stage_faults import full_disk, moving_clock, two_at_once
from infra.seaweed import seaweed_server

PARTS = ("kills", "stages", "tests")
# When the kills of one campaign fall, of a stage that trains and of one that samples: 34 in all.
ANY_MOMENT: tuple[Aim, ...] = ("at a random moment", "at a random moment")
SAVING: tuple[Aim, ...] = ("in the middle of a save", "in the middle of an upload")
SAMPLING: tuple[Aim, ...] = ("at a random moment",) * 5


def kills(folder: Path, seed: int) -> Iterator[Row]:
    """All campaigns, two at a time: starting a stage keeps one core busy."""
    (folder / "server").mkdir()
    undisturbed(CAMPAIGNS[0].stage, CAMPAIGNS[0].num_processes)  # imports, in one thread at first
    with (
        seaweed_server(folder / "server") as server,
        patch.dict(os.environ, server.environment),
        ThreadPoolExecutor(2) as executor,
    ):

        def run(number: int, campaign: Campaign) -> Row:
            own = folder / f"kills-{number}"
            local = campaign.store == "local store"
            uri = str(own / "store") if local else f"s3://{server.bucket}/kills-{number}"
            aims = ANY_MOMENT + SAVING if campaign.stage in NUM_STEPS else SAMPLING
            row = killed(campaign, own, uri, aims, random.Random(f"{seed}/{number}"))
            print(row, file=sys.stderr, flush=True)
            return row

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
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    options = parser.parse_args()
    start_seconds = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made: dict[str, Callable[[], Iterable[Row]]] = {
            "kills": lambda: kills(folder, options.seed),
            "stages": lambda: around_stages(folder),
            "tests": lambda: tested(folder),
        }
        rows = [row for part in options.parts for row in made[part]()]
    print(markdown(rows))
    print(f"{time.monotonic() - start_seconds:.0f} seconds", file=sys.stderr)
    return int(not all(row.good for row in rows))


if __name__ == "__main__":
    sys.exit(main())
