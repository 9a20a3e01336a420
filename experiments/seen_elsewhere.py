"""How well decontamination finds MATH-Vision's problems in other pictures, and without any.

`python -m experiments.seen_elsewhere FOLDER [--rows FILE ...]`. The folder is a copy of the public
repository mathllm/MATH-V, with `data/test.jsonl` and `images/`; each file of rows has JSON lines
with `problem` and `answer`, or a `solution` with a box, as copies of MATH have. Some three minutes.
"""

import argparse
import io
import json
import random
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path

from PIL import Image

from training.answers.boxed import extract_boxed
from training.curation.asked import Asked
from training.curation.decontamination import BenchmarkIndex
from training.curation.duplicates import pixels_digest
from training.curation.looks import Look, look_alike, look_of
from training.evaluation.choices import LETTERS
from training.images import decode_image, num_pixels
from training.recipe.curation import DecontaminationRecipe
from training.records import EncodedImage, Problem

_MARK = "<image1>"
_NUM_PICTURES, _MAX_PIXELS, _SEED = 500, 2**21, 12
# How a picture is stored anew: format, quality, scale.
_STORED = (("JPEG", 95, 1), ("JPEG", 75, 1), ("JPEG", 30, 1), ("WEBP", 50, 1), ("PNG", 0, 1.5))
_SCALED = (("JPEG", 85, 0.9), ("PNG", 0, 0.5), ("JPEG", 75, 1 / 3))


def main() -> int:
    """Measures, and prints two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=Path, nargs="*", default=[])
    options = parser.parse_args()
    items = list(read_items(options.folder))
    print(table_of_pictures(items))
    if options.rows:
        print("\n" + table_of_texts(items, options.rows))
    return 0


def read_items(folder: Path) -> Iterable[Problem]:
    """The benchmark's problems, with pictures."""
    for line in (folder / "data" / "test.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        answers = dict(zip(LETTERS, row["options"], strict=False))
        image = EncodedImage(bytes=(folder / row["image"]).read_bytes(), path=None)
        question = row["question"].replace(_MARK, "").strip()
        yield problem(row["id"], question, answers.get(row["answer"], row["answer"]), [image])


def problem(number: str, question: str, answer: str, images: list[EncodedImage]) -> Problem:
    """A record with what is compared."""
    return Problem(
        id=number,
        source="",
        modality="multimodal" if images else "text",
        family="",
        template="",
        level=None,
        question=question,
        images=images,
        answer=answer,
        solution=None,
        reading=None,
        pass_rate=None,
    )


def table_of_pictures(items: list[Problem]) -> str:
    """Pictures that look alike: stored anew, and any two of the benchmark's."""
    drawn = random.Random(_SEED).sample(items, len(items))
    images = [item["images"][0] for item in drawn if num_pixels(item["images"]) <= _MAX_PIXELS]
    images = images[:_NUM_PICTURES]
    looks = [look_of(image) for image in images]
    lines = ["| pictures | pairs | look alike |", "| --- | ---: | ---: |"]
    for kind, quality, scale in (*_STORED, *_SCALED):
        again = (look_of(_stored(image, kind, quality, scale)) for image in images)
        found = sum(_alike(*pair) for pair in zip(looks, again, strict=True))
        lines.append(
            _line(
                f"{kind} {quality}".removesuffix(" 0") + f", scale {scale:.2g}", len(looks), found
            )
        )
    pixels = [pixels_digest([image]) for image in images]
    others = [
        pair for pair in combinations(range(len(images)), 2) if pixels[pair[0]] != pixels[pair[1]]
    ]
    found = sum(_alike(looks[one], looks[other]) for one, other in others)
    lines.append(_line("two that are not the same", len(others), found))
    return "\n".join(lines)


def _stored(image: EncodedImage, kind: str, quality: int, scale: float) -> EncodedImage:
    picture, written = decode_image(image), io.BytesIO()
    size = (round(picture.width * scale), round(picture.height * scale))
    picture.resize(size, Image.Resampling.BICUBIC).save(written, kind, quality=quality or 75)
    return EncodedImage(bytes=written.getvalue(), path=None)


def _alike(left: Look, right: Look) -> bool:
    return look_alike([left], [right])


def _line(words: str, pairs: int, found: int) -> str:
    return f"| {words} | {pairs:,} | {found:,} ({found / pairs:.2%}) |"


def table_of_texts(items: list[Problem], files: list[Path]) -> str:
    """Rows without pictures that leak one of the benchmark's, and whose answers are the same."""
    index = BenchmarkIndex({"mathvision": items})
    containment = DecontaminationRecipe().containment
    lines = ["| rows | number | leaks | with the same answer |", "| --- | ---: | ---: | ---: |"]
    for file in files:
        rows = [Asked(row) for row in _read_rows(file)]
        leaks, _ = index.search(rows, containment)
        same = sum(rows[row].has_answer_of(Asked(items[item])) for row, item in leaks.items())
        lines.append(f"| {file.name} | {len(rows):,} | {len(leaks)} | {same} |")
    return "\n".join(lines)


def _read_rows(file: Path) -> Iterable[Problem]:
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines()):
        row = json.loads(line)
        answer = row.get("answer") or extract_boxed(row.get("solution", "")) or ""
        yield problem(str(number), row["problem"], answer, [])


if __name__ == "__main__":
    raise SystemExit(main())
