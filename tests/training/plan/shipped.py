"""The shipped recipes, with other values."""

from pathlib import Path

from training.plan.machine import GIB, Machine
from training.recipe.recipe import Recipe, load_recipe

RECIPES = Path(__file__).parents[3] / "infra/recipes"
EIGHT = Machine(8, 80 * GIB)


def shipped(name: str, **changes: dict[str, object]) -> Recipe:
    recipe = load_recipe(RECIPES / f"{name}.toml")
    for section, values in changes.items():
        part = getattr(recipe, section).model_copy(update=values)
        recipe = recipe.model_copy(update={section: part})
    return recipe
