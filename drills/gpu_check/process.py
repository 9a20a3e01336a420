"""One process of a measurement: `python -m drills.gpu_check.process ASKED`, also under torchrun."""

import importlib
import json
import os
import sys
from pathlib import Path

from drills.gpu_check.outcome import Failed, Skipped


def main() -> None:
    """Calls the function that is asked for; rank 0 writes down what it returned."""
    name, arguments, answer = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    module, _, function = name.partition(":")
    try:
        figures = getattr(importlib.import_module(module), function)(**arguments)
        said = {"status": "passed", "figures": figures}
    except Skipped as notice:
        said = {"status": "skipped", "reason": str(notice)}
    except Failed as error:
        said = {
            "status": "failed",
            "reason": str(error),
            "figures": error.figures,
            "log": error.log,
        }
    if os.environ.get("RANK", "0") == "0":
        Path(answer).write_text(json.dumps(said), encoding="utf-8")


if __name__ == "__main__":
    main()
