"""Where the kernel counts what its OOM killer has ended."""

import pytest

from infra.oom import memory_limit, num_oom_kills

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


MAX2, MAX1 = "memory.max", "memory.limit_in_bytes"
UNBOUND = str(2**63 - 4096)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"proc/self/cgroup": V2, f"sys/fs/cgroup/a/b/{MAX2}": "4096\n"}, 4096),
        # Of the groups above, the narrowest counts; a container's own may be the root it sees.
        (
            {
                "proc/self/cgroup": V2,
                f"sys/fs/cgroup/a/b/{MAX2}": "max\n",
                f"sys/fs/cgroup/a/{MAX2}": "8192\n",
            },
            8192,
        ),
        ({"proc/self/cgroup": "0::/\n", f"sys/fs/cgroup/{MAX2}": "1024\n"}, 1024),
        ({"proc/self/cgroup": V1, f"sys/fs/cgroup/memory/{MAX1}": "2048\n"}, 2048),
        ({"proc/self/cgroup": V1, f"sys/fs/cgroup/memory/a/b/{MAX1}": UNBOUND}, int(UNBOUND)),
        ({"proc/self/cgroup": V2, f"sys/fs/cgroup/a/b/{MAX2}": "max\n"}, None),
        ({}, None),
    ],
)
def test_the_narrowest_limit_of_a_container_counts(files, expected, tmp_path):
    write(tmp_path, files)
    assert memory_limit(tmp_path) == expected
