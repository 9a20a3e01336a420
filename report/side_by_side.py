"""What several runs have in common, side by side: accuracies by part, training curves, gates."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from contracts.run_record import RunRecord
from contracts.scores import Score
from report.blocks import Block, Cell, Prose, Section, Table
from report.curves import RL_CURVES, SFT_CURVES, curve
from report.evidence import Evidence
from report.numbers import starred
from report.provenance import TONES
from report.results import level_order, split_table

CURVES = {"sft": SFT_CURVES, "rl": RL_CURVES}
SPLITS = {"level": "by_level", "family": "by_family", "part": "by_part"}


def breakdown(finals: Mapping[str, Mapping[str, Score]]) -> Section:
    """Accuracies by level, family and part, folded.

    Args:
        finals: By benchmark and run, the score of the run's final policy.
    """
    blocks: list[Block] = []
    for benchmark, scores in finals.items():
        for name, field in SPLITS.items():
            splits = {starred(run, one): getattr(one, field) for run, one in scores.items()}
            keys = sorted({key for split in splits.values() for key in split}, key=level_order)
            if keys:
                caption = f"{benchmark} by {name}: final policies"
                blocks.append(replace(split_table(caption, name, keys, splits), folded=True))
    blocks = blocks or [Prose("No score says how it splits.", "muted")]
    return Section("By level, family and part", "breakdown", tuple(blocks))


def curves(runs: Mapping[str, tuple[RunRecord, Evidence]]) -> Section:
    """The curves of every stage that any of the runs trained, a line for each run."""
    # A stage of the same name may be of another kind in another run.
    kinds = {
        name: {stage.name: stage.kind for stage in record.stages}
        for name, (record, _) in runs.items()
    }
    stages = dict.fromkeys(stage for own in kinds.values() for stage in own.items())
    places = {name: index for index, name in enumerate(runs)}
    blocks: list[Block] = []
    for stage, kind in stages:
        logged = {
            name: evidence.metrics[stage]
            for name, (_, evidence) in runs.items()
            if stage in evidence.metrics and kinds[name].get(stage) == kind
        }
        for key, title, meaning in CURVES.get(kind, ()) if logged else ():
            blocks += curve(logged, key, f"{stage}, {title.lower()}", meaning, places)
    if not blocks:
        blocks = [Prose("None of these runs logged a step of training.", "muted")]
    return Section("Training curves", "curves", tuple(blocks))


def gates(records: Mapping[str, RunRecord]) -> Section:
    """How every gate of every run went."""
    rows: Sequence[tuple[str | Cell, ...]] = [
        (
            name,
            gate.name,
            Cell(gate.verdict, TONES[gate.verdict]),
            ", ".join(check.name for check in gate.failed) or "none",
        )
        for name, record in records.items()
        for gate in record.gates
    ]
    if not rows:
        return Section("Gates", "gates", (Prose("No run names a gate.", "muted"),))
    columns = ("run", "gate", "result", "failed checks")
    return Section("Gates", "gates", (Table("Gates", columns, "llll", tuple(rows)),))
