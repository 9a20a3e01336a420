"""Grids by their names, and every arm of one as a checked recipe."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from contracts.errors import RecipeError
from infra.settings import PROJECT_ROOT
from tasks.run import recipe_path
from training.recipe.grid import ArmRecipe, Asked, Changes, Grid, arm_recipe, load_grid
from training.recipe.recipe import Recipe, load_recipe, resolved_toml_values
from training.recipe.stages import RlStage, SftStage

GRIDS = PROJECT_ROOT / "infra" / "ablations"


@dataclass(frozen=True)
class ArmRun:
    """One arm with one seed.

    Attributes:
        arm: The arm.
        recipe: Its whole recipe.
    """

    arm: ArmRecipe
    recipe: Recipe

    @property
    def stages(self) -> tuple[SftStage | RlStage, ...]:
        """The stages that it trains: none for the base policy, whose recipe has some even so."""
        return self.recipe.stages if self.arm.stages else ()

    def others(self) -> dict[str, Any]:
        """What its recipe says apart from stages, as plain values."""
        return self.recipe.model_dump(exclude={"stages"})


def shipped_grids() -> list[str]:
    """The names of the grids that come with the project."""
    return sorted(path.stem for path in GRIDS.glob("*.toml"))


def grid_path(name: str) -> Path:
    """A shipped grid by its name, or a grid's file by its path."""
    return GRIDS / f"{name}.toml" if name in shipped_grids() else Path(name)


def absolute_grid(name: str) -> str:
    """The grid's name for a process in another folder, such as the worker's."""
    path = grid_path(name)
    return name if path.parent == GRIDS else str(path.resolve())


def asked_of(
    arms: Sequence[str], seeds: Sequence[int], fields: Sequence[str], stretch: float
) -> Asked:
    """What a person asks of a grid on the command line.

    Args:
        arms: Names of arms; all where there are none.
        seeds: Seeds; the grid's where there are none.
        fields: `stages.text_rl.num_steps=64`, and the like; the value as TOML has it.
        stretch: See `Asked`.

    Raises:
        RecipeError: A value breaks a rule.
    """
    changes: Changes = {}
    for field in fields:
        try:
            nested = tomllib.loads(field)
        except tomllib.TOMLDecodeError as error:
            raise _unusable(f"--set {field!r} is not valid TOML: {error}.") from error
        changes = _joined(changes, nested)
    try:
        return Asked(arms=tuple(arms), seeds=tuple(seeds), changes=changes, stretch=stretch)
    except ValidationError as error:
        fault = error.errors()[0]
        raise _unusable(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}.") from error


def _joined(first: Changes, second: Changes) -> Changes:
    """Two nested tables as one; the second's values count."""
    both = first.keys() & second.keys()
    nested = {
        key: _joined(first[key], second[key])
        for key in both
        if isinstance(first[key], dict) and isinstance(second[key], dict)
    }
    return first | second | nested


def _unusable(what: str) -> RecipeError:
    return RecipeError(
        what,
        where="what was asked of the grid",
        rule="arms and seeds are the grid's names and whole numbers from 0; a field is set as TOML "
        "does it",
        fix="as in: --arm cs --seed 3 --set stages.text_rl.num_steps=64",
    )


def read_grid(name: str) -> tuple[Grid, Changes]:
    """A grid, and its recipe with every default filled in.

    Raises:
        RecipeError: One of the two is missing or breaks a rule.
    """
    path = grid_path(name)
    grid = load_grid(path)
    base = recipe_path(grid.recipe)
    return grid, resolved_toml_values(load_recipe(path.parent / base))


def base_name(name: str) -> str:
    """The name of the recipe that a grid is made of, which is not that of its file."""
    return str(read_grid(name)[1]["name"])


def arm_runs(name: str, asked: Asked) -> list[ArmRun]:
    """Every arm that is asked for with every seed, one seed after the other.

    Raises:
        RecipeError: The grid or an arm of it breaks a rule.
    """
    (grid, base), folder = read_grid(name), grid_path(name).parent
    arms = [grid.arm(one) for one in asked.arms] if asked.arms else list(grid.arms)
    runs = [
        ArmRun(arm, arm_recipe(grid, arm, base, seed=seed, asked=asked, folder=folder))
        for seed in asked.seeds or grid.seeds
        for arm in arms
    ]
    _check_they_differ(grid, runs[: len(arms)])
    return runs


def _check_they_differ(grid: Grid, runs: Sequence[ArmRun]) -> None:
    """Checks that no two arms with one seed are the same: their gain would be 0 by itself."""
    for one, other in combinations(runs, 2):
        if one.stages == other.stages and one.others() == other.others():
            raise RecipeError(
                f"The arms {one.arm.name} and {other.arm.name} are one and the same.",
                where=f"grid {grid.name}, arms",
                rule="two arms differ in their stages, or in another field of their recipes",
                fix="ask for one of them with `--arm`, or change less with `--set`",
            )


def arm_run(name: str, arm: str, seed: int, asked: Asked) -> ArmRun:
    """One of them.

    Raises:
        RecipeError: The grid or the arm breaks a rule, or there is no such arm.
    """
    (one,) = arm_runs(name, asked.model_copy(update={"arms": (arm,), "seeds": (seed,)}))
    return one
