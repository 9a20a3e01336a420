"""Memory of the program that is measured."""

from pathlib import Path


def peak_bytes() -> int:
    """This program's peak of resident memory.

    Not `ru_maxrss`, which is at least what the process that started this one held at its peak.
    """
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    (line,) = [line for line in lines if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024
