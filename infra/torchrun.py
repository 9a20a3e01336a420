"""torchrun with a rendezvous that listens on the loopback address only.

`torchrun --standalone` opens its store on every network interface, so that anybody on the network
may write into it. One machine needs no such thing: here the agent binds the socket itself and hands
it to the store. Everything else is torch's own launcher:

    python -m infra.torchrun --nproc-per-node 2 -m training.stage JOB.json
"""

import socket
import sys
from datetime import timedelta

from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.elastic.rendezvous import (
    RendezvousHandler,
    RendezvousInfo,
    RendezvousParameters,
    RendezvousStoreInfo,
    rendezvous_handler_registry,
)
from torch.distributed.run import main as torchrun

LOOPBACK = "127.0.0.1"
TIMEOUT = timedelta(minutes=10)


class LoopbackRendezvous(RendezvousHandler):
    """The rendezvous of a single agent; its store serves the training processes too."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._listener = socket.create_server((LOOPBACK, 0))
        self._port = self._listener.getsockname()[1]
        self._store = TCPStore(
            LOOPBACK,
            self._port,
            is_master=True,
            timeout=TIMEOUT,
            wait_for_workers=False,
            # The store closes the descriptor that it is given, so it gets one of its own.
            master_listen_fd=self._listener.dup().detach(),
            use_libuv=True,
        )

    def get_backend(self) -> str:
        """The name under which torchrun selects this rendezvous."""
        return "loopback"

    @property
    def use_agent_store(self) -> bool:
        """True: the training processes join the agent's store instead of opening one more."""
        return True

    def next_rendezvous(self) -> RendezvousInfo:
        """Admits the only agent there is, as rank 0 of 1."""
        return RendezvousInfo(
            PrefixStore(self._run_id, self._store),
            rank=0,
            world_size=1,
            bootstrap_store_info=RendezvousStoreInfo(LOOPBACK, self._port),
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
        self._listener.close()
        return True


def _create(parameters: RendezvousParameters) -> RendezvousHandler:
    return LoopbackRendezvous(parameters.run_id)


def main(arguments: list[str]) -> int:
    """Runs torchrun's command line with the loopback rendezvous selected.

    Returns:
        0; or the exit code of the process that failed first, 128 + the signal that ended it; or
        128 + the signal that told us to stop, when the processes have ended on it.
    """
    rendezvous_handler_registry.register("loopback", _create)
    fixed = ["--nnodes=1", "--rdzv-backend=loopback", f"--rdzv-endpoint={LOOPBACK}"]
    try:
        torchrun([*fixed, *arguments])
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
