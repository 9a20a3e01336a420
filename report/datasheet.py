"""The curated data's datasheet: where the rows come from, what they are like, what was left out."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Features
from datasets.table import table_cast
from pydantic import BaseModel, ConfigDict, Field

from contracts.artifact import Count
from report.blocks import Beside, Block, Document, Figure, Prose, Sample, Section, Table
from report.curated import DATASHEET
from report.evidence import CurationSummary
from report.left_out import MAX_ROWS, left_out
from report.numbers import percent
from report.render import Report
from report.samples import MAX_CHARACTERS, embeddable
from report.svg_counts import MAX_COLOURS, MAX_DRAWN, bar_chart, point_map
from report.text import cut
from report.write_html import html_page
from report.write_markdown import markdown_page
from training.curation.account import GRADED_FEATURES
from training.curation.topic_names import TopicNames
from training.curation.topics import OTHER
from training.recipe.curation import DIFFICULTY, SELECTION, SOURCES, STEPS
from training.recipe.known_sources import known_source
from training.records import PROBLEM_FEATURES

# What curation writes for it.
SUMMARY, GRADED, EXAMPLES = "summary.json", "graded.parquet", "examples.parquet"
FILES = (SUMMARY, GRADED, EXAMPLES)
PAGE, TEXT = DATASHEET, "datasheet.md"
NO_SET = "in no set"


class TopicCounts(BaseModel):
    """What the curation's summary says of its topics."""

    model_config = ConfigDict(frozen=True)
    num_topics: Count
    clustered: Count
    clustered_noise: Count
    assigned: Count
    by_topic: dict[str, Count]


class Summary(CurationSummary):
    """The curation's summary.json, as far as a datasheet needs it."""

    sources: dict[str, Count]
    topics: TopicCounts
    # Older ones have none of these.
    topic_names: TopicNames | None = None
    benchmark_questions: dict[str, dict[str, Count]] = Field(default_factory=dict)
    number_variants: dict[str, Count] = Field(default_factory=dict)


def datasheet(
    name: str,
    folder: Path,
    recipe: Mapping[str, Any],
    remarks: Sequence[str] = (),
) -> Report:
    """Renders the datasheet of a curation.

    Args:
        name: The run's.
        folder: With `FILES`, as curation writes them.
        recipe: The resolved recipe, as JSON.
        remarks: What a reader should know of how it was made.

    Returns:
        The page and its Markdown twin; of files that cannot be read, a page that says so.
    """
    try:
        made = _read(folder)
    except Exception as error:  # noqa: BLE001 - of files that somebody else wrote; it is told
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        what = f"The curation's files cannot be read ({reason})."
        sections: tuple[Section, ...] = (Section("Rows", "rows", (Prose(what, "bad"),)),)
    else:
        sections = _sections(made, recipe, remarks)
    subtitle = f"What curation made of its sources for the run {name}."
    document = Document(f"Datasheet of {name}", subtitle, sections)
    return Report(html=html_page(document), markdown=markdown_page(document))


@dataclass(frozen=True)
class _Made:
    """What curation left for the datasheet, of the types and with the values that it writes."""

    summary: Summary
    graded: pd.DataFrame
    examples: pd.DataFrame


def _read(folder: Path) -> _Made:
    """Reads the files of a curation.

    Raises:
        Exception: Of any kind; they are broken, or not what curation writes.
    """
    summary = Summary.model_validate_json((folder / SUMMARY).read_text(encoding="utf-8"))
    graded = _table(folder / GRADED, GRADED_FEATURES, may_lack=("set", "solution_characters"))
    numbers = graded[["pass_rate", "x", "y"]].to_numpy(dtype=np.float64)
    if not np.isfinite(numbers).all():
        raise ValueError(f"{GRADED}: pass rates and places on the map have to be numbers")
    columns = ("id", "level", "question", "answer", "images")
    shown = Features({name: PROBLEM_FEATURES[name] for name in columns})
    examples = _table(folder / EXAMPLES, shown, may_lack=("level",))
    return _Made(summary, graded.assign(set=graded["set"].fillna(NO_SET)), examples)


