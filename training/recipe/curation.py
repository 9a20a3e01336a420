"""The steps of curation that search: their part of the recipe."""

from typing import Literal

from training.recipe.bounds import Fraction, Strict


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
