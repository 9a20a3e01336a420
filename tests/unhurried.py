"""A rule of a user's own that takes its time where several processes curate, and says at what."""

import os
import time

SHARD_SECONDS = 0.6
_seen = set[str]()


def rule(*, question, answer, solution, num_images, source, family, level) -> None:
    """Keeps every row; a source that this process has not seen before is another shard."""
    if source not in _seen and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        _seen.add(source)
        print(f"looks at {source}", flush=True)
        time.sleep(SHARD_SECONDS)
