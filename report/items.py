"""The item browser: every item with every policy's answers, as a page that goes with the report.

The page holds its data as JSON and one script of ours. Its policy names that script by digest: a
browser that obeys it runs nothing else, whatever the models wrote.
"""

import base64
import hashlib
import json
import shutil
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from contracts.run_record import RunRecord
from report.evidence import Evidence
from report.text import printable
from report.write_html import image_kind, page, text_of

PAGE, IMAGES = "items.html", "items-images"
MAX_EMBEDDED_BYTES = 20_000_000  # of images in base64; more lie in a folder beside the page
MAX_TEXT = 16_000_000  # characters of all answers, and a third of it of all questions
MAX_CHARACTERS = 20_000  # of one text
MAX_ANSWERS = 4  # shown of one policy to one item
MAX_WORD = 200  # characters of a name
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


def write_items(run: RunRecord, evidence: Evidence, folder: Path) -> bool:
    """Writes `items.html` into a report's folder, and images beside it where they are many.

    Args:
        run: The run's record.
        evidence: What its stages left.
        folder: The report's; an item browser that is there is replaced.

    Returns:
        Whether there were any predictions; without them, nothing is written.
    """
    if (folder / IMAGES).is_dir():
        shutil.rmtree(folder / IMAGES)
    (folder / PAGE).unlink(missing_ok=True)
    if evidence.predictions is None or evidence.predictions.empty:
        return False
    policies = evidence.policies or tuple(dict.fromkeys(evidence.predictions["policy"]))
    items = collect(evidence.predictions, policies)
    sources = _place_images(items, evidence.problems, folder)
    names = [printable(name[:MAX_WORD]) for name in policies]
    data = {"policies": names, "images": sources, "items": items}
    script = "\n" + SCRIPT.read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # `file:` is for browsers to which the folder of a page on disk is not the page's own.
    policy = (
        "default-src 'none'; img-src data: file: 'self'; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'"
    )
    title = f"Items of run {run.name}"
    head = (
        f'<header><h1>{text_of(title)}</h1><p><a href="report.html">The report</a>. Long texts are '
        "cut in their middle, which is said there; predictions.parquet of the evaluation holds "
        "the whole.</p></header>"
    )
    scripts = (
        f'<script type="application/json" id="data">{script_safe(data)}</script>\n'
        f"<script>{script}</script>\n"
    )
    html = page(title, policy, STYLES, head + BODY + scripts)
    (folder / PAGE).write_text(html, encoding="utf-8")
    return True


def script_safe(data: object) -> str:
    """JSON that ends no script element and begins no comment, whatever it holds."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def collect(predictions: pd.DataFrame, policies: Sequence[str]) -> list[dict[str, Any]]:
    """One entry per benchmark and problem, in the order of the predictions.

    Answers beyond `MAX_ANSWERS` of one policy are counted and not shown; texts are cut so that all
    fit into the page, the longest ones first.
    """
    column = {name: index for index, name in enumerate(policies)}
    items: dict[tuple[str, str], dict[str, Any]] = {}
    for row in predictions.to_dict("records"):
        key = (row["benchmark"], row["problem_id"])
        if row["policy"] not in column:
            continue
        item = items.setdefault(key, _new_item(row, len(policies)))
        place = column[row["policy"]]
        given = item["answers"][place] or {"right": 0, "count": 0, "shown": []}
        item["answers"][place] = given
        given["count"] += 1
        given["right"] += row["outcome"] == "right"
        if len(given["shown"]) < MAX_ANSWERS:
            given["shown"].append(_answer(row))
    found = list(items.values())
    _cut_all(found, ("question", "reference"), MAX_TEXT // 3)
    given = [one for item in found for one in item["answers"] if one is not None]
    _cut_all([answer for one in given for answer in one["shown"]], ("text",), MAX_TEXT)
    return found


def _new_item(row: Mapping[Hashable, Any], num_policies: int) -> dict[str, Any]:
    return {
        "benchmark": printable(row["benchmark"][:MAX_WORD]),
        "id": printable(row["problem_id"][:MAX_WORD]),
        "problem_id": row["problem_id"],
        "family": printable(row["family"][:MAX_WORD]),
        "level": None if pd.isna(row["level"]) else int(row["level"]),
        "question": row["question"],
        "reference": row["answer"],
        "answers": [None] * num_policies,
    }


def _answer(row: Mapping[Hashable, Any]) -> dict[str, Any]:
    notes = ["found by the judge"] if row.get("judged_by") == "judge" else []
    if (failure := row.get("failure")) is not None and not pd.isna(failure):
        notes.append(f"no response: {printable(failure[:MAX_WORD])}")
    return {
        "note": "; ".join(notes),
        "outcome": printable(row["outcome"][:MAX_WORD]),
        "tokens": None if pd.isna(row["num_tokens"]) else int(row["num_tokens"]),
        "truncated": bool(row["truncated"]),
        "text": row["response"],
    }


def _cut_all(rows: Sequence[dict[str, Any]], names: Sequence[str], budget: int) -> None:
    lengths = [len(row[name]) for row in rows for name in names]
    limit = min(MAX_CHARACTERS, fair_limit(lengths, budget))
    for row in rows:
        for name in names:
            # Marks are longer than what they stand for: a text of nothing else is cut twice.
            row[name] = cut(printable(cut(row[name], limit)), 2 * limit + 100)


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


def cut(text: str, limit: int) -> str:
    """The beginning and the end of a longer text, `limit` characters, and how much is not there."""
    if len(text) <= limit:
        return text
    head = 2 * limit // 3
    note = f"\n[… {len(text) - limit} characters are not shown …]\n"
    return text[:head] + note + text[len(text) - (limit - head) :]


def _place_images(
    items: Sequence[dict[str, Any]], problems: Path | None, folder: Path
) -> list[str]:
    """Gives each item the numbers of its images, and returns where each image is.

    An image that several items share is there once.
    """
    by_problem: dict[str, list[dict[str, Any]]] = {}
    for item in items:
        item |= {"images": [], "image_note": ""}
        by_problem.setdefault(item.pop("problem_id"), []).append(item)
    if problems is None:
        return []
    try:
        sizes = {
            hashlib.sha256(image).digest(): len(image)
            for problem, images in _encoded(problems)
            if problem in by_problem
            for image in images
            if image is not None
        }
        beside = 4 * sum(sizes.values()) / 3 > MAX_EMBEDDED_BYTES
        sources: dict[str, int] = {}
        for problem, images in _encoded(problems):
            for item in by_problem.get(problem, ()):
                for image in images:
                    source = _source(image, folder / IMAGES if beside else None)
                    if source is None:
                        item["image_note"] = "An image is missing, or none that browsers show."
                    else:
                        item["images"].append(sources.setdefault(source, len(sources)))
    except Exception as error:  # noqa: BLE001 - somebody else may have written it; each item says so
        for item in items:
            reason = printable(str(error)[:MAX_WORD])
            item |= {"images": [], "image_note": f"The images cannot be read: {reason}"}
        return []
    return list(sources)


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
    return f"{IMAGES}/{name}"
