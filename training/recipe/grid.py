"""An ablation's grid: arms of one recipe, each a list of stages and what it changes.

A grid is a TOML file. What it changes lies as in the recipe, with the parts of a list by their
names: `changes.stages.text_rl.num_steps = 12`. Each arm is a whole recipe, checked as any other,
so arms that begin alike share the stage keys, and the artifacts, of what they have in common.
"""

from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from contracts.errors import RecipeError
from training.recipe.bounds import Name, PathText, Strict
from training.recipe.read import check_texts, read_toml
from training.recipe.recipe import RESERVED_NAMES, Recipe, from_folder, parse_recipe

Changes = dict[str, Any]  # nested as in the recipe
Stretch = Annotated[float, Field(gt=0.0, le=10_000.0)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
ArmName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9+_-]{0,62}$")]
Text = Annotated[str, Field(min_length=1, max_length=200)]


class Asked(Strict):
    """What a person asks of a grid: everything, unless said otherwise.

    `changes` come between the grid's own and the arms'; `stretch` multiplies every RL stage's
    steps.
    """

    arms: tuple[ArmName, ...] = ()
    seeds: tuple[Seed, ...] = ()
    changes: Changes = Field(default_factory=dict)
    stretch: Stretch = 1.0


class PaperFigure(Strict):
    """What the paper reports of the same arm, in percent."""

    table: Text
    percent: Annotated[float, Field(ge=0.0, le=100.0)]


class ArmRecipe(Strict):
    """One arm: the stages it trains, in their order, and what it changes in the recipe.

    An arm without stages is the base policy. Its gain is over the arm `over`.
    """

    name: ArmName
    stages: tuple[Name, ...] = ()
    changes: Changes = Field(default_factory=dict)
    over: ArmName | None = None
    paper: PaperFigure | None = None


class Grid(Strict):
    """The whole file; `stages` are further ones, each `like` one of the recipe's."""

    name: Name
    recipe: PathText  # a shipped recipe, or a file beside the grid
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0, 1, 2)
    paper_benchmark: Text | None = None  # which of ours stands beside the paper's numbers
    changes: Changes = Field(default_factory=dict)
    stages: dict[Name, Changes] = Field(default_factory=dict)
    arms: Annotated[tuple[ArmRecipe, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _nothing_occurs_twice(self) -> "Grid":
        for field, given in (("seeds", self.seeds), ("arms", [one.name for one in self.arms])):
            if len(set(given)) != len(given):
                raise ValueError(f"{field} must be different ones, these are {list(given)}")
        return self

    @model_validator(mode="after")
    def _comparisons_resolve(self) -> "Grid":
        names = [one.name for one in self.arms]
        for one in self.arms:
            if one.over is not None and one.over not in names:
                raise ValueError(
                    f"arm {one.name}: `over` is {one.over!r}, which is none of {names}"
                )
            if one.over == one.name:
                raise ValueError(f"arm {one.name}: `over` must be another arm")
        return self

    def arm(self, name: str) -> ArmRecipe:
        """One of the arms, by its name.

        Raises:
            RecipeError: There is none of that name.
        """
        names = [one.name for one in self.arms]
        if name not in names:
            raise RecipeError(
                f"The grid {self.name} has no arm {name!r}.",
                where=f"grid {self.name}",
                rule=f"its arms are {', '.join(names)}",
                fix="name one of these",
            )
        return self.arms[names.index(name)]


def load_grid(path: Path) -> Grid:
    """Reads a grid; its arms are checked by `arm_recipe`.

    Raises:
        RecipeError: The file is missing, is no TOML, or breaks a rule.
    """
    values = read_toml(path)
    check_texts(values, where=str(path))
    try:
        return Grid.model_validate(values)
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, fault['loc'])) or 'grid'}: {fault['msg']}"
            for fault in error.errors()[:20]
        ]
        raise RecipeError(
            f"The grid breaks {error.error_count()} rule(s).",
            where=str(path),
            rule="; ".join(faults),
            fix="correct the fields named above; infra/ablations/pocket.toml is a complete grid",
        ) from error


