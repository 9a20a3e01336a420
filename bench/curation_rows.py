"""Generated word problems for curation's bench, some of them with the faults that it looks for.

Few templates and many numbers: the worst case for whoever looks for twins. Pass rates and levels
are drawn, too, and come with the rows: then curation samples nothing. From a fixed seed.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from experiments.twins.corpus import NAMES, TEMPLATES

GROUP_ROWS = 10_000
NUM_QUESTIONS = 1000  # of the benchmark
TEXTS = [f"{body} {ask}" for body, asks in TEMPLATES.items() for ask in asks]
# What a row is made into, and the share of such rows; the rest are plain.
SHARES = {
    "equal": 0.03,  # an earlier row in capitals
    "near": 0.03,  # an earlier row with a typing error
    "leak": 0.005,  # a question of the benchmark, in capitals
    "proof": 0.02,
    "no answer": 0.01,
}
REPEATED = 5000  # how far back the row lies that is repeated, at most
TRACED = 0.3  # share of rows with a trace
SAMPLES = 8  # of which a pass rate tells the share that was right
GRADED = 0.8  # share of rows with a level; of the others the pass rate decides
_TEXTS = ("id", "question", "answer", "solution")
_SCHEMA = pa.schema(
    {**dict.fromkeys(_TEXTS, pa.string()), "level": pa.int32(), "pass_rate": pa.float64()}
)


def write_rows(folder: Path, num_rows: int, seed: int = 0) -> None:
    """Writes a source: `rows.parquet` with a column for each field."""
    folder.mkdir(parents=True)
    with pq.ParquetWriter(folder / "rows.parquet", _SCHEMA) as writer:
        for table in _groups(num_rows, seed):
            writer.write_table(table, row_group_size=GROUP_ROWS)


def write_benchmark(folder: Path) -> None:
    """Writes the benchmark whose questions leak: `items.parquet`."""
    folder.mkdir(parents=True)
    questions, answers = _plain(np.random.default_rng(2**31), NUM_QUESTIONS)
    pq.write_table(pa.table({"question": questions, "answer": answers}), folder / "items.parquet")


def _plain(rng: np.random.Generator, count: int) -> tuple[list[str], list[str]]:
    """Questions and answers; their numbers are from 11 to 999."""
    numbers = rng.integers(11, 1000, (count, 4)).tolist()
    texts = rng.integers(len(TEXTS), size=count).tolist()
    names = rng.integers(len(NAMES), size=(count, 2)).tolist()
    questions = [
        TEXTS[text].format(a=a, b=b, c=c, d=d, n=NAMES[n], m=NAMES[m])
        for text, (a, b, c, d), (n, m) in zip(texts, numbers, names, strict=True)
    ]
    return questions, [str(a * b + c) for a, b, c, _ in numbers]


def _groups(num_rows: int, seed: int) -> Iterator[pa.Table]:
    asked, keys = _plain(np.random.default_rng(2**31), NUM_QUESTIONS)
    kinds = [*SHARES, "plain"]
    shares = [*SHARES.values(), 1.0 - sum(SHARES.values())]
    for start in range(0, num_rows, GROUP_ROWS):
        rng = np.random.default_rng([seed, start])
        count = min(GROUP_ROWS, num_rows - start)
        questions, answers = _plain(rng, count)
        drawn = rng.choice(len(kinds), size=count, p=shares).tolist()
        back = rng.integers(1, REPEATED, size=count).tolist()
        for place, kind in enumerate(drawn):
            earlier = max(place - back[place], 0)
            match kinds[kind]:
                case "equal":
                    questions[place] = questions[earlier].upper()
                    answers[place] = answers[earlier]
                case "near":
                    questions[place] = _misspelt(questions[earlier])
                    answers[place] = answers[earlier]
                case "leak":
                    item = back[place] % NUM_QUESTIONS
                    questions[place], answers[place] = asked[item].upper(), keys[item]
                case "proof":
                    questions[place] = f"Prove the following. {questions[place]}"
                case "no answer":
                    answers[place] = ""
        traced = (rng.random(count) < TRACED).tolist()
        solutions = [
            f"<think>{question} So it is {answer}.</think> \\boxed{{{answer}}}" if has else None
            for question, answer, has in zip(questions, answers, traced, strict=True)
        ]
        ids = [f"bench/{start + place}" for place in range(count)]
        levels = pa.array(rng.integers(1, 11, count), mask=rng.random(count) >= GRADED)
        rates = rng.integers(SAMPLES + 1, size=count) / SAMPLES
        yield pa.table([ids, questions, answers, solutions, levels, rates], schema=_SCHEMA)


def _misspelt(question: str) -> str:
    """The question with a letter left out of its longest word."""
    word = max(question.split(), key=len)
    return question.replace(word, word[:3] + word[4:], 1)
