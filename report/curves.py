"""The sections about training: the SFT loss and the RL curves, each with its table."""

import math
from collections.abc import Mapping, Sequence

from contracts.run_record import RunRecord
from report.blocks import Block, Figure, Prose, Section, Table
from report.evidence import Evidence, Metrics
from report.numbers import figure, percent, percent_tick
from report.svg import Series, line_chart

SFT_CURVES = (("loss", "Loss", "mean negative log-likelihood of a target token"),)
RL_CURVES = (
    ("reward", "Reward", "mean weighted reward of a response"),
    ("accuracy", "Accuracy", "share of sampled responses whose answer is right"),
    ("response_length_tokens", "Response length", "mean tokens of a response"),
    ("entropy", "Entropy", "mean entropy of the policy per token, in nats"),
    ("effective_fraction", "PAD effective set", "|E| / |B|, sequences that PAD may draw"),
    ("zero_variance_fraction", "Zero-variance groups", "share of groups with equal rewards"),
)
# Only where a stage holds problems out; a point every few steps.
VALIDATION_CURVE = (
    "validation_accuracy",
    "Validation accuracy",
    "share of the held-out problems that are answered right",
)
FRACTIONS = {"accuracy", "validation_accuracy", "effective_fraction", "zero_variance_fraction"}


def training_curves(run: RunRecord, evidence: Evidence) -> tuple[Section, ...]:
    """One section for supervised fine-tuning and one for reinforcement learning."""
    kinds = {stage.name: stage.kind for stage in run.stages}
    sections = []
    for kind, title, curves in (
        ("sft", "Cold start", SFT_CURVES),
        ("rl", "Reinforcement learning", RL_CURVES),
    ):
        stages = {
            name: steps for name, steps in evidence.metrics.items() if kinds.get(name) == kind
        }
        blocks: list[Block] = []
        is_validated = any(VALIDATION_CURVE[0] in step for all_ in stages.values() for step in all_)
        shown = (*curves, VALIDATION_CURVE) if is_validated else curves
        for key, name, meaning in shown:
            blocks += curve(stages, key, name, meaning) if stages else []
        if not stages:
            blocks = [Prose("No stage of this kind logged any step.", "bad")]
        else:
            blocks.append(_steps_table(stages, [(key, name) for key, name, _ in shown]))
            blocks += _selection(stages) if kind == "rl" else []
        sections.append(Section(title, kind, tuple(blocks)))
    return tuple(sections)


def curve(
    logged: Mapping[str, Metrics],
    key: str,
    name: str,
    meaning: str,
    places: Mapping[str, int] | None = None,
) -> list[Block]:
    """One picture of a figure over the steps, a line for each of those that logged it.

    Args:
        logged: Their steps.
        key: The figure.
        name: Its name.
        meaning: What it is.
        places: Whose colour is whose, where other pictures show others of them.
    """
    series = [
        Series(stage, _points(steps, key), places[stage] if places else None)
        for stage, steps in logged.items()
        if any(key in step for step in steps)
    ]
    if not series:
        return [Prose(f"{name}: no stage logged `{key}`.", "bad")]
    title = f"{name}: {meaning}"
    description = "; ".join(
        f"{line.name} goes from {figure(line.points[0][1])} to {figure(line.points[-1][1])} "
        f"in {len(line.points)} steps"
        for line in series
    )
    svg = line_chart(
        title,
        description,
        series,
        x_name="step",
        write=percent_tick if key in FRACTIONS else "{:.6g}".format,
        y_range=(0.0, 1.0) if key in FRACTIONS else None,
        first_colour=1,
    )
    return [Figure(title, description, svg, wide=False)]


def _points(steps: Metrics, key: str) -> tuple[tuple[float, float], ...]:
    """One point for each step that was measured; a line joins those of a validation."""
    points = tuple((step["step"], step.get(key, math.nan)) for step in steps)
    if key == VALIDATION_CURVE[0]:
        return tuple(point for point in points if math.isfinite(point[1]))
    return points


def _steps_table(stages: dict[str, Metrics], curves: Sequence[tuple[str, str]]) -> Table:
    rows = []
    for stage, steps in stages.items():
        for key, name in curves:
            values = [step.get(key, math.nan) for step in steps]
            finite = [value for value in values if math.isfinite(value)]
            fifth = max(1, len(finite) // 5)
            cells = (
                _mean(finite[:fifth]),
                _mean(finite[-fifth:]),
                min(finite, default=None),
                max(finite, default=None),
            )
            num_gaps = len(values) - len(finite)
            rows.append((stage, name, str(len(values)), *map(figure, cells), str(num_gaps)))
    columns = (
        "stage",
        "curve",
        "steps",
        "first fifth",
        "last fifth",
        "least",
        "most",
        "no value",
    )
    return Table("The curves in numbers (means over fifths)", columns, "llrrrrrr", tuple(rows))


def _selection(stages: dict[str, Metrics]) -> list[Block]:
    """How often the selection had a choice, and what became of the updates."""
    rows = []
    for stage, steps in stages.items():
        draws, rounds, skipped, nonfinite = (
            _total(steps, key)
            for key in ("real_draw", "refill_rounds", "skipped_update", "nonfinite_updates")
        )
        rows.append(
            (
                stage,
                str(len(steps)),
                "–" if draws is None else percent(draws / len(steps)),
                figure(None if rounds is None else rounds / len(steps)),
                figure(skipped),
                figure(nonfinite),
            )
        )
    columns = (
        "stage",
        "steps",
        "with a real draw",
        "refill rounds a step",
        "without an update",
        "updates left out",
    )
    note = (
        "A draw is real if it leaves out something that it might have drawn; in any other step PAD "
        "trains on its whole effective set. Updates whose gradient is not finite are left out."
    )
    return [Table("Selection and updates", columns, "lrrrrr", tuple(rows)), Prose(note, "muted")]


def _total(steps: Metrics, key: str) -> float | None:
    values = [step[key] for step in steps if math.isfinite(step.get(key, math.nan))]
    return sum(values) if values else None


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
