"""What the Great Expectations gates demand."""

from typing import Literal

from training.recipe.bounds import Fraction, PositiveInt, Real, Strict


class GateRecipe(Strict):
    """What a gate demands, and whether breaking it stops the run."""

    severity: Literal["error", "warning"] = "error"


class CurationGate(GateRecipe):
    """Between curation and training."""

    min_rows_per_set: PositiveInt = 1
    min_families: PositiveInt = 1
    max_missing_rows: Fraction = 0.0  # share of a set's `num_problems` that may be missing


class EvaluationGate(GateRecipe):
    """After the evaluation; gains are in points of accuracy, final checkpoint minus base."""

    min_gain_points: Real = 0.0
    max_unparseable: Fraction = 1.0


class GatesRecipe(Strict):
    """The Great Expectations gates."""

    curation: CurationGate = CurationGate()
    evaluation: EvaluationGate = EvaluationGate()
