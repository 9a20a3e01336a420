"""The sections about accuracy: the headline, each stage's gain, levels and families."""

from collections.abc import Mapping, Sequence

from contracts.scores import Score, Share, unanswered
from report.blocks import Beside, Block, Cell, Figure, Prose, Section, Table, Tone
from report.evidence import Evidence
from report.gains import Difference, Found, Refused, gains, stage_gains
from report.measures import measure_tables
from report.numbers import (
    figure,
    interval,
    p_value,
    percent,
    percent_tick,
    points,
    points_interval,
    starred,
)
from report.svg import Estimate, Series, change_chart, dot_chart, group_chart, line_chart

OUTCOMES = ("right", "wrong", "unparseable", "timeout", "crashed")
SCORES = "Scores; n items or groups count for each; “reading” is perception scored alone"
TONES: dict[str, Tone] = {"up": "good", "down": "bad"}


def headline(evidence: Evidence) -> Section:
    """What the run gained in all, and whether each stage earned its place."""
    if len(evidence.policies) < 2:
        text = "No two policies were evaluated, so there is no gain to report."
        return Section("What came out", "headline", (Prose(text, "bad"),))
    base, final = evidence.policies[0], evidence.policies[-1]
    found = gains(evidence, base, final)
    by_stage = stage_gains(evidence)
    places = {policy: _place(family) for policy, family in by_stage.items()}
    earned = [policy for policy, place in places.items() if place.tone == "good"]
    verdict = f"{len(earned)} of {len(places)} stages earned their place"
    blocks: tuple[Block, ...] = (
        Prose(_headline_text(found, base, final)),
        Prose(f"{verdict}: {', '.join(earned)}." if earned else f"{verdict}."),
        _gain_table(evidence, found, base, final),
        Prose(
            "Gains are in points of each benchmark’s score on the same problems. Brackets hold the "
            "95 % interval of the mean difference (paired bootstrap over problems, or over groups "
            "of them where a benchmark has groups). p is two-sided, of the exact sign-flip test "
            "over the same (McNemar’s with one answer a problem), with Holm’s correction over the "
            "benchmarks of a comparison. A stage earned its place where that interval lies above 0 "
            "and p is at most 0.05; else, or where the answers are not at hand, it is “not shown”."
        ),
        _stage_table(evidence.benchmarks, by_stage, places),
    )
    return Section("What came out", "headline", blocks)


def _headline_text(found: Sequence[Found], base: str, final: str) -> str:
    said = "; ".join(f"{one.benchmark} {_in_words(one)}" for one in found)
    return f"From {base} to {final}, in points: {said}."


def _in_words(one: Found) -> str:
    if isinstance(one, Refused):
        return f"not compared ({one.reason})"
    has_bounds = one.low is not None and one.high is not None
    return points(one.value) + (f" ({bounds(one)})" if has_bounds else "")


def _gain_table(evidence: Evidence, found: Sequence[Found], base: str, final: str) -> Table:
    rows = []
    for one in found:
        scores = (evidence.score(one.benchmark, policy) for policy in (base, final))
        values = (starred(percent(score.value), score) if score else "–" for score in scores)
        rows.append((one.benchmark, *values, *gain_cells(one)))
    columns = ("benchmark", "before", "after", "gain", "95 % interval", "p (Holm)", "verdict")
    return Table(f"From {base} to {final}", columns, "lrrrrrl", tuple(rows))


def gain_cells(one: Found) -> tuple[str | Cell, ...]:
    """Gain, interval, p and verdict; or no figures, and why."""
    if isinstance(one, Refused):
        return ("–", "–", "–", Cell(f"not compared: {one.reason}", "bad"))
    verdict = Cell(one.verdict, TONES.get(one.verdict, "muted"))
    return (points(one.value), bounds(one), p_value(one.p), verdict)


def bounds(one: Difference) -> str:
    """The 95 % interval of a difference, or a dash."""
    if one.low is None or one.high is None:
        return "–"
    return points_interval(one.low, one.high)


def _stage_table(
    benchmarks: tuple[str, ...], by_stage: Mapping[str, Sequence[Found]], places: dict[str, Cell]
) -> Table:
    rows = []
    for policy, family in by_stage.items():
        by_benchmark = {one.benchmark: one for one in family}
        cells: list[str | Cell] = [policy]
        cells += [_stage_cell(by_benchmark.get(benchmark)) for benchmark in benchmarks]
        rows.append((*cells, places[policy]))
    columns = ("stage", *benchmarks, "earned its place")
    caption = "Each stage against the policy evaluated before it"
    return Table(caption, columns, "l" + "r" * len(benchmarks) + "l", tuple(rows))


