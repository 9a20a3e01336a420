"""What a task calls to have a stage made on Ray's nodes; knows no Ray itself.

The driver (`infra.cluster.on_ray`) runs under the supervisor, as torchrun does for a stage of this
machine: its output is the stage's log, it leaves outcome and output where the task looks for them,
and whatever ends the task ends it, and its nodes with it.
"""

import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from contracts.artifact import Artifact
from contracts.errors import PreflightError
from contracts.graces import driver_grace
from contracts.job import Job
from contracts.secrets import without_secret_variables
from infra.cluster.records import NodesTask, Placement
from infra.cluster.sources import module_digests, sources_digest
from infra.launcher import Metrics, Resources, run_watched
from infra.settings import PROJECT_ROOT

DRIVER = "infra.cluster.on_ray"
LOOPBACK = "127.0.0.1"
CHECKED_WITHIN_SECONDS = 180.0
# Beside what a stage may know: what reaches the store, the hub and the cluster.
SERVICES = ("AWS_", "HF_", "RAY_")


@dataclass(frozen=True)
class RayExecutor:
    """Makes a stage on the nodes of a cluster; an `Executor`.

    Attributes:
        placement: Which nodes.
        home: Where a Ray of one's own has its nodes' scratch: the run's home.
        run: Names the nodes' scratch folders.
        inputs: What the stage reads, by the names it knows it by.
        resume: The step checkpoint to go on from.
        modules: Names of the modules of functions of the user's own, and of what they import.
    """

    placement: Placement
    home: Path
    run: str
    inputs: Mapping[str, Artifact]
    resume: Artifact | None
    modules: Collection[str]

    def __call__(
        self,
        job: Job,
        resources: Resources,
        *,
        on_line: Callable[[str], None],
        on_metrics: Callable[[Metrics], None],
    ) -> None:
        """Runs the job to its end; see `infra.launcher.launch`.

        Raises:
            PreflightError: Ray is not installed.
            StageError: See `infra.launcher.launch`.
        """
        require_ray(self.placement)
        task = NodesTask(
            placement=self.placement,
            job=job,
            recipe=job.recipe.read_text(encoding="utf-8"),
            run=self.run,
            inputs=dict(self.inputs),
            resume=self.resume,
            code=sources_digest(),
            modules=module_digests(self.modules),
            num_processes=resources.num_processes,
            threads_per_process=resources.threads_per_process,
            grace_seconds=resources.grace_seconds,
            variables=resources.variables,
        )
        asked = job.output.parent / "nodes.json"
        asked.write_text(task.model_dump_json(indent=2), encoding="utf-8")
        with ray_folder() as folder:
            run_watched(
                job,
                [sys.executable, "-m", DRIVER, str(asked), str(folder)],
                {
                    **ray_environment(self.placement, folder, os.environ, resources.variables),
                    "REVISUAL_HOME": str(self.home),
                },
                on_line=on_line,
                on_metrics=on_metrics,
                grace=driver_grace(resources.grace_seconds),
            )


def require_ray(placement: Placement) -> None:
    """Refuses stages on Ray where it is not installed.

    Raises:
        PreflightError: It is not.
    """
    if find_spec("ray") is None:
        raise PreflightError(
            "Ray is not installed here.",
            where=f'{placement.field}.executor = "ray"',
            rule="stages on Ray need the extra `ray`, on every machine of the cluster",
            fix="pip install 'revisual[ray]'; or set executor = \"torchrun\"",
        )


def check_cluster(placement: Placement) -> None:
    """Proves that a cluster has the nodes, and that they share the store with the run.

    Raises:
        PreflightError: It has not, they do not, or there is no cluster.
    """
    require_ray(placement)
    if placement.address is None:
        return  # a Ray of one's own is here, and so is its store
    with ray_folder() as folder:
        asked, problem = folder / "placement.json", folder / "problem.json"
        asked.write_text(placement.model_dump_json(), encoding="utf-8")
        command = [sys.executable, "-m", DRIVER, "--check", str(problem), str(asked), str(folder)]
        try:
            done = subprocess.run(
                command,
                cwd=PROJECT_ROOT,
                env=ray_environment(placement, folder, os.environ),
                capture_output=True,
                text=True,
                timeout=CHECKED_WITHIN_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise _unclear(placement, f"{CHECKED_WITHIN_SECONDS:.0f} s were not enough") from error
        if problem.is_file():
            said = json.loads(problem.read_text(encoding="utf-8"))
            raise PreflightError(
                said["what"], where=said["where"], rule=said["rule"], fix=said["fix"]
            )
        if done.returncode != 0:
            raise _unclear(placement, done.stderr[-2000:])


def _unclear(placement: Placement, why: str) -> PreflightError:
    return PreflightError(
        f"The Ray cluster could not be looked at: {why}",
        where=f"{placement.field}.address = {placement.address}",
        rule="before a run starts, its clusters show that they have its nodes and its store",
        fix="look at the cluster with `ray status`",
    )


@contextmanager
def ray_folder() -> Iterator[Path]:
    """A folder with a short name for a Ray of one's own, with the token that lets nodes in."""
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        token_file(folder).write_text(secrets.token_hex(32), encoding="utf-8")
        token_file(folder).chmod(0o600)
        (folder / "ray").mkdir()  # where Ray itself keeps its files below RAY_TMPDIR
        yield folder


def token_file(folder: Path) -> Path:
    """Where the token of a Ray of one's own lies."""
    return folder / "token"


def ray_environment(
    placement: Placement,
    folder: Path,
    environment: Mapping[str, str],
    variables: Collection[str] = (),
) -> dict[str, str]:
    """The environment of the driver, and of a Ray that it starts.

    No secrets but those of the store, the hub and Ray's own: on a cluster the nodes have theirs
    from where they were started.

    Args:
        placement: Names the cluster.
        folder: Holds the token of a Ray of one's own.
        environment: This process's.
        variables: Names of variables that the stage needs although they hold secrets.
    """
    needed = {
        name: value
        for name, value in environment.items()
        if name.startswith(SERVICES) or name in variables
    }
    own = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token_file(folder)),
        "RAY_TMPDIR": str(folder),
        # Ray would kill a node's actor for what its stage takes, and nobody would name memory. The
        # kernel kills a rank, whose end is explained (`infra.killed`).
        "RAY_memory_monitor_refresh_ms": "0",
        # By default 15: a stage of days would have what all other work leaves.
        "RAY_worker_niceness": "0",
    }
    host = LOOPBACK if placement.address is None else placement.address.rpartition(":")[0]
    # Else Ray takes the machine's address in the network for 127.0.0.1.
    loopback = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"} if host == LOOPBACK else {}
    return {
        **without_secret_variables(environment),
        **needed,
        **loopback,
        **(own if placement.address is None else {}),
        "RAY_USAGE_STATS_ENABLED": "0",
        "PYTHONUNBUFFERED": "1",
        "DO_NOT_TRACK": "1",
    }
