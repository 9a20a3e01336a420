"""The generated problems: deterministic, disjoint between splits, right, and inside the limits."""

import io
from fractions import Fraction
from itertools import pairwise
from operator import add, mul, sub, truediv

import numpy as np
import pytest
from PIL import Image

from training.answers import verify_in_process
from training.pocket.drawing import CELL, digit_indices
from training.pocket.family import NAMES, NUM_LEVELS, SPLITS, cells
from training.pocket.problems import FAMILIES, generate, sketch
from training.records import problem_dataset

MODALITIES = ("text", "multimodal")


@pytest.fixture(scope="module", params=MODALITIES)
def problems(request):
    return generate(request.param, "test", 250, seed=7)


@pytest.mark.parametrize("modality", MODALITIES)
def test_same_arguments_give_the_same_bytes(modality):
    assert generate(modality, "train", 12, 5) == generate(modality, "train", 12, 5)
    assert generate(modality, "train", 12, 5) != generate(modality, "train", 12, 6)


@pytest.mark.parametrize("modality", MODALITIES)
def test_splits_share_neither_questions_nor_templates_nor_ids(modality):
    drawn = {split: generate(modality, split, 150, 3) for split in SPLITS}
    for field in ("id", "template"):
        values = {split: {p[field] for p in drawn[split]} for split in SPLITS}
        for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
            assert not values[one] & values[other], field
    if modality == "text":
        assert not {p["question"] for p in drawn["train"]} & {p["question"] for p in drawn["test"]}


def test_wordings_and_layouts_are_each_disjoint():
    for rows, columns in ((4, 4), (4, 2)):
        parts = [set(cells(split, rows, columns)) for split in SPLITS]
        assert sum(map(len, parts)) == len(set().union(*parts)) == rows * columns
        # Every part of a template occurs in training, so that a test is fair.
        assert {row for row, _ in parts[0]} == set(range(rows))
        assert {column for _, column in parts[0]} == set(range(columns))


def test_splits_share_no_scan_of_a_digit():
    scans = {s: set(np.concatenate(list(digit_indices(s).values())).tolist()) for s in SPLITS}
    assert sum(len(indices) for indices in scans.values()) == 1797
    assert len(set().union(*scans.values())) == 1797


def test_all_families_and_levels_occur(problems):
    modality = problems[0]["modality"]
    assert {p["family"] for p in problems} == {f.name for f in FAMILIES[modality]}
    assert {p["level"] for p in problems} == set(range(1, NUM_LEVELS + 1))
    assert len({p["family"] for p in problems}) >= 6


def test_solutions_end_in_the_verified_answer_and_hold_the_reading(problems):
    for problem in problems:
        assert verify_in_process(problem["solution"], problem["answer"]) == "right"
        assert problem["solution"].startswith(f"<think>Given: {problem['reading']}. ")
        assert problem["solution"].count("<think>") == problem["solution"].count("</think>") == 1


def test_written_totals_are_right(problems):
    """Each `+3=8` in a trace follows from the number before it; hours wrap at twelve."""
    for problem in problems:
        if problem["family"] in ("sets", "sequence"):
            continue
        hours = problem["family"] in ("hours", "clock")
        only_last_digit = "-digit-" in problem["template"]
        steps = problem["solution"].split(". ", 1)[1].split(".</think>")[0].split()
        for before, after in pairwise(steps):
            if "=" not in after:
                continue
            total = before.split("=")[-1].strip(NAMES)
            move, claimed = after.strip(NAMES).split("=")
            result = _moved(Fraction(total[-1] if only_last_digit else total), move)
            assert (result - Fraction(claimed)) % (12 if hours else 10**9) == 0, problem["solution"]


_OPERATIONS = {"+": add, "-": sub, "*": mul, "/": truediv}


def _moved(total, move):
    return _OPERATIONS[move[0]](total, Fraction(move[1:]))


def test_equations_hold_for_their_answer():
    for problem in generate("text", "train", 300, 1):
        if problem["family"] != "equation":
            continue
        left, right = problem["reading"].split(" =")
        first, *moves = (part.strip(NAMES) for part in left.split())
        total = Fraction(first.removesuffix("x") or 1) * int(problem["answer"])
        for move in moves:
            total = _moved(total, move)
        assert total == int(right)


def test_sets_hold_what_both_lists_share():
    for problem in generate("text", "train", 300, 1):
        if problem["family"] == "sets":
            lists = problem["reading"].removeprefix("A ").split(" B ")
            first, second = ([n.strip(NAMES) for n in items.split()] for items in lists)
            shared = [n for n in first if n in second]
            assert problem["answer"] == r"\{" + ", ".join(shared) + r"\}"


def test_pictures_are_whole_visual_tokens(problems):
    for problem in problems:
        for image in problem["images"]:
            width, height = Image.open(io.BytesIO(image["bytes"])).size
            assert width % CELL == height % CELL == 0
            assert width * height <= 64 * CELL * CELL


def test_bars_are_as_high_as_their_reading():
    (family,) = [f for f in FAMILIES["multimodal"] if f.name == "bars"]
    for seed in range(12):
        drawn = sketch(family, 4, "train", np.random.default_rng(seed))
        pixels = np.asarray(Image.open(io.BytesIO(drawn.images[0]["bytes"]))).astype(int)
        background = pixels[0, 0]
        for place, height in enumerate(drawn.facts.values):
            column = pixels[:19, place * CELL + CELL // 2]
            inked = np.abs(column - background).sum(axis=1) > 150
            assert round(inked.sum() / 2) == int(height)


def test_problems_fit_the_record_schema(problems):
    dataset = problem_dataset(problems[:20])
    assert dataset[0]["answer"] == problems[0]["answer"]
