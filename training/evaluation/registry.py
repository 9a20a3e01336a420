"""Which benchmarks there are; light enough to check a recipe before a run."""

from collections.abc import Mapping
from pathlib import Path

from contracts.errors import DataError, RecipeError
from training.evaluation import pocket_multimodal, pocket_text, user_file
from training.evaluation.benchmark import Benchmark, HubSet
from training.evaluation.items import Item, check_items
from training.evaluation.official import (
    aime24,
    aime25,
    dynamath,
    gpqa,
    logicvista,
    math500,
    mathverse,
    mathvision,
    mathvista,
    wemath,
)
from training.evaluation.readable import readable
from training.recipe.evaluation import BenchmarkRecipe, EvaluationRecipe

BENCHMARKS: Mapping[str, Benchmark] = {
    "pocket_text": pocket_text,
    "pocket_multimodal": pocket_multimodal,
    "mathverse": mathverse,
    "mathvision": mathvision,
    "mathvista": mathvista,
    "dynamath": dynamath,
    "we-math": wemath,
    "logicvista": logicvista,
    "aime24": aime24,
    "aime25": aime25,
    "gpqa-diamond": gpqa,
    "math-500": math500,
}


def find_benchmark(name: str) -> Benchmark:
    """The benchmark of that name.

    Raises:
        RecipeError: There is none.
    """
    if name not in BENCHMARKS:
        raise RecipeError(
            f"There is no benchmark {name!r}.",
            where="recipe, evaluation.benchmarks",
            rule=f'a benchmark is one of {sorted(BENCHMARKS)}, or of `kind = "file"`',
            fix="correct the name, or remove the benchmark",
        )
    return BENCHMARKS[name]


def check_benchmark(recipe: BenchmarkRecipe) -> None:
    """Checks that there is such a benchmark, and that it can be read from where the recipe says.

    Raises:
        RecipeError: There is none, or a generated one is given a place.
    """
    if recipe.kind == "file":
        return
    if find_benchmark(recipe.name).PLACE is None and recipe.path is not None:
        raise RecipeError(
            f"The benchmark {recipe.name} is generated and given a path.",
            where=f"recipe, evaluation.benchmarks, {recipe.name}.path = {recipe.path!r}",
            rule="a generated benchmark is read from nowhere",
            fix="remove `path`",
        )


def place_of(recipe: BenchmarkRecipe) -> HubSet | None:
    """What a benchmark is read from: the recipe's place, or where it was published.

    Returns:
        None for one that is generated. A path of the recipe may be a folder or an s3:// prefix;
        configuration, split and revision are those of a hub.
    """
    published = None if recipe.kind == "file" else find_benchmark(recipe.name).PLACE
    if recipe.path is not None:
        return HubSet(
            recipe.path,
            recipe.split or (published.split if published else "test"),
            recipe.config or (published.config if published else None),
            recipe.revision or "main",
        )
    if published is None or recipe.revision is None:
        return published
    return HubSet(published.path, published.split, published.config, recipe.revision)


def metric_of(recipe: BenchmarkRecipe) -> str:
    """The name of what a benchmark's answers are summed up by."""
    if recipe.kind == "file":
        return user_file.metric_of(recipe)
    return find_benchmark(recipe.name).METRIC


def load_benchmarks(recipe: EvaluationRecipe, folders: Mapping[str, Path]) -> dict[str, list[Item]]:
    """The items of each benchmark of the recipe, by its name.

    Args:
        recipe: Names the benchmarks.
        folders: Their files, by the names that stages know them by; nothing for those that are
            generated.

    Raises:
        RecipeError: A benchmark is unknown.
        DataError: A benchmark's files are not what was published, or an item cannot be asked or
            scored.
    """
    return {each.name: _load(each, folders) for each in recipe.benchmarks}


def _load(recipe: BenchmarkRecipe, folders: Mapping[str, Path]) -> list[Item]:
    where = f"recipe, evaluation.benchmarks, {recipe.name}"
    if recipe.kind == "file":
        items = user_file.load(recipe, folders[recipe.input_name])
        check_items(recipe.name, items, needs_images="image" in recipe.columns, where=where)
    else:
        benchmark = find_benchmark(recipe.name)
        folder = Path() if benchmark.PLACE is None else folders[recipe.input_name]
        items = benchmark.load(recipe.name, folder, recipe.num_problems)
        check_items(recipe.name, items, needs_images=benchmark.NEEDS_IMAGES, where=where)
    for item in items:
        if not readable(item.rule):
            raise DataError(
                f"The item {item.problem['id'][:200]} has a reference answer that its rule cannot"
                f" read: {item.rule.answer[:100]!r}.",
                where=where,
                rule=f"by the rule `{item.rule.kind}`, the reference itself has to be right",
                fix="correct the row, or choose another metric",
            )
    return items
