"""The item browser: every item with every policy's answers, as pages that go with a report.

A page holds its data as JSON and one script of ours. Its policy names that script by digest: a
browser that obeys it runs nothing else, whatever the models wrote.

One page has all items. Where its texts had to be cut, or answers were left out, a benchmark has a
page of its own besides, with as much room for its texts alone.
"""

import base64
import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from glob import escape
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import pandas as pd
import pyarrow.parquet as pq

from contracts.run_record import RunRecord
from report.evidence import MAX_CHARACTERS, Evidence
from report.text import cut, printable
from report.write_html import image_kind, page, text_of

PAGE, IMAGES = "items.html", "items-images"
MAX_EMBEDDED_BYTES = 20_000_000  # of images in base64; more lie in a folder beside the page
MAX_TEXT = 16_000_000  # characters of all answers of a page, and a third of it of all questions
MAX_ANSWERS = 4  # of one policy to one item, among all items
MAX_OWN_ANSWERS = 32  # the same, on a benchmark's own page
MAX_WORD = 200  # characters of a name
MAX_START = 120  # characters of a question in the list
SCRIPT = Path(__file__).with_name("items.js")
STYLES = tuple(Path(__file__).with_name(name) for name in ("page.css", "items.css"))
BODY = """
<main>
<form id="filters" role="search" aria-label="Filter the items"></form>
<p id="count" role="status"></p>
<div class="browse">
<div class="side">
<ol id="list" aria-label="Items"></ol>
<div class="pager"><button type="button" id="previous">Previous</button>
<span id="position"></span><button type="button" id="next">Next</button></div>
</div>
<article id="item" aria-live="polite" aria-label="The chosen item"></article>
</div>
<noscript><p class="bad">This page needs JavaScript; the report beside it does not.</p></noscript>
</main>
"""


One = TypeVar("One")
Place = tuple[str, int, str]  # of an item's problem: its benchmark, the number of its file, its id


@dataclass(frozen=True)
class Browsed:
    """What an item browser shows.

    Attributes:
        title: Of its pages.
        report: The page beside it that leads here.
        note: What a reader has to know besides.
        policies: Whose answers stand side by side.
        predictions: As `Evidence` has them. A column `origin` says in which of `problems` a row's
            problem is; without it, all are in the first.
        problems: Parquet files of problems with their images; None for one that is not there.
    """

    title: str
    report: str
    note: str
    policies: tuple[str, ...]
    predictions: pd.DataFrame
    problems: tuple[Path | None, ...]


def write_items(run: RunRecord, evidence: Evidence, folder: Path) -> bool:
    """Writes `items.html` into a report's folder, and what goes with it; see `write_browser`.

    Args:
        run: The run's record.
        evidence: What its stages left.
        folder: The report's.
    """
    answers = evidence.predictions
    rows = pd.DataFrame({"policy": []}) if answers is None else answers
    policies = evidence.policies or tuple(dict.fromkeys(rows["policy"]))
    title = f"Items of run {run.name}"
    browsed = Browsed(title, "report.html", "", policies, rows, (evidence.problems,))
    return write_browser(browsed, folder)


def write_browser(browsed: Browsed, folder: Path, prefix: str = "") -> bool:
    """Writes an item browser; one that is there is replaced.

    Args:
        browsed: What it shows.
        folder: Where `items.html` goes, pages of benchmarks as `1-NAME.items.html`, and images
            into `items-images` where they are many. Of other pages, none ends in `items.html`: the
            server lets no script run in them (`infra.pages`).
        prefix: What stands before these names; it ends with a full stop.

    Returns:
        Whether there were any predictions; without them, nothing is written.
    """
    images, rows = folder / f"{prefix}{IMAGES}", browsed.predictions
    if images.is_dir():
        shutil.rmtree(images)
    whole = folder / f"{prefix}{PAGE}"
    for old in (whole, *folder.glob(f"{escape(prefix)}[0-9]*-*.{PAGE}")):
        old.unlink(missing_ok=True)
    if rows.empty:
        return False
    items = collect(rows, browsed.policies, MAX_ANSWERS)
    placed = _place_images({item["place"] for item in items}, browsed.problems, images)
    own = {
        benchmark: f"{prefix}{number}-{re.sub(r'[^A-Za-z0-9_-]+', '-', benchmark)[:60]}.{PAGE}"
        for number, benchmark in enumerate(_without_room(items), start=1)
    }
    way = f'<a href="{quote(browsed.report)}">The report</a>.'
    whole.write_text(_page(browsed, way, items, placed, own), encoding="utf-8")
    del items  # before those of a page with more room
    way = f'<a href="{quote(whole.name)}">The items of all benchmarks</a>.'
    for benchmark, file in own.items():
        titled = replace(browsed, title=f"{browsed.title}: {benchmark[:MAX_WORD]}")
        items = collect(rows[rows["benchmark"] == benchmark], browsed.policies, MAX_OWN_ANSWERS)
        (folder / file).write_text(_page(titled, way, items, placed, {}), encoding="utf-8")
    return True


