"""The problems that an RL stage learns from."""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from datasets import Dataset, concatenate_datasets

from contracts.errors import DataError
from training.model.policy import Policy
from training.recipe.recipe import Recipe
from training.recipe.stages import RlStage, sets_of
from training.records import Problem, read_problems
from training.rollout.protocol import Prompt
from training.rollout.room import check_room, room_tokens
from training.runtime import device


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


def check_lengths(
    problems: Iterable[Problem], policy: Policy, recipe: Recipe, stage: RlStage
) -> None:
    """Refuses problems whose prompt and response exceed what the sampler holds.

    Curation has kept no prompt longer than `max_prompt_tokens`: where there is room for that, none
    is looked at.

    Args:
        problems: All of the stage's, the same on every rank; each looks at its share.
        policy: What is sampled from.
        recipe: Its `rollout`, and curation's longest prompt.
        stage: Its longest response.

    Raises:
        DataError: A prompt leaves no room for its response.
    """
    room = room_tokens(policy, recipe.rollout)
    if recipe.curation.max_prompt_tokens + stage.max_response_tokens <= room:
        return
    named = (
        (f"stage {stage.name}, problem {one['id']}", Prompt(one["question"], one["images"]))
        for one in islice(problems, device.rank(), None, device.world_size())
    )
    check_room(policy, named, stage.max_response_tokens, room)
