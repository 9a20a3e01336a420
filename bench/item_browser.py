"""The report's item browser with 10,000 items, in headless Chromium: seconds until it is usable.

`python -m bench.item_browser [--items 10000]` prints how long the page takes to open and each
filter to show its result, up to the painted frame, and the page's size. It needs Chromium
(`apt-get install chromium`), which is driven by its own protocol on loopback.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd

from report.evidence import gather
from report.items import PAGE, write_items
from tests.browser import Browser, chromium
from tests.report.conftest import make_run, png
from training.records import Problem, write_problems

POLICIES = ("base", "cold_start", "multimodal_rl", "text_rl")
BENCHMARKS = ("mathverse", "mathvision", "dynamath", "math-500")
OPEN_SECONDS, FILTER_SECONDS = 2.0, 0.2
RESPONSE_CHARACTERS = 400  # together as much as a page holds before it cuts texts
WORDS = ("angle", "length", "half", "figure", "sum", "twice", "area", "point", "line", "circle")
# What a person does; each waits until the frame with its result has been painted.
READY = """new Promise((resolve) => {
  const painted = () => requestAnimationFrame(() => requestAnimationFrame(() => resolve(true)));
  const look = () => document.getElementById("list")?.children.length ? painted()
    : setTimeout(look, 5);
  look(); })"""
FILTERS = {
    "search, as soon as it is open": ("search", "line length"),
    "benchmark": ("benchmark", "mathvision"),
    "subject": ("family", "subject 3"),
    "level": ("level", "4"),
    "wrong answers of one policy": ("policy0", "wrong"),
    "changes between two policies": ("change", "better"),
    "search, rare": ("search", "area twice circle half"),
    "search, frequent": ("search", "half figure"),
}


def predictions(num_items: int) -> pd.DataFrame:
    """Answers of four policies to so many items."""
    draws = random.Random(0)
    rows = []
    for number in range(num_items):
        benchmark = BENCHMARKS[number % len(BENCHMARKS)]
        question = f"{number}: " + " ".join(draws.choices(WORDS, k=30))
        for policy in POLICIES:
            text = " ".join(draws.choices(WORDS, k=RESPONSE_CHARACTERS // 6))
            rows.append(
                {
                    "policy": policy,
                    "benchmark": benchmark,
                    "problem_id": f"{benchmark}/{number}",
                    "level": number % 5 + 1,
                    "family": f"subject {number % 16}",
                    "question": question,
                    "answer": str(number),
                    "response": f"<think>{text}</think> \\boxed{{{number}}}",
                    "outcome": draws.choice(["right", "wrong", "unparseable"]),
                    "truncated": False,
                    "num_tokens": 120,
                }
            )
    return pd.DataFrame(rows)


def problems(rows: pd.DataFrame, path: Path) -> Path:
    """The problems of these rows; those of three benchmarks of four have a picture."""
    write_problems(
        (problem(row) for row in rows.drop_duplicates("problem_id").to_dict("records")), path
    )
    return path


def problem(row: dict[Any, Any]) -> Problem:
    """One problem, with a small picture of its own number."""
    has_picture = row["benchmark"] != "math-500"
    images = [{"bytes": png(row["answer"]), "path": None}] if has_picture else []
    return {
        "id": row["problem_id"],
        "source": row["benchmark"],
        "modality": "multimodal" if has_picture else "text",
        "family": row["family"],
        "template": row["benchmark"],
        "level": row["level"],
        "question": row["question"],
        "images": images,
        "answer": row["answer"],
        "solution": None,
        "reading": None,
        "pass_rate": None,
    }


def filter_script(name: str, value: str) -> str:
    """Sets a filter as a person does, and promises the milliseconds until its result is painted.

    A search waits for its pause in typing, which counts.
    """
    kind = "input" if name == "search" else "change"
    return f"""new Promise((resolve) => {{
      const element = document.getElementById({json.dumps(name)});
      const count = document.getElementById("count"), start = performance.now();
      const painted = () => resolve(performance.now() - start);
      new MutationObserver((_, observer) => {{ observer.disconnect();
        requestAnimationFrame(() => requestAnimationFrame(painted)); }})
        .observe(count, {{ childList: true, characterData: true, subtree: true }});
      element.value = {json.dumps(value)};
      element.dispatchEvent(new Event({json.dumps(kind)}, {{ bubbles: true }}));
    }})"""


CLEAR = """new Promise((resolve) => { document.getElementById("filters").reset();
  setTimeout(resolve, 300); })"""


def open_seconds(browser: Browser, page: Path) -> float:
    """Seconds from the address to the painted list."""
    browser.call("Page.navigate", url="about:blank")
    time.sleep(0.5)
    start = time.perf_counter()
    browser.call("Page.navigate", url=page.as_uri())
    browser.evaluate(READY)
    return time.perf_counter() - start


def main() -> int:
    """Prints the figures; exits with 1 if one is above its bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    figures: list[tuple[str, float, float]] = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        run, folders = make_run(folder / "run")
        rows = predictions(options.items)
        evidence = replace(
            gather(run, folders),
            predictions=rows,
            problems=problems(rows, folder / "problems.parquet"),
        )
        start = time.perf_counter()
        write_items(run, evidence, folder)
        wrote = time.perf_counter() - start
        page = folder / PAGE
        print(
            f"{options.items} items of {len(POLICIES)} policies: written in {wrote:.1f} s, ", end=""
        )
        print(f"{page.stat().st_size / 1e6:.1f} MB")
        with chromium(folder) as browser:
            opened = [open_seconds(browser, page) for _ in range(options.rounds)]
            figures.append(("opens", median(opened), OPEN_SECONDS))
            for title, (control, value) in FILTERS.items():
                seconds = float(str(browser.evaluate(filter_script(control, value)))) / 1000
                count = browser.evaluate('document.getElementById("count").textContent')
                figures.append((f"{title} ({count})", seconds, FILTER_SECONDS))
                browser.evaluate(CLEAR)
    for title, seconds, bar in figures:
        verdict = "met" if seconds <= bar else "missed"
        print(f"{title:<55} {1000 * seconds:7.0f} ms  at most {1000 * bar:.0f}  {verdict}")
    return int(any(seconds > bar for _, seconds, bar in figures))


if __name__ == "__main__":
    sys.exit(main())
