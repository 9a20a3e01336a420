"""The table in docs/answers.md: our verifier beside math-verify alone, on the corpus.

`python -m experiments.answers [--seed 0] [--output docs/answers.md]`.
"""

import argparse
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from bench.verification import plain_rate
from experiments.answers import math_verify_alone
from experiments.answers.corpus import Case, corpus, errors
from infra.settings import PROJECT_ROOT
from training.answers import Verifier

_BEGIN, _END = "<!-- the corpus: begin -->", "<!-- the corpus: end -->"


def main() -> int:
    """Judges the corpus and writes the table; exits with 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=PROJECT_ROOT / "docs/answers.md")
    options = parser.parse_args()
    cases = corpus(options.seed)
    responses, references = [one.response for one in cases], [one.reference for one in cases]
    questions = [one.question for one in cases]
    with Verifier() as verifier:
        ours = [outcome == "right" for outcome in verifier.verify(responses, references, questions)]
    theirs = math_verify_alone.rewarded(list(zip(responses, references, strict=True)))
    table = f"{_table(cases, ours, theirs)}\n\n{_speed()}"
    before, _, rest = options.output.read_text(encoding="utf-8").partition(_BEGIN)
    after = rest.partition(_END)[2]
    options.output.write_text(f"{before}{_BEGIN}\n\n{table}\n\n{_END}{after}", encoding="utf-8")
    print(table)
    false_positives = sum(paid and not case.right for case, paid in zip(cases, ours, strict=True))
    false_negatives = sum(case.right and not paid for case, paid in zip(cases, ours, strict=True))
    num_right = sum(case.right for case in cases)
    return int(false_positives > 0 or false_negatives > 0.01 * num_right)


def _table(cases: Sequence[Case], ours: Sequence[bool], theirs: Sequence[bool]) -> str:
    lines = [
        "| class | truth | pairs | ours: judged wrongly | math-verify alone |",
        "|---|---|---|---|---|",
    ]
    for right in (True, False):
        chosen = [i for i, case in enumerate(cases) if case.right is right]
        subset = [cases[i] for i in chosen]
        by_us, by_them = (errors(subset, [each[i] for i in chosen]) for each in (ours, theirs))
        truth = "right" if right else "wrong"
        for kind, (total, missed) in by_us.items():
            lines.append(f"| {kind} | {truth} | {total} | {missed} | {by_them[kind][1]} |")
        name = "false negatives" if right else "false positives"
        sums = [sum(missed for _, missed in each.values()) for each in (by_us, by_them)]
        shares = [f"**{each}** ({each / len(subset):.1%})" for each in sums]
        lines.append(f"| **all: {name}** | {truth} | {len(subset)} | {shares[0]} | {shares[1]} |")
    return "\n".join(lines)


def _speed() -> str:
    rate = round(median([plain_rate(number) for number in range(5)]), -2)
    return f"Plain answers on one core ({platform.machine()}): {rate:,.0f} decisions a second."


if __name__ == "__main__":
    sys.exit(main())
