"""A stage's nodes on Ray: the only module that imports it, run in a process of its own.

    python -m infra.cluster.on_ray TASK.json FOLDER
    python -m infra.cluster.on_ray --check PROBLEM.json PLACEMENT.json FOLDER

The first makes a stage; the second looks whether one could be made, and leaves the reason why not.
A Ray of one's own keeps its files in FOLDER, whose name must be short: sockets are among them.

Ray holds the nodes by a placement group, one actor on each, and carries what driver and nodes say
to one another. Nothing else of it is used: its own logs, retries and restarts stay off. The process
is under the supervisor like a stage's: a Ray that it starts ends with it, and so do, on a cluster,
its actors, whose ends are their processes'.
"""

import argparse
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Timer
from types import FrameType
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group
from ray.util.scheduling_strategies import (
    NodeAffinitySchedulingStrategy,
    PlacementGroupSchedulingStrategy,
)

from contracts.errors import PreflightError, RevisualError
from contracts.graces import stage_grace
from contracts.job import Outcome
from contracts.secrets import mask_logs_and_tracebacks
from infra.cluster.driver import REFUSED_CODE, Driver, NodeLost, say
from infra.cluster.node import Node
from infra.cluster.reach import node_settings, reached_from_here, require_one_store
from infra.cluster.records import End, NodesTask, Placement

LOOPBACK = "127.0.0.1"
REACHED_WITHIN_SECONDS = 5.0
CONNECTED_WITHIN_SECONDS = 60.0
# A node answers at once, but for what it fetches first; a busy machine takes its time.
ANSWERED_WITHIN_SECONDS = 60.0
LOOKED_AT_SECONDS = 1.0
OBJECT_STORE_BYTES = 100 * 2**20  # pieces of files pass through it, one at a time
Leave = Callable[[RevisualError], None]


def ray_options(placement: Placement, folder: Path) -> dict[str, Any]:
    """How `ray.init` is called: to join a cluster, or to start a Ray on the loopback address.

    Args:
        placement: What is asked of it.
        folder: For the files of a Ray of one's own.
    """
    quiet = {"log_to_driver": False, "configure_logging": False, "logging_level": "ERROR"}
    if placement.address is not None:
        return {"address": placement.address, **quiet}
    return {
        "address": "local",
        "num_cpus": placement.cpus,
        # Else as many as Ray finds.
        "num_gpus": placement.gpus if placement.needs_gpus else None,
        "include_dashboard": False,
        "object_store_memory": OBJECT_STORE_BYTES,
        "_node_ip_address": LOOPBACK,
        "_temp_dir": str(folder),
        **quiet,
    }


@contextmanager
def connected(placement: Placement, folder: Path, leave: Leave) -> Iterator[None]:
    """Has this process joined the cluster, or a Ray of its own, which ends in the end.

    Args:
        placement: Names the cluster.
        folder: See `ray_options`.
        leave: Told why, where Ray does not come back at all: this process then ends.

    Raises:
        PreflightError: Nobody answers at the address, or it is no Ray that lets us in.
    """
    if placement.address is not None:
        require_listening(placement)

    def give_up() -> None:
        leave(unreachable(placement, f"no answer within {CONNECTED_WITHIN_SECONDS:.0f} s"))
        os._exit(REFUSED_CODE)

    # Ray waits for minutes, in code that no signal ends.
    impatience = Timer(CONNECTED_WITHIN_SECONDS, give_up)
    impatience.daemon = True
    impatience.start()
    try:
        ray.init(**ray_options(placement, folder))
    except (ConnectionError, RuntimeError, ValueError, RayError) as error:
        raise unreachable(placement, str(error)) from error
    finally:
        impatience.cancel()
    try:
        yield
    finally:
        ray.shutdown()


def require_listening(placement: Placement) -> None:
    """Connects to a cluster's address, which Ray itself would try for two minutes.

    Raises:
        PreflightError: Nobody answers.
    """
    host, _, port = (placement.address or "").rpartition(":")
    try:
        socket.create_connection((host, int(port)), REACHED_WITHIN_SECONDS).close()
    except OSError as error:
        raise unreachable(placement, str(error)) from error


def unreachable(placement: Placement, why: str) -> PreflightError:
    """What is said of a cluster that cannot be joined."""
    return PreflightError(
        f"The Ray cluster {placement.address} cannot be joined: {' '.join(why.split())}",
        where=f"{placement.field}.address = {placement.address}",
        rule="a cluster's head answers there, and this machine is one of its nodes",
        fix="start Ray here with `ray start --address`, with the cluster's token in "
        "RAY_AUTH_TOKEN_PATH if it has one (docs/placement.md)",
    )


