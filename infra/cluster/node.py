"""One node's part of a stage: it fetches, runs its processes, and stores what they save.

    home/work/<run>/<stage>-node-1-.../    as `infra.launcher` lays out a stage's scratch folder

All methods but `prepare` return soon: the driver calls one after the other. By `hear`, which a
thread of the driver's calls whatever that is busy with, the node knows that it is still there. A
node whose driver or whose cluster falls silent ends by itself.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Event, Thread

import psutil

from contracts.errors import PreflightError, RevisualError, StoreError
from contracts.graces import stage_grace
from contracts.job import Outcome
from contracts.paths import is_inner_path
from infra.alive import hold
from infra.cluster.reach import node_settings, reached_from_here
from infra.cluster.records import KILLED_CODE, End, NodesTask, Report, Upload
from infra.cluster.sources import require_same_code
from infra.digests import file_entries, file_names
from infra.ends import is_finished, outcome_of
from infra.gpus import GpuLocks, cuda_environment, gpu_locks, gpus_of
from infra.inputs.folder import stage_folder
from infra.killed import Ranks, killed_for_memory
from infra.launcher import (
    LOOPBACK_INTERFACE,
    new_job,
    stage_command,
    stage_environment,
    start_supervised,
    write_job,
)
from infra.settings import Settings

PIECE_BYTES = 8 * 2**20
NUM_CHUNKS = 16  # of a report
MEET, RESUME = "meet", "resume"
# The driver is heard every few seconds (`infra.cluster.driver.PULSE_SECONDS`), one node after the
# other, and waits up to a minute for a node that does not answer: long enough for two of those and
# for a switch that fails over, not so long that much is computed which nobody will use.
SILENCE_SECONDS = 180.0
WATCH_SECONDS = 0.5
_STEP = re.compile(r"step-([0-9]{8})")


class Node:
    """One node's processes; lives in a process of its own, whose end is theirs.

    Args:
        number: 0 for the first, whose processes write the output.
        asked: A `NodesTask`, JSON.
    """

    def __init__(self, number: int, asked: str) -> None:
        self._number, self._task = number, NodesTask.model_validate_json(asked)
        self._work: Path
        self._gpus: GpuLocks
        self._remains = ExitStack()
        self._process: subprocess.Popen[bytes] | None = None
        self._uploader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="shares")
        self._upload: tuple[int, Future[Upload]] | None = None
        self._explainer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="end")
        self._explained: Future[End] | None = None
        self._heard_seconds = time.monotonic()
        self._cluster = os.getppid()
        self._closed = Event()

    def probe(self, name: str) -> str:
        """See `reached_store`."""
        return reached_from_here(self._task.placement.store, name, self._number)

    def open(self) -> str:
        """Makes the scratch folder, and keeps it from `revisual gc`.

        Returns:
            Nothing, or which rule is broken.
        """
        try:
            parent = self._settings.home / "work" / self._task.run
            hold(parent)
            prefix = f"{self._task.job.stage}-node-{self._number}-"
            self._work = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        except (RevisualError, OSError) as error:
            return self._told(error)
        self._remains.callback(shutil.rmtree, self._work, ignore_errors=True)
        return ""

    def put(self, name: str, offset: int, data: bytes) -> None:
        """Takes a piece of a file of responses that earlier attempts have drawn."""
        path = self._inner(f"{RESUME}/{name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("r+b" if offset else "wb") as file:
            file.seek(offset)
            file.write(data)

    def prepare(self) -> str:
        """Fetches what the stage reads, and lays out its folder; may last.

        Returns:
            Nothing, or which rule is broken.
        """
        try:
            require_same_code(self._number, self._task.code, self._task.modules)
            store = self._settings.store()
            folders = {
                name: stage_folder(store, artifact, self._settings)
                for name, artifact in self._task.inputs.items()
            }
            if self._task.resume is not None:
                store.copy(self._task.resume, self._work / RESUME)
            asked, resume = self._task.job, self._work / RESUME
            self._gpus = self._remains.enter_context(gpu_locks(gpus_of(asked, self._note), asked))
            self._job = new_job(
                asked.stage,
                json.loads(self._task.recipe),
                folders,
                self._work,
                resume if resume.is_dir() else None,
                asked.policies,
                asked.verdict_code,
                asked.namer,
            )
        except (RevisualError, OSError) as error:
            return self._told(error)
        return ""

    def take_gpus(self) -> str:
        """Takes this node's GPUs, if nobody else holds them; the processes keep them to their end.

        Returns:
            Nothing once they are held; else what is waited for, and who has it.
        """
        waits = self._gpus.take()
        return waits and f"node {self._number}, {os.uname().nodename}: {waits}"

    def release_gpus(self) -> None:
        """Lets go of them: another node has to wait for its own."""
        self._gpus.release()

    def start(self, address: str) -> str:
        """Starts the processes; only the thread that calls this must live on.

        Args:
            address: This node's, as the others reach it.

        Returns:
            Nothing, or which rule is broken.
        """
        try:
            self._start(address)
        except (RevisualError, OSError) as error:
            return self._told(error)
        self.hear()
        Thread(target=self._watch, name="driver-watch", daemon=True).start()
        return ""

    def _start(self, address: str) -> None:
        task, nodes = self._task, self._task.placement.nodes
        seat: tuple[str, ...] = ()
        if nodes > 1:
            seat = (
                *("--nodes", str(nodes), "--node", str(self._number)),
                *("--address", address, "--meet", str(self._work / MEET)),
            )
        interface = interface_of(address) if nodes > 1 else LOOPBACK_INTERFACE
        self._ranks = Ranks(self._job)
        with (self._work / "log.txt").open("ab") as log:
            self._process = start_supervised(
                stage_command(write_job(self._job), task.num_processes, task.grace_seconds, seat),
                stage_environment(task.threads_per_process, task.variables, interface)
                | cuda_environment(task.job),
                log,
                stage_grace(task.grace_seconds),
                self._gpus.descriptors,
            )

    def hear(self) -> None:
        """Notes that the driver is there."""
        self._heard_seconds = time.monotonic()

    def meet(self, where: str) -> None:
        """Tells this node's agent where the first one listens, `host:port`."""
        partial = self._work / f".{MEET}"
        partial.write_text(where, encoding="utf-8")
        partial.rename(self._work / MEET)

    def report(self, log_offset: int, metrics_offset: int) -> Report:
        """What there is to tell.

        Args:
            log_offset: Bytes of the log that the driver has.
            metrics_offset: Bytes of the metrics that it has.
        """
        end = self._end()  # before the files are read: then they hold all there will be
        saved = self._saved()
        return Report(
            log=_piece(self._work / "log.txt", log_offset),
            metrics=self._metrics(metrics_offset),
            meet=_piece(self._work / MEET, 0).decode() if self._number == 0 else "",
            steps=tuple(int(found[1]) for found in map(_STEP.fullmatch, saved) if found),
            chunks=tuple(name for name in saved if name.startswith(("chunk-", "shard-")))[
                :NUM_CHUNKS
            ],
            upload=self._last_upload(),
            end=end,
        )

    def stop(self) -> None:
        """Tells the processes to save and to end; the supervisor sees to it that they do."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def take(self, step: int) -> bool:
        """Takes this node's share of a step checkpoint out of its writer's hands.

        Returns:
            Whether it is still there.
        """
        with suppress(FileNotFoundError):  # a newer one has just replaced it
            (self._checkpoints / f"step-{step:08d}").rename(self._taken(step))
            return True
        return False

    def untake(self, step: int) -> None:
        """Forgets a share of which another node has no counterpart."""
        shutil.rmtree(self._taken(step), ignore_errors=True)

    def store_share(self, step: int, location: str) -> None:
        """Stores the share that was taken, in the background: see `Report.upload`.

        Args:
            step: Which one.
            location: Of the artifact to be, in the store.
        """
        self._upload = step, self._uploader.submit(self._store, step, location)

    def output(self) -> list[tuple[str, int]]:
        """Names and bytes of the files that the stage wrote."""
        folder = self._job.output
        return [
            (f"output/{name}", (folder / name).stat().st_size)
            for name in file_names(folder, ("*",))
        ]

    def read(self, name: str, offset: int) -> bytes:
        """A piece of a file of the scratch folder, from `offset` on; empty at its end."""
        return _piece(self._inner(name), offset)

    def drop(self, name: str) -> None:
        """Removes a file that the driver has."""
        self._inner(name).unlink()

    def close(self) -> None:
        """Ends what still runs, and removes the scratch folder."""
        self._closed.set()
        self._end_processes()
        self._uploader.shutdown()
        self._explainer.shutdown()
        self._remains.close()

    def _end_processes(self) -> None:
        self.stop()
        if self._process is not None:
            self._process.wait()

    @property
    def _settings(self) -> Settings:
        return node_settings(self._task.placement.store)

    def _note(self, text: str) -> None:
        with (self._work / "log.txt").open("a", encoding="utf-8") as log:
            log.write(f"{text}\n")

    def _told(self, error: Exception) -> str:
        """What the run is told of an error: of the system's, also on which machine."""
        told = f"{type(error).__name__}: {error}"
        if isinstance(error, RevisualError):
            return told
        return f"node {self._number}, {os.uname().nodename}: {told}"

    @property
    def _checkpoints(self) -> Path:
        assert self._job.checkpoints is not None  # `new_job` names it
        return self._job.checkpoints

    def _taken(self, step: int) -> Path:
        return self._checkpoints / f"taken-{step:08d}"

    def _saved(self) -> list[str]:
        return sorted(path.name for path in self._checkpoints.glob("*"))

    def _inner(self, name: str) -> Path:
        if not is_inner_path(name):
            raise ValueError(f"{name!r} leads out of the scratch folder")
        return self._work / name

    def _metrics(self, offset: int) -> bytes:
        return _piece(self._job.output / "metrics.jsonl", offset) if self._number == 0 else b""

    def _end(self) -> End | None:
        """The end, once it is explained: of a kill with the plan, which takes seconds to make."""
        if self._process is None:
            return None
        if self._explained is None:
            code = self._process.poll()
            self._ranks.look()
            if code is None:
                return None
            self._explained = self._explainer.submit(self._explain, code)
        return self._explained.result() if self._explained.done() else None

    def _explain(self, code: int) -> End:
        outcome = outcome_of(self._job)
        # A process that lost the killed one may end in the same moment, and its code is told.
        has_lost_another = outcome is not None and outcome.status == "lost"
        is_killed = code == KILLED_CODE or has_lost_another
        if is_killed and self._ranks.were_oom_killed:
            message = f"OutOfMemoryError: {killed_for_memory(self._job, self._ranks)}"
            outcome = Outcome(status="refused", message=message)
        code = 0 if is_finished(code, outcome) else code
        return End(code=code if code >= 0 else 128 - code, outcome=outcome)

    def _last_upload(self) -> Upload | None:
        if self._upload is None:
            return None
        step, future = self._upload
        return future.result() if future.done() else Upload(step=step)

    def _store(self, step: int, location: str) -> Upload:
        folder = self._taken(step)
        try:
            # The counts are the same on all nodes, and the history is the first one's.
            names = [name for name in file_names(folder) if self._number == 0 or _is_share(name)]
            self._settings.store().backend.upload(folder, names, f"{location}/files")
            return Upload(step=step, files=file_entries(folder, names))
        except (StoreError, OSError) as error:
            return Upload(step=step, problem=str(error))
        finally:
            shutil.rmtree(folder)

    def _watch(self) -> None:
        """Ends everything when the driver or Ray's own process of this machine is gone."""
        while not self._closed.wait(WATCH_SECONDS):
            is_silent = time.monotonic() - self._heard_seconds > SILENCE_SECONDS
            if is_silent or os.getppid() != self._cluster:
                self._end_processes()
                self._remains.close()
                os._exit(KILLED_CODE)


def interface_of(address: str) -> str:
    """The name of this machine's network interface that has an address.

    Raises:
        PreflightError: None has it.
    """
    found = _addresses()
    if address not in found:
        raise PreflightError(
            f"No network interface of this machine has the address {address}.",
            where=f"{os.uname().nodename}: {', '.join(sorted(found))}",
            rule="the nodes' processes reach one another by the addresses that Ray knows them by",
            fix="start Ray on this machine with --node-ip-address and one of these",
        )
    return found[address]


def _addresses() -> Mapping[str, str]:
    """Interface by address."""
    return {
        address.address: name
        for name, addresses in psutil.net_if_addrs().items()
        for address in addresses
    }


def _is_share(name: str) -> bool:
    return name.startswith("learner-")


def _piece(path: Path, offset: int) -> bytes:
    """The next bytes of a file, at most `PIECE_BYTES`; none where there is no file yet."""
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(PIECE_BYTES)
