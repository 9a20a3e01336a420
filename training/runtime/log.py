"""What a stage says of itself: its standard output is its log."""

import os
import sys


def say(text: str) -> None:
    """Writes one line to the log, at once; of all processes the first one alone speaks."""
    if os.environ.get("RANK", "0") == "0":  # torchrun's; nobody has to load torch to speak
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
