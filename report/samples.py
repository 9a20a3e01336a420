"""Sample answers: the same problems answered by every policy, drawn by the run's seed."""

import random
from pathlib import Path

import pandas as pd

from contracts.run_record import RunRecord
from report import items
from report.blocks import Block, Link, Prose, Response, Sample, Section
from report.evidence import Evidence
from report.text import cut

NUM_SAMPLES = 12  # over all benchmarks
MAX_PER_BENCHMARK = 4
MAX_IMAGE_BYTES = 80_000  # per problem: 12 problems stay near 1.3 MB in base64
MAX_CHARACTERS = 1500


def sample_answers(run: RunRecord, evidence: Evidence) -> Section:
    """For each benchmark a few problems, half of which the last policy got wrong if it can."""
    predictions = evidence.predictions
    if predictions is None or predictions.empty:
        text = "There are no predictions, so no sample answers can be shown."
        return Section("Sample answers", "samples", (Prose(text, "bad"),))
    order = list(evidence.policies) or list(dict.fromkeys(predictions["policy"]))
    benchmarks = list(dict.fromkeys(predictions["benchmark"]))
    per_benchmark = min(MAX_PER_BENCHMARK, max(1, NUM_SAMPLES // len(benchmarks)))
    blocks: list[Block] = [
        Prose(
            f"Drawn by the run's seed ({run.seed}), not by hand: per benchmark, half the problems "
            f"from those that {order[-1]} got right and half from those it did not, "
            "as far as there are any. The sample is therefore no estimate of accuracy."
        ),
        Link("All items with the answers of every policy", items.PAGE),
    ]
    for benchmark in benchmarks[:NUM_SAMPLES]:
        rows = predictions[predictions["benchmark"] == benchmark]
        chosen = choose(rows, order[-1], per_benchmark, f"{run.seed}/{benchmark}")
        images = _read_images(evidence.problems, chosen)
        blocks += [
            _sample(benchmark, rows[rows["problem_id"] == one], order, images.get(one, ()))
            for one in chosen
        ]
    return Section("Sample answers", "samples", tuple(blocks))


def choose(rows: pd.DataFrame, policy: str, count: int, seed: str) -> list[str]:
    """Draws problem ids, half from those `policy` got right, topped up from the other half.

    Args:
        rows: Predictions on one benchmark.
        policy: Whose outcomes split the problems.
        count: How many to draw at most.
        seed: Makes the draw repeatable.
    """
    generator = random.Random(seed)
    mine = rows[rows["policy"] == policy].drop_duplicates("problem_id")
    is_right = mine["outcome"] == "right"
    right = sorted(mine[is_right]["problem_id"])
    wrong = sorted(mine[~is_right]["problem_id"])
    generator.shuffle(right)
    generator.shuffle(wrong)
    some_right, some_wrong = items.halves(right, wrong, count)
    return some_right + some_wrong


def _sample(
    benchmark: str, answers: pd.DataFrame, order: list[str], encoded: tuple[bytes | None, ...]
) -> Sample:
    first = answers.iloc[0]
    level = "" if pd.isna(first["level"]) else f", level {int(first['level'])}"
    images, note = embeddable(encoded)
    responses = []
    for policy in order:
        mine = answers[answers["policy"] == policy]
        if not mine.empty:
            row = mine.iloc[0]
            text = cut(str(row["response"]), MAX_CHARACTERS, row.get("length"))
            reading = items.read_as(row.to_dict())
            responses.append(Response(policy, str(row["outcome"]), reading, text))
    return Sample(
        heading=f"{benchmark}: {first['family']}{level} ({first['problem_id']})",
        question=cut(items.asked(first.to_dict()), MAX_CHARACTERS),
        answer=cut(str(first["answer"]), MAX_CHARACTERS),
        images=images,
        image_note=note,
        responses=tuple(responses),
    )


def _read_images(path: Path | None, problem_ids: list[str]) -> dict[str, tuple[bytes | None, ...]]:
    """The encoded images of a few problems; the others are never read into memory.

    Of a file that cannot be read, each has one that is not there.
    """
    if path is None or not problem_ids:
        return {}
    try:
        rows = pd.read_parquet(path, columns=["id", "images"], filters=[("id", "in", problem_ids)])
        return {
            str(problem_id): tuple(map(_bytes_of, images))
            for problem_id, images in zip(rows["id"], rows["images"], strict=True)
        }
    except Exception:  # noqa: BLE001 - somebody else may have written it; each sample says so
        return dict.fromkeys(problem_ids, (None,))


def _bytes_of(image: object) -> bytes | None:
    held = image.get("bytes") if isinstance(image, dict) else None
    return held if isinstance(held, bytes) else None


def embeddable(encoded: tuple[bytes | None, ...]) -> tuple[tuple[bytes, ...], str]:
    """The images of one problem, or none and the reason why."""
    held = tuple(image for image in encoded if image is not None)
    if len(held) < len(encoded):
        return (), "The image is not in the Parquet file, or cannot be read."
    size = sum(map(len, held))
    if size > MAX_IMAGE_BYTES:
        return (), f"The image is too large to embed ({size / 1000:.0f} kB)."
    return held, ""
