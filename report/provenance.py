"""The sections about the run itself: the pipeline, the gates, where everything came from."""

import json

from contracts.artifact import Artifact
from contracts.run_record import GateCheck, GateRecord, RunRecord, recipe_digest
from contracts.secrets import masked, without_secrets
from report.blocks import Block, Cell, Code, Figure, Prose, Section, Table, Tone
from report.evidence import Evidence, planned_stages
from report.numbers import duration
from report.svg import drawing, element, label, shorten

TITLES = {
    "curate": "curation",
    "sft": "supervised fine-tuning",
    "rl": "reinforcement learning",
    "evaluate": "evaluation",
}
GATE_AFTER = {"curate": "curat", "evaluate": "evalu"}  # stage kind -> start of the gate's name
# How a gate may have ended, the worst first, and how that is shown.
TONES: dict[str, Tone] = {
    **dict.fromkeys(("refused", "failed"), "bad"),
    **dict.fromkeys(("released", "warned"), "muted"),
    "passed": "good",
}
STOPS = {"error": "stops the run", "warning": "only warns"}


def pipeline(run: RunRecord) -> Section:
    """The stages as boxes with their durations, and as a table."""
    finished = {stage.name: stage for stage in run.stages}
    boxes: list[tuple[str, str, str, str, str | None]] = []
    rows: list[tuple[str | Cell, ...]] = []
    for name, kind in planned_stages(run):
        stage = finished.get(name)
        if stage is None:
            state = "did not finish"
            rows.append((name, TITLES.get(kind, kind), Cell(state, "bad"), "–"))
        else:
            state = "reused" if stage.reused else "ran"
            rows.append((name, TITLES[kind], state, duration(stage.seconds)))
        spent = "" if stage is None else duration(stage.seconds)
        boxes.append((name, TITLES.get(kind, kind), state, spent, _gate_after(run, name, kind)))
    total = duration(sum(stage.seconds for stage in run.stages))
    description = "; ".join(
        f"{name}: {state} {spent}".strip() for name, _, state, spent, _ in boxes
    )
    title = "The pipeline of this run"
    blocks: tuple[Block, ...] = (
        Figure(title, description, _boxes(title, description, boxes)),
        Table("Stages in order", ("stage", "what it does", "state", "time"), "lllr", tuple(rows)),
        Prose(f"The stages took {total} in all."),
        *(Prose(f"{stage.name}: {said}.") for stage in run.stages for said in stage.remarks),
    )
    return Section("Pipeline", "pipeline", blocks)


def _gate_after(run: RunRecord, stage: str, kind: str) -> str | None:
    """How the gates behind a stage ended, the worst of them; None if there are none."""
    start = GATE_AFTER.get(kind)
    ended = {
        gate.verdict
        for gate in run.gates
        if (start and gate.name.startswith(start))
        or gate.name in (f"checkpoint-{stage}", f"rollouts-{stage}")
    }
    return next((verdict for verdict in TONES if verdict in ended), None)


def _boxes(title: str, description: str, boxes: list[tuple[str, str, str, str, str | None]]) -> str:
    box, gap = 150.0, 44.0
    parts = []
    for index, (name, what, state, spent, gate) in enumerate(boxes):
        x = 4 + index * (box + gap)
        class_ = {"ran": "box", "reused": "box reused"}.get(state, "box absent")
        parts.append(element("rect", x=x, y=8, width=box, height=84, rx=8, class_=class_))
        middle = x + box / 2
        parts.append(label(middle, 32, shorten(name, 18), "middle", "label strong"))
        parts.append(label(middle, 52, what, "middle", "tick"))
        parts.append(label(middle, 76, f"{state} {spent}".strip(), "middle"))
        if index < len(boxes) - 1:
            line = f"M{x + box + 4:g} 50h{gap - 14:g}"
            parts.append(element("path", d=line, class_="arrow"))
            parts.append(
                element("path", d=f"M{x + box + gap - 10:g} 45l7 5l-7 5z", class_="arrowhead")
            )
        if gate is not None:
            tone = f"label {TONES[gate]}"
            parts.append(label(middle, 114, f"gate {gate}", "middle", tone))
    width = 8 + len(boxes) * box + (len(boxes) - 1) * gap
    return drawing(width, 124, title, description, *parts)


