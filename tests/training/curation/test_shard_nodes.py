"""Shards that processes of other nodes look through."""

import subprocess
import sys
from pathlib import Path

import pytest

from infra.launcher import stage_environment
from infra.settings import PROJECT_ROOT
from tests.training.curation import two_nodes
from training.curation import shard_nodes
from training.curation.shard_nodes import Borrower, Lender
from training.runtime import device


@pytest.fixture
def small_pieces(monkeypatch):
    monkeypatch.setattr(shard_nodes, "PIECE_BYTES", 8)
    monkeypatch.setattr(shard_nodes, "POLL_SECONDS", 0.001)
    device.start(1)


@pytest.fixture
def folders(tmp_path):
    """Of two nodes."""
    for name in ("here", "there"):
        (tmp_path / name / "found").mkdir(parents=True)
    return tmp_path / "here", tmp_path / "there"


@pytest.mark.parametrize("num_bytes", [0, 7, 8, 9, 33])
def test_files_go_there_and_back_in_pieces(num_bytes, small_pieces, folders):
    here, there = folders
    data = bytes(range(num_bytes))[::-1]  # 10, a newline, among them
    (here / "000005").write_bytes(data)
    with Lender(str(here), here) as lender:
        borrower = Borrower(str(here), lender.check)
        borrower.fetch(there / "000005")
        assert (there / "000005").read_bytes() == data
        (there / "found" / "000005").write_bytes(data + data)
        borrower.deliver(there / "found" / "000005")
        assert (here / "found" / "000005").read_bytes() == data + data
    assert [path.name for path in here.rglob("*") if path.is_file()] == ["000005"] * 2


def test_a_lender_that_fails_leaves_nobody_waiting(small_pieces, folders):
    here, there = folders
    with (
        pytest.raises(FileNotFoundError, match="000005"),
        Lender(str(here), here) as lender,
    ):
        Borrower(str(here), lender.check).fetch(there / "000005")
    assert not (there / "000005").exists()


@pytest.mark.slow
def test_nodes_that_share_no_disk_find_what_one_process_finds(tmp_path):
    """Two processes on each of two nodes, all in a shard at the same time."""
    expected = two_nodes.sifted(tmp_path / "alone")
    for node in range(2):
        (tmp_path / f"node-{node}").mkdir()
    agents = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "infra.torchrun", "--nodes", "2", "--node", str(node)),
                *("--meet", str(tmp_path / "meet"), "--nproc-per-node", "2"),
                *("-m", "tests.training.curation.two_nodes", str(tmp_path)),
            ],
            cwd=PROJECT_ROOT,
            env=stage_environment(1),
        )
        for node in (1, 0)
    ]
    assert [agent.wait(timeout=300) for agent in agents] == [0, 0]
    assert (tmp_path / "found").read_text() == repr(expected)
    alone, *both = (names(tmp_path / name) for name in ("alone", "node-0", "node-1"))
    assert len(alone) == two_nodes.NUM_SHARDS + 1  # one of what may be near duplicates
    assert all(len(saved) >= 2 for saved in both)
    assert sorted(both[0] + both[1]) == alone  # each once, whoever did it


def names(saved: Path) -> list[str]:
    """Of what was left for whoever uploads it, and nothing else is left."""
    found = sorted(path.name for path in saved.iterdir())
    assert all(name.startswith("shard-") for name in found)
    return found
