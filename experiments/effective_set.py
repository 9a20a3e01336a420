"""The picture in docs/pad.md: what PAD may draw from, over one RL stage.

`python -m experiments.effective_set STAGE/metrics.jsonl [--output docs/effective-set.svg]`.
"""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

from infra.settings import PROJECT_ROOT

matplotlib.use("svg")
# The same bytes for the same run, and text that stays text.
matplotlib.rcParams |= {"svg.hashsalt": "revisual", "svg.fonttype": "none"}

CURVES = {
    "effective_fraction": "effective set, |E| / |B|",
    "zero_variance_fraction": "groups of equal rewards",
    "accuracy": "accuracy",
}


def main() -> int:
    """Draws the stage's curves."""
    from matplotlib import pyplot

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("metrics", type=Path)
    parser.add_argument("--output", type=Path, default=PROJECT_ROOT / "docs/effective-set.svg")
    options = parser.parse_args()
    steps = [json.loads(line) for line in options.metrics.read_text(encoding="utf-8").splitlines()]
    figure, axes = pyplot.subplots(figsize=(7, 3), layout="constrained")
    for key, name in CURVES.items():
        axes.plot([step["step"] for step in steps], [step[key] for step in steps], label=name)
    axes.set(xlabel="step", ylabel="share", ylim=(0, 1))
    axes.legend()
    figure.savefig(options.output, metadata={"Date": None})
    return 0


if __name__ == "__main__":
    sys.exit(main())
