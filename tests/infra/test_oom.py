"""Where the kernel counts what its OOM killer has ended."""

import pytest

from infra.oom import num_oom_kills

V2, V1 = "0::/a/b\n", "4:memory:/a/b\n2:cpu:/x\n0::/\n"
EVENTS, CONTROL = "sys/fs/cgroup/a/b/memory.events", "sys/fs/cgroup/memory/a/b/memory.oom_control"


def write(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"proc/self/cgroup": V2, EVENTS: "low 0\noom 4\noom_kill 3\n"}, 3),
        ({"proc/self/cgroup": V1, CONTROL: "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"}, 2),
        # An older kernel's group has no count: the machine's is left.
        ({"proc/self/cgroup": V1, CONTROL: "under_oom 0\n", "proc/vmstat": "oom_kill 7\n"}, 7),
        ({"proc/self/cgroup": V2, "proc/vmstat": "nr_free 1\noom_kill 5\n"}, 5),
        ({"proc/vmstat": "oom_kill 0\n"}, 0),
        ({"proc/self/cgroup": V2}, None),
        ({}, None),
    ],
)
def test_the_nearest_count_is_taken(files, expected, tmp_path):
    write(tmp_path, files)
    assert num_oom_kills(tmp_path) == expected