def _stage_cell(one: Found | None) -> Cell:
    if one is None:
        return Cell("–", "muted")
    if isinstance(one, Refused):
        return Cell("not compared", "bad")  # the section of the scores says why
    text = f"{points(one.value)} [{bounds(one)}], p {p_value(one.p)}"
    return Cell(text, TONES.get(one.verdict, "plain"))


def _place(family: Sequence[Found]) -> Cell:
    known = [one for one in family if isinstance(one, Difference)]
    up = [one.benchmark for one in known if one.verdict == "up"]
    down = [one.benchmark for one in known if one.verdict == "down"]
    loss = f", but lost on {', '.join(down)}" if down else ""
    if up:
        return Cell(f"yes, on {', '.join(up)}{loss}", "good")
    if down:
        return Cell(f"no, it lost on {', '.join(down)}", "bad")
    if len(known) < len(family):
        return Cell("cannot be told: answers did not come", "bad")
    if any(one.low is None for one in known) or not known:
        return Cell("cannot be told: no intervals", "muted")
    return Cell("not shown", "muted")


def accuracy(evidence: Evidence) -> Section:
    """Every policy on every benchmark, with its interval, as pictures and as a table."""
    figures: list[Block] = []
    by_benchmark: dict[str, list[Estimate]] = {}
    for benchmark in evidence.benchmarks:
        scores = [score for score in evidence.scores if score.benchmark == benchmark]
        rows = [estimate(one.policy, one) for one in scores]
        metric = ", ".join(dict.fromkeys(one.metric for one in scores))
        told = "; ".join(f"{row.name} {percent(row.value)}{row.mark}" for row in rows)
        description = f"{metric} with 95 % intervals. {told}. The dashed line is the first policy."
        title = f"{benchmark}: {metric} after each stage"
        svg = dot_chart(title, description, rows, write=percent_tick)
        figures.append(Figure(title, description, svg, wide=False))
        by_benchmark[benchmark] = rows
    if not figures:
        text = "There are no scores."
        return Section("Accuracy after each stage", "accuracy", (Prose(text, "bad"),))
    blocks: list[Block] = [
        *(Prose(f"* {sentence}", "bad") for sentence in unanswered(evidence.scores)),
        *overview(by_benchmark),
        *figures,
        *_score_tables(evidence),
        *measure_tables(evidence),
    ]
    blocks += _judges(evidence)
    return Section("Accuracy after each stage", "accuracy", tuple(blocks))


def estimate(name: str, score: Score) -> Estimate:
    """A score as the charts draw it, by any name."""
    return Estimate(name, score.value, score.low, score.high, starred("", score))


def overview(by_benchmark: Mapping[str, Sequence[Estimate]]) -> list[Block]:
    """One picture of all benchmarks with their intervals, where there is more than one."""
    if len(by_benchmark) < 2:
        return []
    title = "All benchmarks, with 95 % intervals"
    told = "; ".join(
        f"{benchmark}: {', '.join(f'{row.name} {percent(row.value)}{row.mark}' for row in rows)}"
        for benchmark, rows in by_benchmark.items()
    )
    svg = group_chart(title, told, list(by_benchmark.items()), write=percent_tick)
    names = dict.fromkeys(row.name for rows in by_benchmark.values() for row in rows)
    rows = []
    for benchmark, estimates in by_benchmark.items():
        values = {one.name: f"{percent(one.value)}{one.mark}" for one in estimates}
        rows.append((benchmark, *(values.get(name, "–") for name in names)))
    table = Table("All benchmarks", ("benchmark", *names), "l" + "r" * len(names), tuple(rows))
    return [Beside(Figure(title, f"{told}.", svg), table)]


def _judges(evidence: Evidence) -> tuple[Prose, ...]:
    """Who was asked where the rules found no answer, and what came of it."""
    return tuple(
        Prose(
            f"{one.policy} on {one.benchmark}: where the rules found no answer, the judge "
            f"{one.judge} was asked; its replies: {_counted(one.findings)}."
        )
        for one in evidence.scores
        if one.judge is not None
    )


def _counted(findings: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in findings.items()) or "none was needed"


