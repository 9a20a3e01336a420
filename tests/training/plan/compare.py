"""Prints what an update holds and what is planned for it, case by case, at any length.

PYTHONPATH=. python -m infra.torchrun --nproc-per-node 2 tests/training/plan/compare.py --tokens 160
"""

import argparse
import gc
from dataclasses import replace

import pytest
import torch.distributed as dist

from tests.training.plan.peaks import TWO_RANKS, measured, planned_peak
from tests.training.plan.test_activations import CASES
from training.runtime import device


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=320, help="of each sequence")
    tokens = parser.parse_args().tokens
    device.start(1)
    gc.freeze()  # what is loaded stays
    num_ranks = device.world_size()
    cases = CASES if num_ranks == 1 else TWO_RANKS
    for case in [replace(one, tokens=tokens) for one in cases]:
        peaks = [0] * num_ranks
        dist.all_gather_object(peaks, measured(case)["peak"])
        with pytest.MonkeyPatch.context() as patch:
            planned = planned_peak(case, num_ranks, patch)
        if device.rank() == 0:
            most = max(peaks)
            print(f"{most / 1e6:7.2f} MB, {most / planned:.3f} of what is planned: {case}")


if __name__ == "__main__":
    main()
