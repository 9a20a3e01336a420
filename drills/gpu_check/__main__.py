"""`make gpu-check`: runs the parts one after the other, and prints a report in Markdown.

    python -m drills.gpu_check [--only learner zero ...] [--minutes 20] [--output FILE]

Exits with 1 if a part failed. A part that is skipped, for want of a GPU say, does not fail.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from drills.gpu_check.attending import attention
from drills.gpu_check.collectives import nccl
from drills.gpu_check.install import install
from drills.gpu_check.learning import bfloat16, zero
from drills.gpu_check.machine import Machine
from drills.gpu_check.memory import memory, sharded_memory
from drills.gpu_check.outcome import Failed, Figures, Outcome, Skipped
from drills.gpu_check.pocket import pocket
from drills.gpu_check.reference import reference
from drills.gpu_check.report import markdown
from drills.gpu_check.sampling import sharded_vllm, vllm
from drills.gpu_check.speed import speed
from tasks.run import code_version

Part = Callable[[Machine], Figures]
# In order: what is quick and tells most comes first, as the time may run out.
PARTS: Mapping[str, Part] = {
    "install": install,
    "attention": attention,
    "learner": bfloat16,
    "zero": zero,
    "reference": reference,
    "nccl": nccl,
    "vllm": vllm,
    "vllm-sharded": sharded_vllm,
    "memory": memory,
    "memory-sharded": sharded_memory,
    "speed": speed,
    "pocket": pocket,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the parts that are asked for; 1 if one failed."""
    parser = argparse.ArgumentParser(prog="drills.gpu_check", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--minutes", type=float, default=20.0, help="for everything together")
    parser.add_argument("--output", type=Path, help="also write the report there")
    options = parser.parse_args(arguments)
    # Of a driver that torch's CUDA cannot use `device_count` tells all the same.
    num_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    machine = Machine(num_gpus, time.monotonic() + 60.0 * options.minutes)
    outcomes = []
    for name in options.only:
        outcomes.append(check(name, PARTS[name], machine))
        last = outcomes[-1]
        print(f"{name}: {last.status} {last.reason}", file=sys.stderr, flush=True)
    text = markdown(outcomes, num_gpus=machine.num_gpus, code=code_version())
    print(text)
    if options.output:
        options.output.write_text(text, encoding="utf-8")
    return int(any(one.status == "failed" for one in outcomes))


def check(name: str, part: Part, machine: Machine) -> Outcome:
    """Runs one part, whatever becomes of it."""
    start = time.monotonic()

    def seconds() -> float:
        return time.monotonic() - start

    try:
        figures = part(machine)
    except Skipped as notice:
        return Outcome(name, "skipped", seconds(), reason=str(notice))
    except Failed as error:
        return Outcome(name, "failed", seconds(), error.figures, str(error), error.log)
    except Exception as error:  # noqa: BLE001 - the other parts and the report are worth more
        return Outcome(name, "failed", seconds(), reason=f"{type(error).__name__}: {error}")
    return Outcome(name, "passed", seconds(), figures)


if __name__ == "__main__":
    sys.exit(main())