def _score_tables(evidence: Evidence) -> tuple[Table, Table]:
    ordered = sorted(evidence.scores, key=lambda one: evidence.benchmarks.index(one.benchmark))
    scores = tuple(
        (
            one.benchmark,
            one.policy,
            one.metric,
            starred(percent(one.value), one),
            interval(one.low, one.high),
            one.n,
            percent(one.reading) if one.reading is not None else "–",
        )
        for one in ordered
    )
    answers = tuple(
        (
            one.benchmark,
            one.policy,
            *(str(one.outcomes.get(name, 0)) for name in OUTCOMES),
            percent(one.truncated) if one.truncated is not None else "–",
            figure(one.mean_tokens),
            str(one.num_failed),
        )
        for one in ordered
    )
    names = ("benchmark", "policy")
    first = (*names, "metric", "value", "95 % interval", "n", "reading")
    second = (*names, *OUTCOMES, "truncated", "mean tokens", "no response")
    return (
        Table(SCORES, first, "lllrrrr", scores),
        Table("What became of the answers", second, "ll" + "r" * (len(second) - 2), answers),
    )


def scores_by_policy(evidence: Evidence) -> dict[str, list[Score]]:
    """Every policy's scores, as rows `ours, POLICY`; one row without any where there are none."""
    rows = {
        f"ours, {policy}": [score for score in evidence.scores if score.policy == policy]
        for policy in evidence.policies
    }
    return rows or {"ours": []}


def breakdown(evidence: Evidence) -> Section:
    """Accuracy by difficulty level and by family; the first policy against the last, if it is not
    the only one.
    """
    blocks: list[Block] = []
    for benchmark in evidence.benchmarks:
        scores = [score for score in evidence.scores if score.benchmark == benchmark]
        blocks += _by_level(benchmark, scores)
        blocks += _by_family(benchmark, scores)
    if not blocks:
        blocks = [Prose("No score says how it splits into levels or families.", "bad")]
    return Section("By level and by family", "breakdown", tuple(blocks))


def _by_level(benchmark: str, scores: list[Score]) -> list[Block]:
    keys = sorted({key for one in scores for key in one.by_level}, key=level_order)
    if not keys:
        return [Prose(f"{benchmark}: no accuracies by level.", "muted")]
    ends = list({one.policy: one for one in (scores[0], scores[-1])}.values())
    series = [
        Series(
            starred(one.policy, one),
            tuple(
                (float(key), one.by_level[key].value)
                for key in keys
                if key in one.by_level and key.isdecimal()
            ),
        )
        for one in ends
    ]
    title = f"{benchmark}: accuracy by level, {' and '.join(one.policy for one in ends)}"
    description = "Levels are the benchmark’s own; the table holds every policy."
    svg = line_chart(
        title, description, series, x_name="level", write=percent_tick, y_range=(0.0, 1.0)
    )
    levels = {starred(one.policy, one): one.by_level for one in scores}
    table = split_table(f"{benchmark} by level", "level", keys, levels)
    return [Beside(Figure(title, description, svg), table)]


def _by_family(benchmark: str, scores: list[Score]) -> list[Block]:
    keys = sorted({key for one in scores for key in one.by_family})
    if not keys:
        return [Prose(f"{benchmark}: no accuracies by family.", "muted")]
    families = {starred(one.policy, one): one.by_family for one in scores}
    table = split_table(f"{benchmark} by family", "family", keys, families)
    first, last = scores[0], scores[-1]
    if first is last:
        return [table]
    rows = [
        (key, first.by_family[key].value, last.by_family[key].value)
        for key in keys
        if key in first.by_family and key in last.by_family
    ]
    names = [starred(one.policy, one) for one in (first, last)]
    title = f"{benchmark}: accuracy by family, {' to '.join(names)}"
    description = f"Hollow dots are {first.policy}, filled dots and the figures {last.policy}."
    svg = change_chart(title, description, rows, write=percent_tick)
    return [Beside(Figure(title, description, svg), table)]


def split_table(
    caption: str, name: str, keys: Sequence[str], parts: Mapping[str, Mapping[str, Share]]
) -> Table:
    """Accuracies by a split's keys, one column for each of those that were split."""
    rows = tuple(
        (
            key,
            str(max(split[key].n for split in parts.values() if key in split)),
            *(percent(split[key].value) if key in split else "–" for split in parts.values()),
        )
        for key in keys
    )
    columns = (name, "n", *parts)
    return Table(caption, columns, "lr" + "r" * len(parts), rows)


def level_order(key: str) -> tuple[int, str]:
    """Sorts levels as numbers."""
    return (int(key), key) if key.isdecimal() else (10**6, key)
