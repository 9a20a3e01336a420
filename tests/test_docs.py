"""The documentation names what exists: recipe fields and values, functions, tests, files."""

import ast
import importlib
import re
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest

from training.recipe import curation, endpoint, evaluation, hardware, model, recipe
from training.recipe import gates as recipe_gates
from training.recipe import loss as recipe_loss
from training.recipe import stages as recipe_stages
from training.recipe.effects import READERS, changes_results
from training.recipe.expectations import OwnExpectation

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
RECIPES = (ROOT / "docs/recipes.md").read_text(encoding="utf-8")
SEVEN_B = tomllib.loads((ROOT / "infra/recipes/revisual-7b.toml").read_text(encoding="utf-8"))
COLD_START, MULTIMODAL, TEXT = SEVEN_B["stages"]
# Section -> the recipe's values behind each column of values.
VALUES: dict[str, list[dict[str, Any]]] = {
    "Recipe": [SEVEN_B],
    "ModelRecipe": [SEVEN_B["model"]],
    "HardwareRecipe": [SEVEN_B["hardware"]],
    "StageHardware": [],
    "CheckpointsRecipe": [SEVEN_B["checkpoints"]],
    "LoggingRecipe": [],
    "TransformersRollout": [],
    "VllmRollout": [SEVEN_B["rollout"]],
    "SourceRecipe": [],
    "CurationRecipe": [SEVEN_B["curation"]],
    "GraderRecipe": [SEVEN_B["curation"]["grader"]],
    "TopicsRecipe": [],
    "EmbeddingRecipe": [],
    "TopicNamesRecipe": [],
    "DuplicatesRecipe": [],
    "DecontaminationRecipe": [],
    "TracesRecipe": [],
    "SetRecipe": [],
    "SftStage": [COLD_START],
    "OptimizerRecipe": [COLD_START["optimizer"], MULTIMODAL["optimizer"]],
    "RlStage": [MULTIMODAL, TEXT],
    "PadRecipe": [MULTIMODAL["pad"]],
    "LoraRecipe": [],
    "CorrectionRecipe": [],
    "KlRecipe": [TEXT["kl"]],
    "EntropyRecipe": [TEXT["entropy"]],
    "ValidationRecipe": [TEXT["validation"]],
    "EvaluationRecipe": [SEVEN_B["evaluation"]],
    "BenchmarkRecipe": [],
    "JudgeRecipe": [],
    "ConnectionRecipe": [],
}


def _rows(section: str) -> dict[str, list[str]]:
    """Field -> the other cells of its row in the section's table."""
    part = re.split(r"^## ", RECIPES, flags=re.M)
    text = next(one for one in part if re.match(rf"{section}\b", one))
    rows = [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in text.splitlines()
        if line.startswith("| `")
    ]
    return {row[0].strip("`"): row[1:] for row in rows}


@pytest.mark.parametrize("section", VALUES)
def test_every_field_of_the_recipe_is_explained_and_no_other(section: str) -> None:
    modules = (curation, endpoint, evaluation, hardware, model, recipe, recipe_stages, recipe_loss)
    owner = next(module for module in modules if hasattr(module, section))
    assert set(_rows(section)) == set(getattr(owner, section).model_fields)


@pytest.mark.parametrize("section", VALUES)
def test_the_values_are_those_of_the_7b_recipe(section: str) -> None:
    for field, cells in _rows(section).items():
        for cell, values in zip(cells, VALUES[section], strict=False):
            if cell == "-":
                assert field not in values, field
            elif cell:
                stated = tomllib.loads(f"value = {cell.strip('` ')}")["value"]
                assert stated == values[field], field


@pytest.mark.parametrize("section", VALUES)
def test_the_last_column_says_what_changes_results(section: str) -> None:
    for field, cells in _rows(section).items():
        if section == "Recipe":
            assert cells[-1] == (", ".join(READERS[field]) or "no"), field
        else:
            assert cells[-1] == ("yes" if changes_results(section, field) else "no"), field


def test_the_two_paper_recipes_differ_in_their_model_only() -> None:
    other = tomllib.loads((ROOT / "infra/recipes/revisual-3b.toml").read_text(encoding="utf-8"))
    assert {key for key in SEVEN_B if SEVEN_B[key] != other[key]} == {"name", "model"}


def test_reward_and_gate_fields_are_explained() -> None:
    rewards = [
        recipe_stages.AccuracyReward,
        recipe_stages.FormatReward,
        recipe_stages.EfficientLengthReward,
        recipe_stages.RepetitionReward,
        recipe_stages.KeywordsReward,
    ]
    for section, models in {
        "Rewards": rewards,
        "GatesRecipe": [
            recipe_gates.CurationGate,
            recipe_gates.CheckpointGate,
            recipe_gates.RolloutsGate,
            recipe_gates.EvaluationGate,
            recipe_gates.DropRecipe,
            *get_args(get_args(OwnExpectation)[0]),
        ],
    }.items():
        text = RECIPES.split(f"## {section}")[1].split("\n## ")[0]
        for one in models:
            for field in one.model_fields:
                assert f"`{field}" in text, (section, field)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_functions_and_modules_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"`((?:training|infra|tasks|flows|data_checks)(?:\.\w+)+)`", text):
        parent, _, attribute = name.rpartition(".")
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            assert hasattr(importlib.import_module(parent), attribute), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tests_and_files_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    sources = "\n".join(path.read_text(encoding="utf-8") for path in ROOT.glob("tests/**/*.py"))
    for name in re.findall(r"`(test_\w+)`", text):
        assert f"def {name}(" in sources, name
    for name in re.findall(
        r"`((?:training|infra|tasks|flows|data_checks|tests|docs)/[\w./-]+)`", text
    ):
        assert (ROOT / name).exists(), name
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_every_fault_that_a_test_makes_is_in_the_table() -> None:
    table = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")
    for path in ROOT.glob("tests/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "fault":
                assert f"| {ast.literal_eval(node.args[0])} |" in table, path
