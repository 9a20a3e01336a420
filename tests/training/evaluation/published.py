"""Benchmarks in the columns in which they were published; the content is ours."""

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from datasets import Dataset, Features, Image
from PIL import Image as Pillow

VERSIONS = ("Text Dominant", "Text Lite", "Vision Intensive", "Vision Dominant", "Vision Only")
Rows = Sequence[Mapping[str, object]]


def picture(shade: int = 0) -> dict[str, object]:
    """A whole PNG, different for every shade."""
    file = io.BytesIO()
    Pillow.new("RGB", (8, 8), (shade % 256, shade // 256, 7)).save(file, "PNG")
    return {"bytes": file.getvalue(), "path": "/etc/passwd"}  # a path that nobody may follow


def write(
    folder: Path, rows: Rows, name: str = "test-00000-of-00001.parquet", image: str | None = None
) -> Path:
    """Writes rows as the hub does; `image` is the column of pictures."""
    columns = {key: [row[key] for row in rows] for key in rows[0]}
    data = Dataset.from_dict(
        {key: values for key, values in columns.items() if key != image}
        | ({image: columns[image]} if image else {})
    )
    if image:
        features = Features({**data.features, image: Image(decode=False)})
        data = data.cast(features)
    folder.mkdir(parents=True, exist_ok=True)
    data.to_parquet(str(folder / name))
    return folder


def math500(folder: Path) -> Path:
    answers = ("\\frac{1}{2}", "x^2+1", "(3, \\pi)", "2")
    return write(
        folder,
        [
            {
                "problem": f"Find number {n}.",
                "solution": "As ever.",
                "answer": answer,
                "subject": ("Algebra", "Geometry")[n % 2],
                "level": 1 + n,
                "unique_id": f"test/algebra/{n}.json",
            }
            for n, answer in enumerate(answers)
        ],
    )


def aime24(folder: Path) -> Path:
    rows = [
        {
            "id": 60 + n,
            "problem": f"Which number is {n}?",
            "solution": "",
            "answer": answer,
            "url": "u",
            "year": "2024",
        }
        for n, answer in enumerate(("204", "073", "5"))
    ]
    return write(folder, rows, "train-00000-of-00001.parquet")


def aime25(folder: Path) -> Path:
    rows = [{"problem": f"Which number is {n}?", "answer": f"{70 + n}"} for n in range(3)]
    return write(folder, rows, "train-00000-of-00001.parquet")


def gpqa(folder: Path) -> Path:
    return write(
        folder,
        [
            {
                "Record ID": f"rec{n}",
                "Question": f"Which gas is number {n}?",
                "Correct Answer": f"neon {n}",
                "Incorrect Answer 1": "argon",
                "Incorrect Answer 2": "xenon",
                "Incorrect Answer 3": "krypton",
                "Subdomain": "Noble gases",
                "High-level domain": ("Chemistry", "Physics")[n % 2],
            }
            for n in range(12)
        ],
        "0000.parquet",
    )


def mathvision(folder: Path) -> Path:
    cases: list[tuple[list[str], str]] = [
        (["3 cm", "4 cm", "5 cm"], "B"),
        (["A", "B", "C", "D", "E"], "D"),
        ([], "2.5"),
        ([], "(1,2)"),
    ]
    return write(
        folder,
        [
            {
                "id": str(n),
                "question": f"How long is side {n}?\n<image1>",
                "options": options,
                "image": f"images/{n}.jpg",
                "decoded_image": picture(n),
                "answer": answer,
                "solution": None,
                "level": 1 + n,
                "subject": "metric geometry - length",
            }
            for n, (options, answer) in enumerate(cases)
        ],
        image="decoded_image",
    )


def mathvista(folder: Path) -> Path:
    cases = [
        ("multi_choice", "text", ["Yes", "No"], "No", None, None),
        ("multi_choice", "integer", ["145", "122", "123"], "122", None, None),
        ("free_form", "integer", None, "14", None, None),
        ("free_form", "float", None, "1.2", 1.0, "cm"),
        ("free_form", "list", None, "[1, 0, 2]", None, None),
        ("free_form", "text", None, "Line AB", None, None),
    ]
    return write(
        folder,
        [
            {
                "pid": str(n),
                "question": f"What is shown in picture {n}?",
                "image": f"images/{n}.jpg",
                "decoded_image": picture(n),
                "choices": choices,
                "unit": unit,
                "precision": precision,
                "answer": answer,
                "question_type": question_type,
                "answer_type": answer_type,
                "metadata": {"task": "geometry problem solving", "skills": ["x"]},
                "query": f"Hint: end with the answer.\nQuestion: What is shown in picture {n}?",
            }
            for n, (question_type, answer_type, choices, answer, precision, unit) in enumerate(
                cases
            )
        ],
        image="decoded_image",
    )


def mathverse(folder: Path) -> Path:
    return write(
        folder,
        [
            {
                "sample_index": str(5 * problem + n),
                "problem_index": str(problem),
                "problem_version": version,
                "question": "" if version == "Vision Only" else f"Find angle {problem}.",
                "image": picture(5 * problem + n),
                "answer": "B" if problem else "60",
                "question_type": "multi-choice" if problem else "free-form",
                "metadata": {
                    "split": "testmini",
                    "source": "s",
                    "subject": "Plane Geometry",
                    "subfield": "Angle",
                },
                "query_wo": "Please answer.",
                "query_cot": f"Please reason first.\nQuestion: find angle {problem}.",
                "question_for_eval": f"Find angle {problem}."
                + ("\nChoices:\nA:30°\nB:60°\nC:90°" if problem else ""),
            }
            for problem in range(2)
            for n, version in enumerate(VERSIONS)
        ],
        "testmini.parquet",
        image="image",
    )


def dynamath(folder: Path, num_seeds: int = 3) -> Path:
    kinds = (("float", "0.125"), ("multiple choice", "C"), ("text", "Even"))
    for variant in range(1, 11):
        rows = [
            {
                "id": str(seed),
                "question": f"Seed {seed} in variant {variant}?",
                "image": "i.png",
                "decoded_image": picture(20 * seed + variant),
                "ground_truth": kinds[seed % 3][1],
                "answer_type": kinds[seed % 3][0],
                "subject": "algebra",
                "knowledge_level": "high school",
            }
            for seed in range(num_seeds)
        ]
        name = f"sample{variant}-00000-of-{variant:05}.parquet"  # as the hub has it
        write(folder, rows, name, image="decoded_image")
    return folder


def wemath(folder: Path) -> Path:
    """One problem of two steps, two of three; the ID of the first is shared by one of three."""
    problems = [(2, "0"), (3, "0"), (3, "1")]
    return write(
        folder,
        [
            {
                "ID": name,
                "split": "testmini",
                "knowledge concept": "Area",
                "question": f"Problem {steps}/{name}, step {step}?",
                "option": "A. 2 cm; B. 3 cm; C. 4 cm; D. No correct answer",
                "answer": "B",
                "image_path": picture(10 * steps + int(name)),
                "key": f"{steps}steps_{step}",
                "question number": 1,
                "knowledge concept description": "d",
            }
            for steps, name in problems
            for step in [*range(1, steps + 1), "multi"]
        ],
        image="image_path",
    )


def logicvista(folder: Path) -> Path:
    """As the mirror has them: rows known by `id`, and one without a question or a key."""
    cases = [("v1_0", "B"), ("v1_1", "B, D"), ("v1_20", "3"), ("v1_382", "")]
    return write(
        folder,
        [
            {
                "id": name,
                "image": picture(n),
                "question": f"Which figure comes next after {n}?" if answer else "",
                "answer": answer,
                "reasoning": "r",
                "skill": ["inductive"],
                "broad_capability": ["diagram"],
                "specific_capability": ["patterns"],
                "imagesource": "a test",
                "sourcelink": "l",
                "liscenced": "no",
            }
            for n, (name, answer) in enumerate(cases)
        ],
        image="image",
    )


WRITERS: Mapping[str, Callable[[Path], Path]] = {
    "math-500": math500,
    "aime24": aime24,
    "aime25": aime25,
    "gpqa-diamond": gpqa,
    "mathvision": mathvision,
    "mathvista": mathvista,
    "mathverse": mathverse,
    "dynamath": dynamath,
    "we-math": wemath,
    "logicvista": logicvista,
}