def gates(run: RunRecord) -> Section:
    """Every gate with each check's observed and expected value; one that passed is folded."""
    if not run.gates:
        return Section("Gates", "gates", (Prose("The run record names no gate.", "bad"),))
    summary = tuple(
        (
            gate.name,
            Cell(gate.verdict, TONES[gate.verdict]),
            str(len(gate.checks)),
            ", ".join(check.name for check in gate.failed) or "none",
        )
        for gate in run.gates
    )
    decisions = tuple(
        Prose(
            f"A person {gate.decision.verdict} the gate {gate.name} on "
            f"{gate.decision.decided.isoformat(sep=' ', timespec='seconds')}: "
            f"{without_secrets(gate.decision.reason)}",
            TONES[gate.verdict],
        )
        for gate in run.gates
        if gate.decision is not None
    )
    columns = ("gate", "result", "checks", "failed checks")
    table = Table("Gates", columns, "llrl", summary)
    return Section("Gates", "gates", (table, *decisions, *map(_checks, run.gates)))


def _checks(gate: GateRecord) -> Table:
    rows = tuple(
        (
            check.name,
            _value(check.observed),
            _value(check.expected),
            "–" if check.num_broken is None else str(check.num_broken),
            ", ".join(check.first_ids) or "–",
            STOPS[check.severity or gate.severity],
            _result(gate, check),
        )
        for check in gate.checks
    )
    columns = ("check", "observed", "expected", "rows", "the first of them", "a failure", "result")
    return Table(f"Checks of gate {gate.name}", columns, "lllrlll", rows, folded=gate.passed)


def _result(gate: GateRecord, check: GateCheck) -> Cell:
    if check.passed:
        return Cell("passed", "good")
    return Cell("failed", "bad" if check in gate.stopping else "muted")


def _value(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:.6g}"
    return json.dumps(value, ensure_ascii=False)


def provenance(run: RunRecord) -> Section:
    """URI, hash and inputs of every artifact."""
    rows = tuple(
        (
            stage.name,
            stage.artifact.kind,
            without_secrets(stage.artifact.uri),
            stage.artifact.sha256,
            "\n".join(map(_reference, stage.inputs)) or "none",
        )
        for stage in run.stages
    )
    facts = (
        ("run", run.name),
        ("seed", str(run.seed)),
        ("created", run.created.isoformat(sep=" ", timespec="seconds")),
        ("code version", run.code_version),
        ("recipe digest (SHA-256)", recipe_digest(run.recipe)),
    )
    blocks = (
        Table("The run", ("fact", "value"), "ll", facts),
        Table("Artifacts", ("stage", "kind", "URI", "SHA-256", "made from"), "lllll", rows),
    )
    return Section("Provenance", "provenance", blocks)


def _reference(artifact: Artifact) -> str:
    return f"{artifact.kind} {artifact.sha256[:12]} {without_secrets(artifact.uri)}"


def recipe(run: RunRecord) -> Section:
    """The resolved recipe, with anything that looks like a secret masked."""
    text = json.dumps(masked(dict(run.recipe)), indent=2, ensure_ascii=False)
    return Section(
        "Recipe", "recipe", (Code("The resolved recipe, every default filled in", text),)
    )


def missing(evidence: Evidence) -> Section:
    """What the report had to do without."""
    blocks: tuple[Block, ...] = tuple(Prose(one, "bad") for one in evidence.missing)
    return Section(
        "What is missing", "missing", blocks or (Prose("Nothing: every file was found."),)
    )