def _without_room(items: Sequence[dict[str, Any]]) -> list[str]:
    """The benchmarks of which a page of their own shows more: longer answers, or further ones."""
    limit = fair_limit([len(one["text"]) for one in _shown(items)], MAX_TEXT)
    of_each: dict[str, list[dict[str, Any]]] = {}
    for item in items:
        of_each.setdefault(item["place"][0], []).append(item)
    return [
        benchmark
        for benchmark, its in of_each.items()
        if any(given["count"] > MAX_ANSWERS for item in its for given in item["answers"] if given)
        or (len(of_each) > 1 and any(len(one["text"]) > limit for one in _shown(its)))
    ]


def _page(
    browsed: Browsed,
    way: str,
    items: Sequence[dict[str, Any]],
    placed: Mapping[Place, tuple[list[str], str]],
    own: Mapping[str, str],
) -> str:
    """A page of these items, whose texts are cut to its room; `way` is where it leads, in HTML."""
    sources: dict[str, int] = {}
    for item in items:
        place = item.pop("place")
        held, item["image_note"] = placed.get(place, ([], ""))
        item["images"] = [sources.setdefault(source, len(sources)) for source in held]
        if place[0] in own:
            item["page"] = quote(own[place[0]])
    _cut_all(items, ("question", "reference"), MAX_TEXT // 3)
    _cut_all(_shown(items), ("text",), MAX_TEXT)
    names = [printable(name[:MAX_WORD]) for name in browsed.policies]
    data = {"policies": names, "images": list(sources), "items": items}
    script = "\n" + SCRIPT.read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # `file:` is for browsers to which the folder of a page on disk is not the page's own.
    policy = (
        "default-src 'none'; img-src data: file: 'self'; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'"
    )
    pages = ", ".join(
        f'<a href="{quote(file)}">{text_of(name[:MAX_WORD])}</a>' for name, file in own.items()
    )
    head = (
        f"<header><h1>{text_of(browsed.title)}</h1><p>{way} {text_of(browsed.note)} Long texts are "
        "cut in their middle, which is said there; predictions.parquet of the evaluation holds "
        f"the whole.</p>{f'<p>With more room for answers: {pages}.</p>' if pages else ''}</header>"
    )
    scripts = (
        f'<script type="application/json" id="data">{script_safe(data)}</script>\n'
        f"<script>{script}</script>\n"
    )
    return page(browsed.title, policy, STYLES, head + BODY + scripts)


def script_safe(data: object) -> str:
    """JSON that ends no script element and begins no comment, whatever it holds."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def collect(
    predictions: pd.DataFrame, policies: Sequence[str], max_answers: int
) -> list[dict[str, Any]]:
    """One entry per benchmark and problem, in the order of the predictions, with whole texts.

    A problem that was asked in two ways, or has two references, is two. Answers beyond
    `max_answers` of one policy are counted and not shown; of those shown, half are right and half
    are not, as far as there are any.
    """
    column = {name: index for index, name in enumerate(policies)}
    items: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in _rows(predictions):
        if row["policy"] not in column:
            continue
        key = (row["benchmark"], row["problem_id"], row.get("prompt_digest", ""), row["answer"])
        item = items.setdefault(key, _new_item(row, len(policies)))
        index = column[row["policy"]]
        given = item["answers"][index] or {"right": 0, "count": 0, "shown": ([], [])}
        item["answers"][index] = given
        given["count"] += 1
        given["right"] += row["outcome"] == "right"
        alike = given["shown"][row["outcome"] != "right"]
        if len(alike) < max_answers:
            alike.append(_answer(row, given["count"]))
    for item in items.values():
        for given in filter(None, item["answers"]):
            right, other = halves(given["shown"][0], given["shown"][1], max_answers)
            given["shown"] = sorted(right + other, key=lambda answer: int(answer["number"]))
    return list(items.values())


def halves(first: Sequence[One], second: Sequence[One], count: int) -> tuple[list[One], list[One]]:
    """The beginnings of two lists, half as many as `count` of each, more where one has fewer."""
    num_second = min(len(second), max(count // 2, count - len(first)))
    return list(first[: count - num_second]), list(second[:num_second])


def _rows(predictions: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Rows, one in memory at a time."""
    names = list(predictions.columns)
    for values in zip(*(predictions[name] for name in names), strict=True):
        yield dict(zip(names, values, strict=True))


def _new_item(row: Mapping[str, Any], num_policies: int) -> dict[str, Any]:
    prompt = asked(row)
    item = {
        "place": (row["benchmark"], row.get("origin", 0), row["problem_id"]),
        "benchmark": printable(row["benchmark"][:MAX_WORD]),
        "id": printable(row["problem_id"][:MAX_WORD]),
        "family": printable(row["family"][:MAX_WORD]),
        "level": None if pd.isna(row["level"]) else int(row["level"]),
        "question": prompt,
        "reference": row["answer"],
        "answers": [None] * num_policies,
    }
    # Many prompts of a benchmark begin with the same instruction: the list shows the question.
    start = row["question"][:MAX_START]
    return item if prompt.startswith(start) else item | {"start": printable(start)}


def asked(row: Mapping[Any, Any]) -> str:
    """What a prediction's policy was asked; of an older version, the bare question."""
    prompt = row.get("prompt")
    return str(row["question"] if prompt is None or pd.isna(prompt) else prompt)


def _answer(row: Mapping[str, Any], number: int) -> dict[str, Any]:
    return {
        "number": number,
        "note": read_as(row),
        "outcome": printable(row["outcome"][:MAX_WORD]),
        "tokens": None if _failure(row) or pd.isna(row["num_tokens"]) else int(row["num_tokens"]),
        "truncated": bool(row["truncated"]),
        "text": row["response"],
        "length": row.get("length"),
    }


def read_as(row: Mapping[Any, Any]) -> str:
    """In words, what a prediction's answer was read as and who judged it, or why there is none.

    Empty where the evaluation, of an older version, does not say.
    """
    if failure := _failure(row):
        return f"no response: {printable(failure[:MAX_WORD])}"
    if "extracted" not in row:
        return ""
    if (found := row["extracted"]) is None or pd.isna(found):
        return "no answer found in it"
    if row["outcome"] == "unparseable":
        return f"found “{printable(cut(found, MAX_WORD))}” in it, which cannot be read"
    judge = "judge" if row.get("judged_by") == "judge" else "rule"
    return f"read as “{printable(cut(found, MAX_WORD))}” by the {judge}"


def _failure(row: Mapping[Any, Any]) -> str:
    """Why an answer did not come; empty where it did, or an older version does not say."""
    why = row.get("failure")
    return "" if why is None or pd.isna(why) else str(why)


def _shown(items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """All answers of these items that are shown."""
    return [one for item in items for given in item["answers"] if given for one in given["shown"]]


def _cut_all(rows: Sequence[dict[str, Any]], names: Sequence[str], budget: int) -> None:
    lengths = [len(row[name]) for row in rows for name in names]
    limit = min(MAX_CHARACTERS, fair_limit(lengths, budget))
    for row in rows:
        length = row.pop("length", None)  # of what is already the ends of a longer text
        for name in names:
            # Marks are longer than what they stand for: a text of nothing else is cut twice.
            row[name] = cut(printable(cut(row[name], limit, length)), 2 * limit + 100)


def fair_limit(lengths: Sequence[int], budget: int) -> int:
    """The length to which texts have to be cut so that together they keep to the budget."""
    left = budget
    ordered = sorted(lengths)
    for index, length in enumerate(ordered):
        share = left // (len(ordered) - index)
        if length > share:
            return share
        left -= length
    return max(lengths, default=0)


def _place_images(
    wanted: set[Place], problems: Sequence[Path | None], folder: Path
) -> dict[Place, tuple[list[str], str]]:
    """Where the images of each problem are, for the page, and what is to be said of them.

    They are data of the page itself, or files in `folder` where they are too many for that.
    """
    by_problem: dict[tuple[int, str], list[Place]] = {}
    for place in wanted:
        by_problem.setdefault(place[1:], []).append(place)

    def of_wanted() -> Iterator[tuple[list[Place], list[bytes | None]]]:
        for origin, path in enumerate(problems):
            for problem, images in () if path is None else _encoded(path):
                if found := by_problem.get((origin, problem)):
                    yield found, images

    placed: dict[Place, tuple[list[str], str]] = {}
    known: dict[str, str] = {}  # an image that many problems share is in memory once
    try:
        sizes = {
            hashlib.sha256(image).digest(): len(image)
            for _, images in of_wanted()
            for image in images
            if image is not None
        }
        beside = 4 * sum(sizes.values()) / 3 > MAX_EMBEDDED_BYTES
        for places, images in of_wanted():
            sources = [_source(image, folder if beside else None) for image in images]
            held = [known.setdefault(one, one) for one in sources if one is not None]
            whole = len(held) == len(sources)
            note = "" if whole else "An image is missing, or none that browsers show."
            placed |= dict.fromkeys(places, (held, note))
    except Exception as error:  # noqa: BLE001 - somebody else may have written it; each item says so
        reason = printable(str(error)[:MAX_WORD])
        return dict.fromkeys(wanted, ([], f"The images cannot be read: {reason}"))
    return placed


def _encoded(problems: Path) -> Iterator[tuple[str, list[bytes | None]]]:
    """Each problem's id and encoded images, a few in memory at a time."""
    for batch in pq.ParquetFile(problems).iter_batches(64, columns=["id", "images"]):
        for row in batch.to_pylist():
            held = [image.get("bytes") for image in row["images"] or ()]
            yield str(row["id"]), [one if isinstance(one, bytes) else None for one in held]


def _source(image: bytes | None, folder: Path | None) -> str | None:
    """An address for the page: the image itself, or a file that is written into `folder`."""
    kind = None if image is None else image_kind(image)
    if image is None or kind is None:
        return None
    if folder is None:
        return f"data:{kind};base64,{base64.b64encode(image).decode('ascii')}"
    folder.mkdir(exist_ok=True)
    name = f"{hashlib.sha256(image).hexdigest()[:32]}.{kind.removeprefix('image/')}"
    (folder / name).write_bytes(image)
    return f"{quote(folder.name)}/{name}"
