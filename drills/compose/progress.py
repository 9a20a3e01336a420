"""Prints how far the newest training came here, and what is stored of those not finished."""

import json
import re
from contextlib import suppress
from pathlib import Path

from infra.settings import Settings, load_settings


def progress(settings: Settings) -> dict[str, int]:
    """The last step that is done, and the last one in the store; 0 if there is none."""
    trained = [(0.0, [0])]
    for path in settings.home.glob("work/*/*/output/metrics.jsonl"):
        with suppress(FileNotFoundError):  # its stage has just ended
            trained.append((path.stat().st_mtime, _trained(path)))
    _, done = max(one for one in trained if one[1])
    entries = " ".join(settings.store().backend.sizes("keys"))
    stored = [int(step) for step in re.findall(r"/step-(\d+)", entries)]
    return {"done": max(done), "stored": max(stored, default=0)}


def _trained(metrics: Path) -> list[int]:
    """The steps of a training; a curation's and an evaluation's are no steps of the store."""
    whole, _, _ = metrics.read_text().rpartition("\n")  # it is being written
    lines = map(json.loads, whole.splitlines())
    return [line["step"] for line in lines if "loss" in line]


if __name__ == "__main__":
    print(json.dumps(progress(load_settings())))
