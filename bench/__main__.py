"""`make bench`: every comparison in one run, as a table with the machine's description.

`python -m bench [--only rl sampling ...] [--rounds 3] [--output FILE]`.
Every figure is a ratio within this run: run it on a machine that does nothing else.
"""

import argparse
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from datasets import disable_progress_bars

from bench import (
    curation,
    gates,
    log_probs,
    nucleus,
    pictures,
    ranks,
    rl_step,
    sampling,
    sft,
    store,
    verification,
)
from bench.table import Row, machine, table
from training.records import Modality


def main() -> int:
    """Runs the comparisons and prints the table; exits with 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = ["rl", "log_probs", "nucleus", "verification", "sampling", "sft", "store", "gates"]
    names += ["curation", "ranks", "pictures"]
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--rounds", type=int, default=3, help="of ours and the peer's, alternating")
    parser.add_argument("--steps", type=int, default=4, help="RL steps a round")
    parser.add_argument("--tokens", type=int, default=8192, help="tokens of the log-probs")
    parser.add_argument("--datatrove", type=Path, help="a Python that has it, for curation")
    parser.add_argument("--output", type=Path, help="also write the table there")
    options = parser.parse_args()
    disable_progress_bars()

    def rl() -> list[Row]:
        rows: list[Row] = []
        for modality in ("text", "multimodal"):
            rows += rl_step.compare(
                modality, num_rounds=options.rounds, steps_per_round=options.steps, vllm=True
            )
            rows.append(rl_step.selection_saving(modality))
        return rows

    def two_ranks() -> list[Row]:
        modalities: tuple[Modality, ...] = ("text", "multimodal")
        return [
            ranks.compare(one, num_rounds=options.rounds, steps_per_round=options.steps)
            for one in modalities
        ]

    benchmarks: dict[str, Callable[[], list[Row]]] = {
        "rl": rl,
        "log_probs": lambda: log_probs.compare(options.tokens, options.rounds),
        "nucleus": lambda: nucleus.compare(options.rounds),
        "verification": lambda: verification.compare(options.rounds),
        "sampling": lambda: sampling.compare(options.rounds),
        "sft": lambda: sft.compare(options.rounds),
        "store": lambda: store.compare(options.rounds),
        "gates": lambda: gates.compare(options.rounds),
        "curation": lambda: curation.compare(options.rounds, options.datatrove),
        "ranks": two_ranks,
        "pictures": lambda: pictures.compare(options.rounds),
    }
    rows: list[Row] = []
    for name in options.only:
        rows += benchmarks[name]()
        print(rows[-1:], file=sys.stderr, flush=True)  # a sign of life: the whole takes minutes
    text = f"{datetime.now(UTC):%Y-%m-%d}, {machine()}\n\n{table(rows)}\n"
    print(text)
    if options.output:
        options.output.write_text(text, encoding="utf-8")
    return int(any(row.verdict.startswith("missed") for row in rows))


if __name__ == "__main__":
    sys.exit(main())
