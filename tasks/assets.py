"""A run's artifacts as Prefect assets: events with an address, what it was made from, and digests.

The key of an asset is the artifact's address in the store. What a stage makes is materialized; what
it finds in the store, made by an earlier run, is referenced, with the same lineage. The events are
those that `prefect.assets.materialize` emits: its keys must be known before a task starts, and an
artifact's address is known when it ends.
"""

from prefect.events import emit_event

from contracts.artifact import Artifact
from contracts.job import PART, REPLIES
from infra.store import Store

MATERIALIZED = "prefect.asset.materialization.succeeded"
REFERENCED = "prefect.asset.referenced"


def emit_asset(store: Store, artifact: Artifact, *, reused: bool) -> None:
    """Tells the Prefect server of an artifact, in the background.

    Args:
        store: Holds its manifest.
        artifact: What was made or found.
        reused: Whether it was found.

    Raises:
        StoreError: Its manifest cannot be read.
    """
    manifest = store.manifest(artifact)
    made = manifest.producer
    emit_event(
        event=REFERENCED if reused else MATERIALIZED,
        resource={
            "prefect.resource.id": artifact.uri,
            "prefect.resource.name": f"{made['run']}/{made['stage']}",
        },
        related=[
            {"prefect.resource.id": source.uri, "prefect.resource.role": "asset"}
            for name, source in manifest.inputs.items()
            if not name.startswith((PART, REPLIES))  # an evaluation's own, dozens of them
        ],
        payload={
            "kind": artifact.kind,
            "sha256": artifact.sha256,
            "recipe_digest": manifest.recipe_digest,
            "producer": made,
            "inputs": {name: source.model_dump() for name, source in manifest.inputs.items()},
        },
    )