def arm_recipe(
    grid: Grid,
    arm: ArmRecipe,
    base: Mapping[str, Any],
    *,
    seed: int,
    asked: Asked,
    folder: Path,
) -> Recipe:
    """The whole recipe of an arm with one seed.

    An arm without stages keeps the recipe's: a recipe has some. Nothing of it is trained.

    Args:
        grid: The grid.
        arm: One of its arms.
        base: The grid's recipe, resolved, as plain values.
        seed: The seed.
        asked: What the person who asks changes.
        folder: Where places that begin with `./` or `../` start, in whatever changes name them:
            the grid's own. Those of the base are absolute.

    Raises:
        RecipeError: The arm changes a field that there is not, or its recipe breaks a rule.
    """
    where = f"grid {grid.name}, arm {arm.name}"
    values = merged(base, grid.changes, where=where)
    own = [stage["name"] for stage in values["stages"]]
    values["stages"] += [_further(values["stages"], *one, where) for one in grid.stages.items()]
    values = merged(merged(values, asked.changes, where=where), arm.changes, where=where)
    for stage in values["stages"]:
        if "num_steps" in stage:
            stage["num_steps"] = max(1, round(stage["num_steps"] * asked.stretch))
    by_name = {stage["name"]: stage for stage in values["stages"]}
    if unknown := [name for name in arm.stages if name not in by_name]:
        raise _broken(f"The arm trains {unknown[0]!r}.", f"{where}, stages", list(by_name))
    values["stages"] = [by_name[name] for name in arm.stages or own]
    _forget_others(values, [*RESERVED_NAMES, *(arm.stages or own)])
    for gate in values["gates"].values():
        gate["on_failure"] = "fail"  # a flow within a flow cannot be suspended
    recipe = parse_recipe(values | {"name": grid.name, "seed": seed}, where=where)
    return from_folder(recipe, folder)


def _forget_others(values: Changes, stages: Collection[str]) -> None:
    """Leaves out what a recipe says of stages that this arm lacks, in place."""
    drops, of_stages = values["gates"]["evaluation"], values["hardware"]
    drops["drops"] = [one for one in drops["drops"] if one["stage"] in stages]
    of_stages["stages"] = {n: one for n, one in of_stages["stages"].items() if n in stages}


def merged(values: Mapping[str, Any], changes: Changes, *, where: str, at: str = "") -> Changes:
    """Values with some of them changed; both stay as they are.

    A table changes the fields it names, in a list the parts of these names; anything else takes
    the place of what was there.

    Raises:
        RecipeError: There is no field of that name.
    """
    result = deepcopy(dict(values))
    for name, change in changes.items():
        field = f"{at}{name}"
        if name not in result:
            raise _broken(f"There is no field {field}.", where, sorted(result))
        old = result[name]
        if isinstance(change, dict) and isinstance(old, dict):
            result[name] = merged(old, change, where=where, at=f"{field}.")
        elif isinstance(change, dict) and isinstance(old, list):
            result[name] = _merged_parts(old, change, where, f"{field}.")
        else:
            result[name] = deepcopy(change)
    return result


def _merged_parts(parts: Sequence[Any], changes: Changes, where: str, at: str) -> list[Any]:
    names = [part.get("name") if isinstance(part, dict) else None for part in parts]
    if unknown := sorted(set(changes) - set(names)):
        known = [name for name in names if name is not None]
        raise _broken(f"There is no {at}{unknown[0]}.", where, known)
    return [
        merged(part, changes[name], where=where, at=f"{at}{name}.") if name in changes else part
        for name, part in zip(names, parts, strict=True)
    ]


def _further(stages: Sequence[Changes], name: str, values: Changes, where: str) -> Changes:
    """A stage that the recipe lacks, made of one that it has."""
    like, at = values.get("like"), f"stages.{name}"
    found = [stage for stage in stages if stage["name"] == like]
    if not found:
        raise _broken(f"{at}.like is {like!r}.", where, [stage["name"] for stage in stages])
    own = {field: value for field, value in values.items() if field != "like"}
    return merged(found[0], own, where=where, at=f"{at}.") | {"name": name}


def _broken(what: str, where: str, known: Sequence[str]) -> RecipeError:
    return RecipeError(
        what,
        where=where,
        rule=f"there are {', '.join(known) or 'none'}",
        fix="name one of these; `revisual show` prints the recipe that the grid is made of",
    )