def _table(path: Path, features: Features, may_lack: Collection[str]) -> pd.DataFrame:
    """A file's columns, as `features` has them, without gaps but where there may be some."""
    table = table_cast(pq.read_table(path, columns=list(features)), features.arrow_schema)
    for name in features:
        column = table[name].combine_chunks()
        gaps = column.null_count + (
            column.flatten().null_count if pa.types.is_list(column.type) else 0
        )
        if gaps and name not in may_lack:
            raise ValueError(f"{path.name}: {name} lacks {gaps} value(s)")
    frame: pd.DataFrame = table.to_pandas()
    return frame


def _sections(
    made: _Made, recipe: Mapping[str, Any], remarks: Sequence[str]
) -> tuple[Section, ...]:
    summary, graded, examples = made.summary, made.graded, made.examples
    sets = [*summary.sets, NO_SET]
    return (
        _rows(summary, graded, licences(recipe), remarks),
        left_out(
            summary.rejected,
            summary.benchmark_questions,
            summary.number_variants,
            rejecting_steps(recipe),
        ),
        _difficulty(graded, sets),
        _lengths(graded),
        _topics(summary.topics, graded, sets, summary.topic_names),
        _examples(examples, graded),
    )


def rejecting_steps(recipe: Mapping[str, Any]) -> tuple[str, ...]:
    """The steps that drop rows, in the order in which these pass; older recipes name none."""
    return (SOURCES, *recipe.get("curation", {}).get("steps", STEPS), DIFFICULTY, SELECTION)


def licences(recipe: Mapping[str, Any]) -> dict[str, str]:
    """Source -> its licence, as the page of a known data set states it."""
    found: dict[str, str] = {}
    for source in recipe.get("sources", []):
        dataset = source.get("dataset")
        stated = known_source(dataset).licence if isinstance(dataset, str) else None
        generated = "generated here" if source.get("kind") == "pocket" else "not known"
        found[str(source.get("name"))] = stated or generated
    return found


def _rows(
    summary: Summary, graded: pd.DataFrame, licence: Mapping[str, str], remarks: Sequence[str]
) -> Section:
    by_source = Counter(zip(graded["source"], graded["set"], strict=True))
    of_source = {
        source: (count, *(by_source[source, name] for name in summary.sets))
        for source, count in summary.sources.items()
    }
    of_licence: dict[str, tuple[int, ...]] = {}
    for source, counted in of_source.items():
        stated = licence.get(source, "not known")
        before = of_licence.get(stated, (0,) * len(counted))
        of_licence[stated] = tuple(map(sum, zip(before, counted, strict=True)))
    tables = (
        _placed(
            "Rows by source and licence",
            ("source", "licence"),
            {(source, licence.get(source, "not known")): c for source, c in of_source.items()},
            summary.sets,
        ),
        _placed(
            "Rows by licence", ("licence",), {(k,): c for k, c in of_licence.items()}, summary.sets
        ),
    )
    counts = (
        f"{summary.rows_in} rows came in: {summary.rows_in_sets} went into sets, "
        f"{summary.rows_rejected} were left out, each with its reason."
    )
    short = ", ".join(
        f"{name} by {one.shortfall}" for name, one in summary.sets.items() if one.shortfall
    )
    said = f"Sets fell short of what was asked for: {short}." if short else "Every set is full."
    told = (Prose(f"{remark}.", "bad") for remark in remarks)
    return Section("Rows", "rows", (Prose(counts), Prose(said), *told, *tables))


