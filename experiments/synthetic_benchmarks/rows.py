"""The rows of the ten benchmarks: as many as were published, with every version and variant.

Numbers of rows, versions, variants, steps and choices are the published ones
(`docs/benchmarks.md`); how often each type of answer occurs beside these is ours.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from experiments.synthetic_benchmarks.pictures import Draw

Row = dict[str, Any]
VERSIONS = ("Text Dominant", "Text Lite", "Vision Intensive", "Vision Dominant", "Vision Only")
SUBJECTS = ("Plane Geometry", "Solid Geometry", "Functions")
# Of MATH-Vision, sixteen.
FIELDS = (
    *("algebra", "analytic geometry", "arithmetic", "combinatorial geometry", "combinatorics"),
    *("counting", "descriptive geometry", "graph theory", "logic", "metric geometry - angle"),
    *("metric geometry - area", "metric geometry - length", "solid geometry", "statistics"),
    *("topology", "transformation geometry"),
)
TASKS = (
    *("geometry problem solving", "figure question answering", "math word problem"),
    *("textbook question answering", "visual question answering"),
)
SKILLS = ("inductive", "deductive", "numerical", "spatial", "mechanical")
NOUNS = ("ladder", "garden", "ribbon", "tank", "wheel", "tower", "tray", "bridge", "sheet", "cone")
# Answers as competition problems have them, each with a number in it.
FORMS = (
    *("{}", "{}", "{}", r"\frac{{{}}}{{7}}", r"{}\sqrt{{3}}", r"\left( {}, \pi \right)"),
    *("x^2 + {}", "[{}, 1000]", r"{}\pi", "{}^\\circ", r"\text{{plan {}}}"),
)


def picture(draw: Draw, text: str) -> Row:
    """A cell of an image column; its path leads nowhere, as of files that were embedded."""
    return {"bytes": draw(text), "path": None}


def problem(draws: random.Random, name: str) -> str:
    """A question of some hundred characters, unlike any other."""
    one, other = draws.sample(NOUNS, 2)
    a, b, c = (draws.randint(2, 999) for _ in range(3))
    return (
        f"({name}) A {one} of {a} units stands beside a {other} that is {b} units long. Every "
        f"{c} minutes the {one} is moved so that the distance to the {other} halves, and the "
        f"lengths that are given in the figure stay as they are. What is asked for in part {name}?"
    )


def amounts(draws: random.Random, number: int) -> list[str]:
    """The texts of choices, all different."""
    return [f"{value} cm" for value in draws.sample(range(2, 400), number)]


def mathverse(draw: Draw) -> Iterator[Row]:
    """788 problems in five versions; 436 of them have choices."""
    draws = random.Random("mathverse")
    for index in range(788):
        asked, has_choices = problem(draws, f"mathverse {index}"), index < 436
        choices = "\n".join(
            f"{letter}:{text}" for letter, text in zip("ABCD", amounts(draws, 4), strict=True)
        )
        whole = f"{asked}\nChoices:\n{choices}" if has_choices else asked
        answer = draws.choice("ABCD") if has_choices else _form(draws)
        for place, version in enumerate(VERSIONS):
            shown = "" if version == "Vision Only" else whole[place * 20 :]
            yield {
                "sample_index": str(5 * index + place + 1),
                "problem_index": str(index + 1),
                "problem_version": version,
                "question": shown,
                "image": picture(draw, f"mathverse {index} {version}"),
                "answer": answer,
                "question_type": "multi-choice" if has_choices else "free-form",
                "metadata": {
                    "split": "testmini",
                    "source": "made up",
                    "subject": SUBJECTS[index % 3],
                    "subfield": "Length",
                },
                "query_wo": f"Please answer the question.\nQuestion: {shown}",
                "query_cot": f"Please reason first, then answer.\nQuestion: {shown}",
                "question_for_eval": whole,
            }


def mathvision(draw: Draw, num_rows: int = 3040, num_with_choices: int = 1532) -> Iterator[Row]:
    """3,040 problems, 1,532 of them with five choices, some of which are drawn in the picture."""
    draws = random.Random("mathvision")
    for index in range(num_rows):
        options = [] if index >= num_with_choices else amounts(draws, 5)
        if options and index % 4 == 0:
            options = list("ABCDE")
        free = f"{draws.randint(1, 900)}" if index % 5 else draws.choice(["2.5", "(1,2)", "3:4"])
        yield {
            "id": str(index + 1),
            "question": f"{problem(draws, f'mathvision {index}')}\n<image1>",
            "options": options,
            "image": f"images/{index + 1}.jpg",
            "decoded_image": picture(draw, f"mathvision {index}"),
            "answer": draws.choice("ABCDE") if options else free,
            "solution": None,
            "level": index % 5 + 1,
            "subject": FIELDS[index % len(FIELDS)],
        }


def mathvista(draw: Draw) -> Iterator[Row]:
    """1,000 problems: 540 with choices; of the others most ask for a whole number."""
    draws = random.Random("mathvista")
    for index in range(1000):
        choices: list[str] | None = None
        unit: str | None = None
        precision: float | None = None
        kind, answer = "text", ""
        if index < 540:
            choices = ["Yes", "No"] if index % 6 == 0 else amounts(draws, 4)
            answer = draws.choice(choices)
        elif index < 940:
            kind, answer = "integer", str(draws.randint(0, 2000))
        elif index < 990:
            kind, precision, unit = "float", float(1 + index % 2), ("cm" if index % 3 else None)
            answer = f"{draws.uniform(0, 90):.{1 + index % 2}f}"
        elif index < 995:
            kind, answer = "list", str([draws.randint(0, 9) for _ in range(3)])
        else:
            kind, answer = "text", f"{draws.choice(NOUNS)} {index}"
        asked = problem(draws, f"mathvista {index}")
        hint = "Hint: end with the answer to the question.\n"
        shown = "" if choices is None else "\nChoices:\n" + "\n".join(choices)
        yield {
            "pid": str(index + 1),
            "question": asked,
            "image": f"images/{index + 1}.jpg",
            "decoded_image": picture(draw, f"mathvista {index}"),
            "choices": choices,
            "unit": unit,
            "precision": precision,
            "answer": answer,
            "question_type": "free_form" if choices is None else "multi_choice",
            "answer_type": kind,
            "metadata": {
                "category": "math-targeted-vqa",
                "context": "geometry diagram",
                "grade": "high school",
                "img_height": 300,
                "img_width": 400,
                "language": "english",
                "skills": ["geometry reasoning"],
                "source": "made up",
                "split": "testmini",
                "task": TASKS[index % len(TASKS)],
            },
            "query": f"{hint}Question: {asked}{shown}",
        }


def dynamath(draw: Draw, variant: int) -> Iterator[Row]:
    """501 seed questions in one of ten variants, whose numbers and pictures differ."""
    draws = random.Random(f"dynamath {variant}")
    for seed in range(501):
        if seed < 296:
            kind, answer = "float", f"{draws.uniform(-50, 50):.3f}"
        elif seed < 470:
            kind, answer = "multiple choice", draws.choice("ABCD")
        else:
            kind, answer = "text", draws.choice(["even", "odd", "neither", "rational"])
        yield {
            "id": str(seed + 1),
            "question": problem(draws, f"dynamath {seed}, variant {variant}"),
            "image": f"images/{seed + 1}.png",
            "decoded_image": picture(draw, f"dynamath {seed} {variant}"),
            "ground_truth": answer,
            "answer_type": kind,
            "subject": ("plane geometry", "algebra", "statistics")[seed % 3],
            "knowledge_level": ("elementary school", "high school", "undergraduate")[seed % 3],
        }


def wemath(draw: Draw) -> Iterator[Row]:
    """360 problems of two steps and 165 of three, each step and the whole asked by itself."""
    draws = random.Random("we-math")
    for steps, number in ((2, 360), (3, 165)):
        for index in range(number):
            texts = amounts(draws, 3)
            for place, step in enumerate([*range(1, steps + 1), "multi"]):
                options = [*draws.sample(texts, 3), "No correct answer"]
                shown = zip("ABCD", options, strict=True)
                yield {
                    "ID": str(index),
                    "split": "testmini",
                    "knowledge concept": f"Concept {(index + place) % 67}",
                    "question": problem(draws, f"we-math {steps}/{index}/{step}"),
                    "option": "; ".join(f"{letter}. {text}" for letter, text in shown) + ";",
                    "answer": draws.choice("ABCD"),
                    "image_path": picture(draw, f"we-math {steps} {index}"),
                    "key": f"{steps}steps_{step}",
                    "question number": index,
                    "knowledge concept description": "What the concept says.",
                }


def logicvista(draw: Draw) -> Iterator[Row]:
    """448 puzzles, some with several letters; two have no letter as key, one no question."""
    draws = random.Random("logicvista")
    for index in range(448):
        key = sorted(draws.sample("ABCDE", 2 if index % 9 == 0 else 1))
        answer = {20: "3", 382: ""}.get(index, ", ".join(key))
        yield {
            "id": f"v1_{index}",
            "image": picture(draw, f"logicvista {index}"),
            "question": problem(draws, f"logicvista {index}") if answer else "",
            "answer": answer,
            "reasoning": "As ever.",
            "skill": [SKILLS[index % len(SKILLS)]],
            "broad_capability": ["diagram"],
            "specific_capability": ["patterns"],
            "imagesource": "drawn here",
            "sourcelink": "none",
            "liscenced": "no",
        }


def aime24() -> Iterator[Row]:
    """30 problems whose answers are whole numbers of up to three digits, some with zeros first."""
    draws = random.Random("aime24")
    for index in range(30):
        yield {
            "id": 60 + index,
            "problem": problem(draws, f"aime24 {index}"),
            "solution": "As ever.",
            "answer": f"{draws.randint(0, 999):03d}",
            "url": "none",
            "year": "2024",
        }


def aime25() -> Iterator[Row]:
    """30 problems, without any id."""
    draws = random.Random("aime25")
    for index in range(30):
        yield {"problem": problem(draws, f"aime25 {index}"), "answer": str(draws.randint(0, 999))}


def gpqa() -> Iterator[Row]:
    """198 questions with one right and three wrong answers, in columns of their own."""
    draws = random.Random("gpqa")
    for index in range(198):
        right, *wrong = amounts(draws, 4)
        yield {
            "Record ID": f"rec{index:015d}",
            "Question": problem(draws, f"gpqa {index}"),
            "Correct Answer": f"{right}\n",  # some of the published ones end so
            **{f"Incorrect Answer {n}": text for n, text in enumerate(wrong, 1)},
            "Subdomain": "Noble gases",
            "High-level domain": ("Chemistry", "Physics", "Biology")[index % 3],
        }


def math500() -> Iterator[Row]:
    """500 problems whose answers are numbers, roots, points, intervals and words."""
    draws = random.Random("math-500")
    for index in range(500):
        yield {
            "problem": problem(draws, f"math-500 {index}"),
            "solution": "As ever.",
            "answer": _form(draws),
            "subject": ("Algebra", "Geometry", "Number Theory", "Precalculus")[index % 4],
            "level": index % 5 + 1,
            "unique_id": f"test/subject/{index}.json",
        }


def _form(draws: random.Random) -> str:
    # No multiple of 7: the fraction is in lowest terms.
    return draws.choice(FORMS).format(7 * draws.randint(1, 120) + draws.randint(1, 6))


def limited(rows: Iterator[Row], cluster: Sequence[str], num_clusters: int | None) -> Iterator[Row]:
    """The rows of the first so many clusters, or all."""
    seen: set[tuple[object, ...]] = set()
    for row in rows:
        seen.add(tuple(_part(row, name) for name in cluster))
        if num_clusters is not None and len(seen) > num_clusters:
            return
        yield row


def _part(row: Mapping[str, object], name: str) -> object:
    return str(row[name]).partition("_")[0] if name == "key" else row[name]
