"""torchrun with a rendezvous that listens on one address only.

`torchrun --standalone` opens its store on every network interface, so that anybody on the network
may write into it, and its rendezvous of several nodes numbers them as they come. Here the first
node's agent binds the socket itself, and hands it to the store; every agent knows its number.
Everything else is torch's own launcher:

    python -m infra.torchrun --nproc-per-node 2 -m training.stage JOB.json

    python -m infra.torchrun --nodes 2 --node 0 --address 10.0.0.5 --meet FILE --nproc-per-node ...
    python -m infra.torchrun --nodes 2 --node 1 --address 10.0.0.6 --meet FILE --nproc-per-node ...

One node needs nothing but the loopback address. Of several, the first writes where it listens into
its file, and the others wait until somebody has written that into theirs.
"""

import argparse
import socket
import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.elastic.rendezvous import (
    RendezvousHandler,
    RendezvousInfo,
    RendezvousParameters,
    RendezvousStoreInfo,
    RendezvousTimeoutError,
    rendezvous_handler_registry,
)
from torch.distributed.run import main as torchrun

LOOPBACK = "127.0.0.1"
TIMEOUT = timedelta(minutes=10)
POLL_SECONDS = 0.05
BACKEND = "numbered"  # as torchrun's command line knows it


@dataclass(frozen=True)
class Seat:
    """An agent's place among those of all nodes.

    Attributes:
        node: Its number; the first one's store serves all.
        nodes: How many there are.
        address: Of its machine, where the first one listens.
        meet: File in which the first one's address and port stand, `host:port`; None alone.
    """

    node: int = 0
    nodes: int = 1
    address: str = LOOPBACK
    meet: Path | None = None


class NumberedRendezvous(RendezvousHandler):
    """The rendezvous of agents that know their numbers; its store serves the processes, too."""

    def __init__(self, run_id: str, seat: Seat) -> None:
        self._run_id, self._seat = run_id, seat
        self._listener: socket.socket | None = None
        if seat.node == 0:
            self._listener = socket.create_server((seat.address, 0))
            self._host, self._port = seat.address, int(self._listener.getsockname()[1])
        else:
            self._host, self._port = _awaited(seat)
        self._store = TCPStore(
            self._host,
            self._port,
            is_master=self._listener is not None,
            timeout=TIMEOUT,
            wait_for_workers=False,
            # The store closes the descriptor that it is given, so it gets one of its own.
            master_listen_fd=self._listener.dup().detach() if self._listener else None,
            use_libuv=True,
        )
        if self._listener is not None and seat.meet is not None:
            _write(seat.meet, f"{self._host}:{self._port}")

    def get_backend(self) -> str:
        """The name under which torchrun selects this rendezvous."""
        return BACKEND

    @property
    def use_agent_store(self) -> bool:
        """True: the training processes join the agent's store instead of opening one more."""
        return True

    def next_rendezvous(self) -> RendezvousInfo:
        """Admits this agent under its number."""
        return RendezvousInfo(
            PrefixStore(self._run_id, self._store),
            rank=self._seat.node,
            world_size=self._seat.nodes,
            bootstrap_store_info=RendezvousStoreInfo(self._host, self._port),
        )

    def is_closed(self) -> bool:
        """Never closed: it lives as long as the agent."""
        return False

    def set_closed(self) -> None:
        """Nothing to do: no other agent could join."""

    def num_nodes_waiting(self) -> int:
        """No other agent ever waits."""
        return 0

    def get_run_id(self) -> str:
        """The id that torchrun gave this launch."""
        return self._run_id

    def shutdown(self) -> bool:
        """Releases the listening socket."""
        if self._listener is not None:
            self._listener.close()
        return True


def _write(path: Path, text: str) -> None:
    """Under another name first: whoever finds the file finds all of it."""
    partial = path.with_name(f".{path.name}")
    partial.write_text(text, encoding="utf-8")
    partial.rename(path)


def _awaited(seat: Seat) -> tuple[str, int]:
    """Where the first node listens.

    Raises:
        RendezvousTimeoutError: Nobody has said it in time.
    """
    assert seat.meet is not None
    deadline = time.monotonic() + TIMEOUT.total_seconds()
    while not seat.meet.is_file():
        if time.monotonic() > deadline:
            raise RendezvousTimeoutError(f"nobody wrote where the first node is into {seat.meet}")
        time.sleep(POLL_SECONDS)
    host, _, port = seat.meet.read_text(encoding="utf-8").rpartition(":")
    return host, int(port)


def _parse(arguments: list[str]) -> tuple[Seat, list[str]]:
    """This agent's place, and what is left for torchrun."""
    parser = argparse.ArgumentParser(prog="infra.torchrun", description=__doc__, allow_abbrev=False)
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--node", type=int, default=0)
    parser.add_argument("--address", default=LOOPBACK)
    parser.add_argument("--meet", type=Path)
    own, rest = parser.parse_known_args(arguments)
    return Seat(own.node, own.nodes, own.address, own.meet), rest


def main(arguments: list[str]) -> int:
    """Runs torchrun's command line with our rendezvous selected.

    Returns:
        0; or the exit code of the process that failed first, 128 + the signal that ended it; or
        128 + the signal that told us to stop, when the processes have ended on it.
    """
    seat, rest = _parse(arguments)

    def create(parameters: RendezvousParameters) -> RendezvousHandler:
        return NumberedRendezvous(parameters.run_id, seat)

    rendezvous_handler_registry.register(BACKEND, create)
    fixed = [f"--nnodes={seat.nodes}", f"--rdzv-backend={BACKEND}", f"--rdzv-endpoint={LOOPBACK}"]
    try:
        torchrun([*fixed, *rest])
    except ChildFailedError as error:
        # The failed process has printed its own traceback; torchrun's would bury it.
        rank, failure = error.get_first_failure()
        code = failure.exitcode if failure.exitcode >= 0 else 128 - failure.exitcode
        sys.stderr.write(f"rank {rank} failed first, with exit code {code}\n")
        return code
    except SignalException as stop:
        return 128 + stop.sigval.value
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
