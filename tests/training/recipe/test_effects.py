"""Every field of the recipe is declared as one that changes results, or one that does not."""

from typing import get_args

from pydantic import BaseModel

from training.recipe.effects import NO_RESULTS, READERS, RESULTS, changes_results
from training.recipe.recipe import Recipe


def sections(model: type[BaseModel], found: set[type[BaseModel]]) -> set[type[BaseModel]]:
    """All classes that a recipe is made of."""
    if model not in found:
        found.add(model)
        for field in model.model_fields.values():
            for one in parts(field.annotation):
                sections(one, found)
    return found


def parts(annotation) -> set[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}
    return {one for argument in get_args(annotation) for one in parts(argument)}


def test_every_field_is_declared_once():
    assert set(Recipe.model_fields) == {name for name in READERS if "." not in name}
    for section in sections(Recipe, set()) - {Recipe}:
        for field in section.model_fields:
            changes_results(section.__name__, field)


def test_no_field_is_declared_that_does_not_exist():
    fields = {one.__name__: set(one.model_fields) for one in sections(Recipe, set())}
    for table in (RESULTS, NO_RESULTS):
        for section, names in table.items():
            assert set(names.split()) <= fields[section], section
