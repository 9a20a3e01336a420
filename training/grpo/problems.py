"""The problems that an RL stage learns from."""

from pathlib import Path

from datasets import Dataset, concatenate_datasets

from contracts.errors import DataError
from training.recipe.stages import RlStage, sets_of
from training.records import read_problems


def stage_problems(data: Path, stage: RlStage) -> Dataset:
    """The stage's curated set, or both where it is mixed with another.

    Args:
        data: Folder of the curated sets.
        stage: Names its sets.

    Raises:
        DataError: A set is missing or empty.
    """
    return concatenate_datasets([_read(data / f"{name}.parquet") for name in sets_of(stage)])


def _read(path: Path) -> Dataset:
    problems = read_problems(path)
    if len(problems) == 0:
        raise DataError(
            f"{path} holds no problem.",
            where=str(path),
            rule="a stage has something to learn from",
            fix="curate with wider bounds on pass rate and level, or from more sources",
        )
    return problems
