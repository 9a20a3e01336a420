"""What the models are asked: it decides which stored answers count, and knows no verdict."""

from collections.abc import Sequence

from training.evaluation.items import Item
from training.recipe.evaluation import BenchmarkRecipe, EvaluationRecipe
from training.rollout.protocol import Prompt, Request, SamplingSettings


def requests_of(
    policy: str, benchmark: BenchmarkRecipe, items: Sequence[Item], recipe: EvaluationRecipe
) -> list[Request]:
    """What one policy is asked of one benchmark: every item.

    The draws do not depend on the policy: two policies are compared on the same random numbers.
    Temperature 0 draws nothing.
    """
    settings = settings_of(benchmark, recipe)
    return [
        Request(
            id=f"{policy}/{item.problem['id']}",
            prompt=Prompt(item.prompt, item.problem["images"]),
            settings=settings,
            reference=item.rule.to_json(),
            judge=benchmark.name,
            asked=policy,
        )
        for item in items
    ]


def settings_of(benchmark: BenchmarkRecipe, recipe: EvaluationRecipe) -> SamplingSettings:
    """How one benchmark's items are asked: by its own settings, or by those of all."""
    return SamplingSettings(
        recipe.max_response_tokens,
        samples_per_prompt=recipe.samples_of(benchmark),
        temperature=recipe.temperature_of(benchmark),
        top_p=recipe.top_p_of(benchmark),
    )
