"""Prints the digests of a run's weights: `python -m drills.compose.weights RUN`."""

import json
import sys

from contracts.artifact import Artifact
from infra.settings import load_settings
from infra.store import Store
from tasks.lineage import find_artifact


def weights(store: Store, run: str) -> dict[str, str]:
    """SHA-256 of each training stage's weights, by the stage's name."""
    record = json.loads((store.fetch(find_artifact(store, run)) / "run.json").read_text())
    return {
        stage["name"]: file.sha256
        for stage in record["stages"]
        for file in store.manifest(Artifact(**stage["artifact"])).files
        if file.path == "model/model.safetensors"
    }


if __name__ == "__main__":
    print(json.dumps(weights(load_settings().store(), sys.argv[1])))
