"""The problems that an RL stage learns from."""

from pathlib import Path

from datasets import Dataset, concatenate_datasets

from contracts.errors import DataError
from training.model.policy import Policy
from training.recipe.lengths import no_room
from training.recipe.recipe import Recipe
from training.recipe.stages import RlStage, sets_of
from training.records import read_problems
from training.rollout.room import refuse_crowded, room_tokens


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


def check_lengths(policy: Policy, recipe: Recipe, stage: RlStage) -> None:
    """Refuses a stage whose responses leave no room for the longest prompt that curation keeps.

    Curation has refused it already, unless its sets are older than the stage's bound.

    Args:
        policy: What is sampled from.
        recipe: Its `rollout`, and curation's bounds.
        stage: Its longest response.

    Raises:
        RecipeError: They leave none.
    """
    room = room_tokens(policy, recipe.rollout)
    kept = recipe.curation.kept_prompt_tokens(room)
    refuse_crowded(no_room(room, f"stage {stage.name}", stage.max_response_tokens, kept))
