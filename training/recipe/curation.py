"""The steps of curation that search: their part of the recipe."""

from typing import Literal

from pydantic import model_validator

from training.recipe.bounds import Fraction, Strict, Tokens


class DuplicatesRecipe(Strict):
    """Near duplicates; equal questions are dropped in any case."""

    near: bool = True
    similarity: Fraction = 0.75  # least Jaccard similarity of keyed 5-character shingles


class DecontaminationRecipe(Strict):
    """Questions of the evaluation's benchmarks, edited or not."""

    # Least share of a benchmark question's word 8-grams that a row with all its numbers has.
    containment: Fraction = 0.5
    # Rows that differ from a benchmark's question in their numbers.
    number_variants: Literal["keep", "reject"] = "keep"


class TracesRecipe(Strict):
    """Which reasoning traces a set that needs some may hold; none is ever cut."""

    min_tokens: Tokens = 1
    max_tokens: Tokens = 32_768
    max_repeated: Fraction = 0.3  # share of runs of 20 words that occurred before
    # Share of letters in scripts that neither the question uses nor Latin or Greek.
    max_other_script: Fraction = 0.05

    @model_validator(mode="after")
    def _some_length_is_left(self) -> "TracesRecipe":
        if self.min_tokens > self.max_tokens:
            raise ValueError("min_tokens must not be above max_tokens")
        return self
