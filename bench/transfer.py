"""One upload or download of an artifact, in a process of its own, which prints what it took.

`python -m bench.transfer up STORE CACHE FOLDER`, then `... down ARTIFACT CACHE FOLDER`. The
seconds hold hashing, the manifest and verification; the memory is the peak above what the process
held before, with the store open.
"""

import json
import sys
from pathlib import Path
from time import perf_counter

import psutil

from bench.memory import peak_bytes
from contracts.provenance import Provenance
from infra.preflight import check_store
from infra.store import Store


def main() -> int:
    """Prints seconds, extra memory (MB) and the artifact's address, as JSON."""
    direction, uri, cache, folder = sys.argv[1:]
    root = uri if direction == "up" else uri.partition("/artifacts/")[0]
    store = Store(root, Path(cache))
    check_store(store)
    artifact = None if direction == "up" else store.at(uri)
    before_bytes = psutil.Process().memory_info().rss
    start = perf_counter()
    if artifact is None:
        artifact = store.publish(
            Path(folder), "model", Provenance(producer={}, recipe_digest="0" * 64)
        )
    else:
        store.copy(artifact, Path(folder))
    seconds = perf_counter() - start
    values = {"seconds": seconds, "extra_mb": (peak_bytes() - before_bytes) / 1e6}
    print(json.dumps(values | {"uri": artifact.uri}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
