"""How often the kernel's OOM killer has struck, as near to this process as can be read."""

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


def _counters(root: Path) -> list[Path]:
    groups, machine = root / "proc/self/cgroup", root / "proc/vmstat"
    if not groups.is_file():
        return [machine]
    found = []
    for line in groups.read_text(encoding="utf-8").splitlines():
        number, controllers, group = line.split(":", 2)
        name = group.lstrip("/")
        if number == "0":
            found.append(root / "sys/fs/cgroup" / name / "memory.events")
        elif "memory" in controllers.split(","):
            found.append(root / "sys/fs/cgroup/memory" / name / "memory.oom_control")
    return [*found, machine]
