"""Run by `infra.torchrun` in test_two_ranks.py: what each of two ranks holds, case by case."""

import gc
import json
import sys
from pathlib import Path

from tests.training.plan.peaks import TWO_RANKS, measured
from training.runtime import device


def main(output):
    device.start(1)
    gc.freeze()  # what is loaded stays: each case looks for its own garbage twice
    found = [measured(case) for case in TWO_RANKS]
    Path(output, f"rank-{device.rank()}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