def _placed(
    caption: str,
    by: tuple[str, ...],
    counted: Mapping[tuple[str, ...], tuple[int, ...]],
    sets: Iterable[str],
) -> Table:
    """A table of how many rows came in, of those how many are in each set, and in none."""
    rows = tuple(
        (*labels, *map(str, (count, *placed, count - sum(placed))))
        for labels, (count, *placed) in counted.items()
    )
    columns = (*by, "rows", *sets, "left out")
    return Table(caption, columns, "l" * len(by) + "r" * (len(columns) - len(by)), rows)


def _difficulty(graded: pd.DataFrame, sets: Sequence[str]) -> Section:
    levels = [str(level) for level in range(1, 11)]
    of_level = graded["level"].map(str)
    rates = graded["pass_rate"]
    shares = [f"{bound / 10:.1f}" for bound in range(11)]
    of_rate = (10 * rates + 0.5).map(np.floor).clip(0, 10).map(_tenth)
    return Section(
        "Difficulty",
        "difficulty",
        (
            _counted("Problems by level", "level", of_level, levels, graded["set"], sets),
            _counted(
                "Problems by the base model’s pass rate",
                "pass rate",
                of_rate,
                shares,
                graded["set"],
                sets,
            ),
        ),
    )


def _tenth(number: float) -> str:
    return f"{number / 10:.1f}"


def _counted(
    title: str,
    x_name: str,
    values: "pd.Series[str]",
    names: Sequence[str],
    of_set: "pd.Series[str]",
    sets: Sequence[str],
) -> Block:
    """A histogram of all graded problems, and beside it the numbers of each set."""
    counts, by_set = Counter(values), Counter(zip(values, of_set, strict=True))
    bars = [(name, float(counts[name])) for name in names]
    text = "Of all problems that were graded; the table has the numbers by set."
    rows = tuple(
        (name, *(str(by_set[name, one]) for one in sets), str(counts[name])) for name in names
    )
    table = Table(title, (x_name, *sets, "all"), "r" * (len(sets) + 2), rows)
    svg = bar_chart(title, text, bars, x_name=x_name, write=_whole)
    return Beside(Figure(title, text, svg), table)


def _whole(value: float) -> str:
    return f"{value:.0f}"


def _lengths(graded: pd.DataFrame) -> Section:
    blocks: list[Block] = []
    for title, column in (
        ("Length of questions", "question_characters"),
        ("Length of traces", "solution_characters"),
    ):
        lengths = graded[column].dropna()
        if lengths.empty:
            blocks.append(Prose(f"{title}: there are none.", "muted"))
            continue
        bars = length_bins(lengths.to_numpy(dtype=np.float64))
        said = f"Median {lengths.median():.0f} characters, longest {lengths.max():.0f}."
        svg = bar_chart(title, said, bars, x_name="characters, up to", write=_whole)
        rows = tuple((name, _whole(count)) for name, count in bars)
        table = Table(title, ("characters, up to", "problems"), "rr", rows)
        blocks += [Beside(Figure(title, said, svg), table), Prose(said)]
    return Section("Lengths", "lengths", tuple(blocks))


def length_bins(lengths: np.ndarray) -> list[tuple[str, float]]:
    """Counts of lengths up to each power of two, from the first that is needed to the last.

    Args:
        lengths: At least one, none below 0.
    """
    powers = np.ceil(np.log2(np.maximum(lengths, 1))).astype(int)
    counts = Counter(powers.tolist())
    return [(str(2**power), float(counts[power])) for power in range(min(counts), max(counts) + 1)]


