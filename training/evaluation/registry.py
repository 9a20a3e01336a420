"""Which benchmarks there are; light enough to check a recipe before a run."""

from contracts.errors import RecipeError
from training.evaluation import pocket_multimodal, pocket_text
from training.evaluation.benchmark import Benchmark
from training.recipe.recipe import EvaluationRecipe
from training.records import Problem

BENCHMARKS: dict[str, Benchmark] = {
    "pocket_text": pocket_text,
    "pocket_multimodal": pocket_multimodal,
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
            rule=f"a benchmark is one of {sorted(BENCHMARKS)}",
            fix="correct the name, or remove the benchmark",
        )
    return BENCHMARKS[name]


def load_benchmarks(recipe: EvaluationRecipe) -> dict[str, list[Problem]]:
    """The problems of each benchmark of the recipe, by its name."""
    return {
        each.name: find_benchmark(each.name).load(each.num_problems) for each in recipe.benchmarks
    }