@contextmanager
def placed(placement: Placement) -> Iterator[PlacementGroup]:
    """Holds the nodes: the wanted number of different ones, each with what a stage takes of it.

    Raises:
        PreflightError: The cluster has not so many within the time.
    """
    group = placement_group([bundle(placement)] * placement.nodes, strategy="STRICT_SPREAD")
    try:
        deadline = time.monotonic() + placement.timeout_seconds
        while not group.wait(timeout_seconds=LOOKED_AT_SECONDS):
            if time.monotonic() > deadline:
                raise too_few(placement, len(fitting(placement)))
        yield group
    finally:
        with suppress(RayError):  # it ends with this process's job in any case
            remove_placement_group(group)


def bundle(placement: Placement) -> dict[str, float]:
    """What Ray sets aside of each node."""
    wanted = {"CPU": float(placement.cpus), "GPU": float(placement.gpus)}
    return {name: amount for name, amount in wanted.items() if amount}


def fitting(placement: Placement) -> list[Mapping[str, Any]]:
    """The cluster's living nodes that are large enough, in use or not."""
    return [
        node
        for node in ray.nodes()
        if node["Alive"]
        and all(
            node["Resources"].get(name, 0.0) >= amount for name, amount in bundle(placement).items()
        )
    ]


def settled(placement: Placement) -> Placement:
    """A placement with GPUs if it needs them, or the cluster has enough nodes with them."""
    if placement.needs_gpus or len(fitting(placement)) >= placement.nodes:
        return placement
    return placement.model_copy(update={"gpus": 0})


def too_few(placement: Placement, num_found: int) -> PreflightError:
    """What is said when a cluster lacks nodes, or those that it has are in use for too long."""
    which = "in use" if num_found >= placement.nodes else "too few"
    return PreflightError(
        f"The Ray cluster has {num_found} node(s) with {placement.cpus} CPUs and "
        f"{placement.gpus} GPUs, which are {which}.",
        where=f"{placement.field}.nodes = {placement.nodes}",
        rule="each node of a stage is a machine of its own, with num_processes x "
        "threads_per_process CPUs, and num_processes GPUs if the recipe computes in bfloat16",
        fix="add nodes, lower hardware.nodes, num_processes or threads_per_process, or raise "
        "hardware.placement_timeout_minutes",
    )


class RayNode(Node):
    """A node as an actor."""

    def address(self) -> str:
        """Of this machine, as Ray knows it."""
        return str(ray.util.get_node_ip_address())


class RayNodes:
    """The nodes that a placement group holds; see `infra.cluster.driver.Nodes`."""

    def __init__(self, group: PlacementGroup, task: NodesTask) -> None:
        placement, actor = task.placement, ray.remote(RayNode)
        self._actors = [
            actor.options(
                num_cpus=placement.cpus,
                num_gpus=placement.gpus,
                max_restarts=0,
                max_task_retries=0,
                scheduling_strategy=PlacementGroupSchedulingStrategy(group, number),
            ).remote(number, task.model_dump_json())
            for number in range(placement.nodes)
        ]
        ended_seconds = stage_grace(task.grace_seconds).ended_seconds
        self._closed_within_seconds = ended_seconds + ANSWERED_WITHIN_SECONDS
        self.addresses: list[str] = self.ask_all("address")

    def __len__(self) -> int:
        return len(self._actors)

    def ask(self, node: int, method: str, *arguments: object) -> Any:  # noqa: ANN401 - any method's
        """See `Nodes.ask`."""
        try:
            answer = getattr(self._actors[node], method).remote(*arguments)
            return ray.get(answer, timeout=ANSWERED_WITHIN_SECONDS)
        except RayError as error:
            raise NodeLost(_first_lines(error)) from error

    def ask_all(self, method: str, *arguments: object) -> list[Any]:
        """See `Nodes.ask_all`."""
        answers = [getattr(actor, method).remote(*arguments) for actor in self._actors]
        waiting = answers
        try:
            while waiting:
                # In short waits: a signal is noticed between them.
                done, waiting = ray.wait(waiting, timeout=LOOKED_AT_SECONDS)
                ray.get(done)
            return list(ray.get(answers))
        except RayError as error:
            raise NodeLost(_first_lines(error)) from error

    def start(self) -> str:
        """See `Nodes.start`."""
        told = (self.ask(node, "start", address) for node, address in enumerate(self.addresses))
        return next(filter(None, told), "")

    def end(self) -> None:
        """Ends what still runs on the nodes that answer, and then the nodes."""
        with suppress(RayError):  # of a cluster that is gone: what went wrong before is told
            closed = [actor.close.remote() for actor in self._actors]
            ray.wait(closed, num_returns=len(closed), timeout=self._closed_within_seconds)
            for actor in self._actors:
                ray.kill(actor)