def _topics(
    counts: TopicCounts, graded: pd.DataFrame, sets: Sequence[str], names: TopicNames | None
) -> Section:
    sizes = Counter(graded["topic"])
    by_set = Counter(zip(graded["topic"], graded["set"], strict=True))
    ordered = [topic for topic, _ in sizes.most_common()]
    means = graded.groupby("topic")[["pass_rate", "level"]].mean()
    rows = tuple(
        (
            topic,
            *([] if names is None else [names.names.get(topic, topic)]),
            str(sizes[topic]),
            *(str(by_set[topic, name]) for name in sets),
            percent(float(means["pass_rate"][topic])),
            f"{means['level'][topic]:.1f}",
        )
        for topic in ordered[:MAX_ROWS]
    )
    share = counts.by_topic.get(OTHER, 0) / max(sum(counts.by_topic.values()), 1)
    said = (
        f"{counts.num_topics} topics were found among {counts.clustered} problems, of which "
        f"{counts.clustered_noise} lie in none; {counts.assigned} further problems were given the "
        f"topic of their neighbours. {percent(share)} of all problems are in no topic: they are "
        f"“{OTHER}”, which is balanced like any other."
    )
    if len(ordered) > MAX_ROWS:
        said += f" The table has the {MAX_ROWS} largest of {len(ordered)}, {GRADED} all."
    words = ("topic",) if names is None else ("topic", "name")
    columns = (*words, "problems", *sets, "pass rate", "level")
    table = Table("Topics", columns, "l" * len(words) + "r" * (len(sets) + 3), rows)
    largest = [topic for topic in ordered if topic != OTHER][:MAX_COLOURS]
    colours = {topic: place for place, topic in enumerate(largest, start=1)}
    drawn = graded.iloc[:: max(1, -(-len(graded) // MAX_DRAWN))]
    points = list(zip(_within(drawn["x"]), _within(drawn["y"]), drawn["topic"], strict=True))
    title = "Map of topics"
    text = (
        f"{len(points)} problems; near ones are alike. The largest topics have colours, and what "
        "lies far off is drawn at the edge."
    )
    figure = Figure(title, text, point_map(title, text, points, colours), wide=False)
    named = [] if names is None else _naming(names, set(ordered) - {OTHER})
    return Section("Topics", "topics", (Prose(said), figure, *named, table))


def _naming(names: TopicNames, topics: Set[str]) -> list[Prose]:
    """Who gave the names, and why some topics have none."""
    said = [
        Prose(
            f"Names are what {names.model} calls the topics, for readers alone: sets are balanced "
            "over the topics as they were found."
        )
    ]
    without = topics - names.names.keys()
    if without:
        reasons = Counter(names.faults.get(topic, "not asked") for topic in without)
        told = "; ".join(f"{count}: {reason}" for reason, count in reasons.most_common(5))
        what = "topics keep their keywords, since the reply to each was no name"
        said.append(Prose(f"{len(without)} of {len(topics)} {what} ({told}).", "bad"))
    return said


def _within(places: "pd.Series[float]") -> list[float]:
    """Places, those of the outermost hundredths moved in: a few far ones would squeeze the rest."""
    values = places.to_numpy(dtype=np.float64)
    low, high = np.nanquantile(values, [0.01, 0.99]) if len(values) else (0.0, 0.0)
    return [float(value) for value in np.clip(values, low, high)]


def _examples(examples: pd.DataFrame, graded: pd.DataFrame) -> Section:
    shown = graded[graded["id"].isin(examples["id"])].drop_duplicates("id")
    of_id = shown.set_index("id")[["topic", "set"]].to_dict("index")
    blocks: list[Block] = [
        Prose("A few problems of each set, drawn by the seed, of different topics where it can be.")
    ]
    for row in examples.to_dict("records"):
        known = of_id.get(row["id"], {"topic": OTHER, "set": NO_SET})
        images, note = embeddable(tuple(image.get("bytes") for image in row["images"]))
        blocks.append(
            Sample(
                heading=f"{known['set']}: {known['topic']}, level {row['level']} ({row['id']})",
                question=cut(str(row["question"]), MAX_CHARACTERS),
                answer=cut(str(row["answer"]), MAX_CHARACTERS),
                images=images,
                image_note=note,
                responses=(),
            )
        )
    return Section("Examples", "examples", tuple(blocks))
