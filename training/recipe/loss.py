"""What the loss of an RL stage consists of: one section of the recipe, which the losses read."""

from typing import Annotated, Literal

from pydantic import Field

from training.recipe.bounds import Positive, Strict

Aggregation = Literal["token_mean", "sequence_mean", "dr_grpo"]
KlEstimator = Literal["k1", "k2", "k3"]
KL_CAP = 10.0


class CorrectionRecipe(Strict):
    """What is done about the ratio of trainer to sampler, whose numbers never quite agree."""

    # Caps the ratio, drops what exceeds the cap, or leaves it out.
    kind: Literal["truncate", "mask", "none"] = "truncate"
    # Of a token, or exp(mean log ratio) of a sequence: a sum would shrink or explode with length.
    level: Literal["token", "sequence"] = "token"
    cap: Positive = 2.0  # largest ratio kept


class KlRecipe(Strict):
    """A KL term against the stage's initial policy."""

    coefficient: Positive
    estimator: KlEstimator = "k3"
    # Largest value of k3 at a token; beyond, it has no gradient.
    cap: Annotated[float, Field(gt=0.0, le=1e6)] = KL_CAP


class LossRecipe(Strict):
    """The clipped surrogate and what goes with it; the entropy bonus has a schedule of its own."""

    clip_low: Positive = 0.2  # the ratio's lower bound is 1 - clip_low
    clip_high: Positive = 0.2  # its upper bound is 1 + clip_high; above clip_low: DAPO
    # A token of a negative advantage weighs at most so many advantages (arXiv 1912.09729, Eq. 5):
    # PPO bounds its ratio on the other side only. 1e9 never binds.
    dual_clip: Annotated[float, Field(gt=1.0, le=1e9)] = 3.0
    # Log-ratios stay within +-; beyond, a token has no gradient.
    log_ratio_bound: Annotated[float, Field(gt=0.0, le=40.0)] = 20.0
    # PPO's; or CISPO (arXiv 2506.13585, Eq. 4): the ratio's upper side alone is clipped, and every
    # token keeps its gradient.
    surrogate: Literal["clip", "cispo"] = "clip"
    # Sequence: GSPO (arXiv 2507.18071, Eq. 7), exp(mean log ratio of the tokens).
    ratio_level: Literal["token", "sequence"] = "token"
    correction: CorrectionRecipe = CorrectionRecipe()
    # DAPO's; GRPO's mean of the sequences' means; or sums over sequences x a constant length.
    aggregation: Aggregation = "token_mean"
    kl: KlRecipe | None = None
