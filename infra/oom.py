"""What a control group may take of memory, and how often the kernel's OOM killer has struck."""

from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/")


def num_oom_kills(root: Path = ROOT) -> int | None:
    """Processes killed for memory so far in this process's control group, else on this machine.

    Counts are kept by the kernel: `memory.events` (cgroup v2), `memory.oom_control` (v1), and
    `/proc/vmstat`, which counts the whole machine.

    Args:
        root: Of the file system.

    Returns:
        None where none of them can be read.
    """
    for path in _counters(root):
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except OSError:
            continue
        counts = dict(line.split(maxsplit=1) for line in lines if " " in line)
        if "oom_kill" in counts:
            return int(counts["oom_kill"])
    return None


def memory_limit(root: Path = ROOT) -> int | None:
    """Bytes that this process's control group and those above it leave it; None for no bound.

    `memory.max` (cgroup v2) and `memory.limit_in_bytes` (v1, where no bound is a number beyond any
    memory). A container may see its own group as the root, or the host's name of it.

    Args:
        root: Of the file system.
    """
    limits = []
    for mount, name, is_newer in _groups(root):
        file = "memory.max" if is_newer else "memory.limit_in_bytes"
        for group in (Path(name), *Path(name).parents):
            try:
                text = (mount / group / file).read_text(encoding="utf-8").strip()
            except OSError:
                continue
            if text != "max":
                limits.append(int(text))
    return min(limits, default=None)


def _counters(root: Path) -> list[Path]:
    files = (
        mount / name / ("memory.events" if is_newer else "memory.oom_control")
        for mount, name, is_newer in _groups(root)
    )
    return [*files, root / "proc/vmstat"]


def _groups(root: Path) -> Iterator[tuple[Path, str, bool]]:
    """Of this process, those that count memory: where they are, the name, and whether of v2."""
    groups = root / "proc/self/cgroup"
    if not groups.is_file():
        return
    for line in groups.read_text(encoding="utf-8").splitlines():
        number, controllers, group = line.split(":", 2)
        name = group.lstrip("/")
        if number == "0":
            yield root / "sys/fs/cgroup", name, True
        elif "memory" in controllers.split(","):
            yield root / "sys/fs/cgroup/memory", name, False