def _first_lines(error: Exception) -> str:
    """What Ray says of an error, without its pages of advice."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' / '.join(lines[:1] + lines[-2:])}"


class Notice:
    """SIGTERM: ends what waits for nodes at once, and is only noted while a stage runs."""

    def __init__(self) -> None:
        self.is_given, self.is_awaited = False, False
        signal.signal(signal.SIGTERM, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.is_given = True
        if not self.is_awaited:
            sys.exit(128 + number)


def make(task: NodesTask, folder: Path, leave: Leave) -> End:
    """Makes a stage on the nodes that it asks for; see `connected`.

    Raises:
        PreflightError: The cluster, its nodes or the store will not do.
        StoreError: The store cannot be reached from here.
    """
    with connected(task.placement, folder, leave):
        task = task.model_copy(update={"placement": settled(task.placement)})
        notice = Notice()  # Ray has put a handler of its own in place
        with placed(task.placement) as group:
            try:
                nodes = RayNodes(group, task)
                try:
                    store = node_settings(task.placement.store).store()
                    require_one_store(
                        store, nodes.addresses, lambda name: nodes.ask_all("probe", name)
                    )
                    notice.is_awaited = True
                    return Driver(task, nodes, store, lambda: notice.is_given).run()
                finally:
                    nodes.end()
            except NodeLost as error:
                say(str(error))
                return End(code=128 + signal.SIGKILL)


def check(placement: Placement, folder: Path, leave: Leave) -> None:
    """Proves, before a run starts, that a cluster has the nodes, and that they share the store.

    Whether they are free is not asked. See `connected`.

    Raises:
        PreflightError: It has not, or they do not.
        StoreError: The store cannot be reached from here.
    """
    with connected(placement, folder, leave):
        placement = settled(placement)
        nodes = fitting(placement)[: placement.nodes]
        if len(nodes) < placement.nodes:
            raise too_few(placement, len(nodes))
        reach = ray.remote(reached_from_here)

        def probe(name: str) -> list[str]:
            answers = [
                reach.options(
                    num_cpus=0,
                    max_retries=0,
                    scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
                ).remote(placement.store, name, number)
                for number, node in enumerate(nodes)
            ]
            try:
                return list(ray.get(answers, timeout=ANSWERED_WITHIN_SECONDS))
            except RayError as error:
                raise unreachable(placement, _first_lines(error)) from error

        store = node_settings(placement.store).store()
        require_one_store(store, [str(node["NodeManagerAddress"]) for node in nodes], probe)


def main(arguments: list[str]) -> int:
    """Makes the stage, or checks a placement.

    Returns:
        As a stage's supervisor: 0; 2 if a rule is broken; 75 or 143 if it was told to stop; 128 and
        the number of the signal that killed a process or a node.
    """
    mask_logs_and_tracebacks()
    parser = argparse.ArgumentParser(prog="infra.cluster.on_ray")
    parser.add_argument("--check", type=Path, metavar="PROBLEM.json")
    parser.add_argument("asked", type=Path)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(arguments)
    text = options.asked.read_text(encoding="utf-8")
    if options.check is not None:
        return _checked(Placement.model_validate_json(text), options.folder, options.check)
    return _made(NodesTask.model_validate_json(text), options.folder)


def _checked(placement: Placement, folder: Path, problem: Path) -> int:
    def leave(error: RevisualError) -> None:
        problem.write_text(json.dumps(vars(error)), encoding="utf-8")

    try:
        check(placement, folder, leave)
    except RevisualError as error:
        leave(error)
        return REFUSED_CODE
    return 0


def _made(task: NodesTask, folder: Path) -> int:
    def leave(error: RevisualError) -> None:
        message = f"{type(error).__name__}: {error}"
        say(message)
        _write(Outcome(status="refused", message=message), task.job.outcome)

    try:
        end = make(task, folder, leave)
    except RevisualError as error:
        leave(error)
        return REFUSED_CODE
    if end.outcome is not None:
        _write(end.outcome, task.job.outcome)
    return end.code


def _write(outcome: Outcome, path: Path) -> None:
    path.write_text(outcome.model_dump_json(), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
