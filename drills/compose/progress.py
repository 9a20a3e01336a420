"""Prints how far the newest stage came here, and what is stored of stages that are not finished."""

import json
import re

from infra.settings import Settings, load_settings


def progress(settings: Settings) -> dict[str, int]:
    """The last step that is done, and the last one in the store; 0 if there is none."""
    found = settings.home.glob("work/*/*/output/metrics.jsonl")
    newest = max(found, key=lambda path: path.stat().st_mtime, default=None)
    lines = newest.read_text().splitlines() if newest is not None else []
    done = [json.loads(line).get("step", 0) for line in lines]
    entries = " ".join(settings.store().backend.sizes("keys"))
    stored = [int(step) for step in re.findall(r"/step-(\d+)", entries)]
    return {"done": max(done, default=0), "stored": max(stored, default=0)}


if __name__ == "__main__":
    print(json.dumps(progress(load_settings())))
