"""The page that compares runs: scores, paired gains, length, recipes and where it all came from."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

import pandas as pd
from pydantic import JsonValue

from contracts.run_record import RunRecord
from contracts.scores import Score, unanswered
from contracts.secrets import masked, without_secrets
from report.blocks import Block, Cell, Document, Figure, Link, Prose, Section, Table
from report.evidence import Evidence
from report.gains import (
    Found,
    Refused,
    answers_of,
    corrected,
    difference,
    incomplete,
    other_verdicts,
)
from report.lengths import COLUMNS, NOTE, by_length, length_cells, that_came
from report.numbers import interval, percent, percent_tick, starred
from report.paper import beside_paper
from report.results import estimate, gain_cells, overview
from report.side_by_side import breakdown, curves, gates
from report.svg import Estimate, dot_chart
from report.write_html import html_page

ABSENT = "–"


@dataclass(frozen=True)
class Compared:
    """One of the runs; `name` tells it apart from the others on the page."""

    name: str
    record: RunRecord
    evidence: Evidence

    @property
    def final(self) -> str:
        """The policy that the run ended with."""
        return self.evidence.policies[-1]


def compare(runs: Sequence[Compared], items: str | None = None) -> str:
    """One HTML page about at least two runs, each with an evaluation; the first is the yardstick.

    Args:
        runs: In the order of the page.
        items: The item browser beside it, if there is one.
    """
    names = ", ".join(run.name for run in runs)
    document = Document(
        title=f"{len(runs)} runs compared",
        subtitle=f"{names}. Gains are over {runs[0].name}.",
        sections=(
            _gains(runs, items),
            _scores(runs),
            beside_paper({run.name: _final_scores(run) for run in runs}),
            breakdown(_by_benchmark(runs)),
            _lengths(runs),
            curves({run.name: (run.record, run.evidence) for run in runs}),
            gates({run.name: run.record for run in runs}),
            _recipes(runs),
            _lineage(runs),
            _missing(runs),
        ),
    )
    return html_page(document)


def _final_scores(run: Compared) -> list[Score]:
    return [score for score in run.evidence.scores if score.policy == run.final]


def _by_benchmark(runs: Sequence[Compared]) -> dict[str, dict[str, Score]]:
    """The scores of final policies, by benchmark and run."""
    return {
        benchmark: {
            run.name: score
            for run in runs
            for score in _final_scores(run)
            if score.benchmark == benchmark
        }
        for benchmark in benchmarks_of(runs)
    }


def benchmarks_of(runs: Sequence[Compared]) -> tuple[str, ...]:
    """Every benchmark that any run evaluated, in the order of the runs."""
    return tuple(dict.fromkeys(name for run in runs for name in run.evidence.benchmarks))


def run_gains(first: Compared, other: Compared) -> list[Found]:
    """The gains of one run's final policy over another's, or the reason why there is none.

    p is corrected over the benchmarks that have one.
    """
    found: list[Found] = []
    for benchmark in benchmarks_of([first, other]):
        before = first.evidence.score(benchmark, first.final)
        after = other.evidence.score(benchmark, other.final)
        both = {first.name: before, other.name: after}
        if reason := incomplete(both):
            found.append(Refused(benchmark, reason))
            continue
        assert before is not None and after is not None
        if reason := (
            _other_items(first, other, benchmark)
            or other_verdicts(both)
            or _other_metric(before, after)
        ):
            found.append(Refused(benchmark, reason))
            continue
        answers = [
            answers_of(run.evidence.predictions, benchmark, run.final) for run in (first, other)
        ]
        found.append(difference(before, after, *answers))
    return corrected(found)


def _other_items(first: Compared, other: Compared, benchmark: str) -> str | None:
    """In words, how the items differ that two runs answered; None where they are the same."""
    items, rules, prompts = [], [], []
    for run in (first, other):
        answers = run.evidence.predictions
        if answers is None:
            return f"{run.name} has no predictions"
        mine = answers[(answers["benchmark"] == benchmark) & (answers["policy"] == run.final)]
        by_problem = mine.groupby("problem_id")
        items.append(by_problem[["question", "answer"]].agg(["first", "size"]))
        # Predictions of older versions lack these.
        if "rule" in mine:
            rules.append(by_problem["rule"].first())
        if "prompt_digest" in mine:
            prompts.append(by_problem["prompt_digest"].first())
    one, two = items
    only = len(one.index.symmetric_difference(two.index))
    if only:
        return f"other problems: {only} of {len(one.index.union(two.index))} are in one run only"
    texts = [("question", "first"), ("answer", "first")]
    changed = int((one[texts] != two[texts]).any(axis="columns").sum())
    if changed:
        return f"{changed} of {len(one)} problems have another question or reference answer"
    asked = int((prompts[0] != prompts[1]).sum()) if len(prompts) == 2 else 0
    if asked:
        return f"{asked} of {len(one)} problems were asked with other pictures, choices or words"
    counts = [table[("question", "size")] for table in items]
    if not counts[0].equals(counts[1]):
        means = [f"{count.mean():g}" for count in counts]
        return f"another number of answers to a problem: {means[0]} and {means[1]}"
    judged = int((rules[0] != rules[1]).sum()) if len(rules) == 2 else 0
    return f"{judged} of {len(one)} problems were judged by another rule" if judged else None


def _other_metric(before: Score, after: Score) -> str | None:
    """In words, by what two scores were summed up where it is not the same; else None."""
    if before.metric == after.metric:
        return None
    return f"another metric: {before.metric} and {after.metric}"


def _gains(runs: Sequence[Compared], items: str | None) -> Section:
    blocks: list[Block] = []
    columns = ("benchmark", "gain", "95 % interval", "p (Holm)", "verdict")
    for other in runs[1:]:
        rows: list[tuple[str | Cell, ...]] = []
        for one in run_gains(runs[0], other):
            rows.append((one.benchmark, *gain_cells(one)))
        caption = f"{other.name} ({other.final}) over {runs[0].name} ({runs[0].final})"
        blocks.append(Table(caption, columns, "lrrrl", tuple(rows)))
    note = (
        "Gains of the final policies in points, on the same problems with as many answers; their "
        "95 % interval is a paired bootstrap over problems, or over groups of them where a "
        "benchmark has groups, and Wilson’s bound on what was not seen where none differs; p is "
        "the exact two-sided sign-flip test over the same, "
        "with Holm’s correction over the benchmarks of a table. “not shown” means "
        "that the interval includes 0 or that p is above 0.05 or unknown. One run of a recipe "
        "says nothing of other seeds."
    )
    link = (
        () if items is None else (Link("The items, with the answers of every run", quote(items)),)
    )
    return Section("Gains", "gains", (*blocks, Prose(note, "muted"), *link))


def _scores(runs: Sequence[Compared]) -> Section:
    figures: list[Block] = []
    rows: list[tuple[str, ...]] = []
    finals: dict[str, list[Estimate]] = {}
    lacking = [
        Prose(f"* {run.name}: {sentence}", "bad")
        for run in runs
        for sentence in unanswered(run.evidence.scores)
    ]
    for benchmark in benchmarks_of(runs):
        dots = []
        for run in runs:
            for score in run.evidence.scores:
                if score.benchmark == benchmark:
                    share = interval(score.low, score.high)
                    number = score.n
                    value = starred(percent(score.value), score)
                    rows.append(
                        (benchmark, run.name, score.policy, score.metric, value, share, number)
                    )
            final = run.evidence.score(benchmark, run.final)
            if final is not None:
                dots.append(estimate(run.name, final))
        told = "; ".join(f"{one.name} {percent(one.value)}{one.mark}" for one in dots)
        title = f"{benchmark}: final policies"
        svg = dot_chart(title, told, dots, write=percent_tick)
        figures.append(Figure(title, told, svg, wide=False))
        finals[benchmark] = dots
    columns = ("benchmark", "run", "policy", "metric", "value", "95 % interval", "n")
    table = Table("Every policy of every run", columns, "llllrrr", tuple(rows))
    return Section("Scores", "scores", (*lacking, *overview(finals), *figures, table))


def _lengths(runs: Sequence[Compared]) -> Section:
    rows: list[tuple[str, ...]] = []
    blocks: list[Block] = []
    for benchmark in benchmarks_of(runs):
        finals: dict[str, pd.DataFrame] = {}
        for run in runs:
            if run.evidence.predictions is None:
                continue
            answers = run.evidence.predictions
            answers = that_came(answers[answers["benchmark"] == benchmark])
            for policy, of in answers.groupby("policy", sort=False):
                rows.append((benchmark, run.name, str(policy), *length_cells(of)))
            finals[run.name] = answers[answers["policy"] == run.final]
        if any(len(of) for of in finals.values()):
            blocks.append(by_length(benchmark, finals))
    table = Table("Answers", ("benchmark", "run", "policy", *COLUMNS), "lllrrrrrr", tuple(rows))
    note = f"The pictures are of the final policies. {NOTE}"
    return Section("Length and correctness", "length", (table, *blocks, Prose(note, "muted")))


def recipe_differences(recipes: Sequence[dict[str, JsonValue]]) -> list[tuple[str, ...]]:
    """Each field that differs: its dotted name and its value in every recipe, or a dash."""
    flat = [_flat(masked(recipe)) for recipe in recipes]
    fields = dict.fromkeys(name for one in flat for name in one)
    rows = [(field, *(one.get(field, ABSENT) for one in flat)) for field in fields]
    return [row for row in rows if len(set(row[1:])) > 1]


def _flat(value: object, name: str = "") -> dict[str, str]:
    """Leaves by dotted name; entries of a list go by their own `name` where they have one."""
    if isinstance(value, dict) and value:
        parts = [(str(key), one) for key, one in value.items()]
    elif isinstance(value, list) and value:
        parts = [
            (str(one["name"]) if isinstance(one, dict) and "name" in one else str(index), one)
            for index, one in enumerate(value)
        ]
    else:
        return {name: json.dumps(value, ensure_ascii=False)}
    found: dict[str, str] = {}
    for key, one in parts:
        found |= _flat(one, f"{name}.{key}" if name else key)
    return found


def _recipes(runs: Sequence[Compared]) -> Section:
    rows = recipe_differences([dict(run.record.recipe) for run in runs])
    facts = [
        ("seed", *(str(run.record.seed) for run in runs)),
        ("code version", *(run.record.code_version for run in runs)),
        ("started", *(run.record.created.isoformat(" ", "seconds") for run in runs)),
    ]
    columns = ("field", *(run.name for run in runs))
    align = "l" * len(columns)
    blocks: list[Block] = [Table("The runs", columns, align, tuple(facts))]
    if rows:
        blocks.append(Table("Fields that differ", columns, align, tuple(rows)))
    else:
        blocks.append(Prose("The recipes are the same in every field."))
    return Section("Recipes", "recipes", tuple(blocks))


def _lineage(runs: Sequence[Compared]) -> Section:
    made: dict[str, str] = {}  # digest of an artifact -> the first run that has it
    rows: list[tuple[str, ...]] = []
    for run in runs:
        for stage in run.record.stages:
            digest = stage.artifact.sha256
            owner = made.setdefault(digest, run.name)
            rows.append(
                (
                    run.name,
                    stage.name,
                    "" if owner == run.name else f"the same as of {owner}",
                    digest[:12],
                    without_secrets(stage.artifact.uri),
                    ", ".join(one.sha256[:12] for one in stage.inputs) or "nothing",
                )
            )
    columns = ("run", "stage", "shared", "SHA-256", "URI", "made from")
    return Section("Lineage", "lineage", (Table("Artifacts", columns, "llllll", tuple(rows)),))


def _missing(runs: Sequence[Compared]) -> Section:
    said = tuple(Prose(f"{run.name}: {one}", "bad") for run in runs for one in run.evidence.missing)
    blocks = said or (Prose("Nothing: every file was found."),)
    return Section("What is missing", "missing", blocks)
