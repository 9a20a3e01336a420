"""Whether all machines of a stage share the run's store: each reads what another has written."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace

from contracts.errors import PreflightError, RevisualError
from infra.settings import Settings, load_settings
from infra.store import Store


def require_one_store(
    store: Store, nodes: Sequence[str], probe: Callable[[str], list[str]]
) -> None:
    """Proves, by files that are written and read, that all nodes share a store with the run.

    Args:
        store: The run's.
        nodes: What the nodes are called.
        probe: Has every node do its part (`reached_from_here`), under a name.

    Raises:
        PreflightError: A node reads or writes something else.
        StoreError: The run itself cannot use its store.
    """
    name = f"probes/{uuid.uuid4().hex}"
    try:
        store.backend.create(f"{name}/driver", name.encode())
        answers = zip(nodes, probe(name), strict=True)
        for number, (node, answer) in enumerate(answers):
            arrived = store.backend.read(f"{name}/node-{number}") == name.encode()
            wrong = answer or ("" if arrived else "what it writes does not arrive")
            if wrong:
                raise PreflightError(
                    f"Node {number}, {node}, does not share the run's store: {wrong}",
                    where=f"environment variable REVISUAL_STORE={store.root}",
                    rule="a stage's nodes read its inputs from the store, and save into it",
                    fix="use a bucket (s3://...), for which every node's environment has AWS_* as "
                    "the run has it, or a folder that all nodes mount at the same path",
                )
    finally:
        store.backend.remove(name)


def reached_store(settings: Settings, name: str, node: int) -> str:
    """Proves that this machine reads what the driver writes, and writes what the driver reads.

    Args:
        settings: This machine's, with the run's store.
        name: Prefix of the probe, in the store.
        node: This node's number.

    Returns:
        Nothing, or what is wrong.
    """
    try:
        store = settings.store()
        found = store.backend.read(f"{name}/driver")
        if found != name.encode():
            return "it does not hold the file that the run has just written"
        store.backend.create(f"{name}/node-{node}", name.encode())
    except (RevisualError, OSError) as error:
        return str(error)
    return ""


def reached_from_here(store: str, name: str, node: int) -> str:
    """As `reached_store`, with this machine's settings, which may be wrong themselves."""
    try:
        settings = node_settings(store)
    except RevisualError as error:
        return str(error)
    return reached_store(settings, name, node)


def node_settings(store: str) -> Settings:
    """This machine's settings, but for the store, which is the run's.

    Raises:
        SettingsError: A variable of its environment holds something else than it should.
    """
    return replace(load_settings(), store_uri=store)
