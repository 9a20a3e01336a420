"""What data, checkpoints, rollouts and results must satisfy, as Great Expectations suites.

Great Expectations is imported with this module, which takes seconds: only the gate imports it,
when it runs. Every expectation has `meta`: its `name` and what is `expected`, in words. A suite has
the name of the table that it is asked of, and `training.recipe.gates` lists the names of both.
"""

from collections.abc import Sequence
from math import ceil
from typing import Any

import great_expectations as gx
import great_expectations.expectations as gxe
from great_expectations.expectations.expectation import Expectation

from data_checks.weights import EXPONENTS
from training.recipe.gates import (
    EVERY_SET,
    EVERY_SOURCE,
    KNOWN,
    CurationGate,
    DropRecipe,
    EvaluationGate,
    RolloutsGate,
)
from training.recipe.recipe import SetRecipe

# Stated here anew, not imported: a gate that shares the code it checks would share its faults.
OUTCOMES = ("right", "wrong", "unparseable", "timeout", "crashed")
MAX_ANSWER_CHARACTERS = 1000  # with LaTeX's markup, which is most of a matrix
MAX_ANSWER_LETTERS = 100

# At most so many letters and digits outside LaTeX's commands; nothing is tried twice.
_NO_LETTER = r"(?:\\(?:begin|end)\s*\{\w+\*?\}|\\[A-Za-z]+|[\W_])*+"
_FEW_LETTERS = rf"\A(?:{_NO_LETTER}\w){{0,{MAX_ANSWER_LETTERS}}}+{_NO_LETTER}\Z"
_FLOAT32_ERROR = 1e-6  # pass rates are stored in single precision, and rounded
_SHARE_ERROR = 1e-12
_SCORE_ERROR = 1e-9  # 100 (0.35 - 0.20) is a little less than 15


def set_suite(
    curated: SetRecipe, gate: CurationGate, sources: Sequence[str], benchmark_keys: Sequence[str]
) -> gx.ExpectationSuite:
    """What each row of one curated set, and the set as a whole, must satisfy."""
    least = max(
        gate.min_rows_per_set, ceil(curated.num_problems * (1 - gate.max_missing_rows) - 1e-9)
    )
    most = max(least, curated.num_problems)
    images = (1, None) if curated.modality == "multimodal" else (None, 0)
    expectations = [
        gxe.ExpectTableRowCountToBeBetween(
            min_value=least,
            max_value=most,
            meta=_meta("rows", f"{least} to {most}"),
        ),
        gxe.ExpectColumnUniqueValueCountToBeBetween(
            column="family",
            min_value=gate.min_families,
            meta=_meta("families", f"at least {gate.min_families}"),
        ),
        *(
            _not_null(column, column)
            for column in ("id", "family", "template", "question", "answer", "level", "pass_rate")
        ),
        _length("question", 1, None),
        _length("answer", 1, MAX_ANSWER_CHARACTERS),
        gxe.ExpectColumnValuesToMatchRegex(
            column="answer",
            regex=_FEW_LETTERS,
            meta=_meta("answer letters", f"at most {MAX_ANSWER_LETTERS}, names of commands aside"),
        ),
        _members("modality", [curated.modality]),
        _members("source", sources),
        _between("level", curated.min_level, curated.max_level, name="level range"),
        _between(
            "pass_rate",
            curated.min_pass_rate - _FLOAT32_ERROR,
            curated.max_pass_rate + _FLOAT32_ERROR,
            name="pass_rate range",
            words=f"{curated.min_pass_rate} to {curated.max_pass_rate}",
        ),
        _between("num_images", *images, name="images", words="at least 1" if images[0] else "none"),
        _between("num_empty_images", 0, 0, name="images without bytes", words="none"),
        gxe.ExpectColumnValuesToNotBeInSet(
            column="question_key",
            value_set=list(benchmark_keys),
            meta=_meta("benchmark questions", f"none of the {len(benchmark_keys)}"),
        ),
    ]
    if curated.needs_solution:
        expectations.append(_members("has_solution", [True], name="solutions"))
    return gx.ExpectationSuite(name=curated.name, expectations=expectations)


def disjoint_suite(gate: CurationGate) -> gx.ExpectationSuite:
    """What all curated sets together must satisfy: no problem twice, in one set or in two."""
    most = gate.max_near_duplicates
    expectations: list[Expectation] = [
        gxe.ExpectColumnValuesToBeUnique(column="id", meta=_meta("ids", "unique over all sets")),
        gxe.ExpectColumnValuesToBeUnique(
            column="question_key", meta=_meta("questions", "unique over all sets")
        ),
    ]
    if most < 1.0:
        near = gxe.ExpectColumnValuesToBeNull(
            column="near_duplicate_of",
            mostly=_rest(most),
            meta=_meta("near duplicates", f"at most {most:.1%} repeat another in other words"),
        )
        expectations.append(near)
    return gx.ExpectationSuite(name=EVERY_SET, expectations=expectations)


def accounting_suite(gate: CurationGate) -> gx.ExpectationSuite:
    """The raw rows: there are some, they can be read, and each is in a set or among the rejects."""
    expectations: list[Expectation] = [
        gxe.ExpectColumnPairValuesToBeEqual(
            column_A="rows_in",
            column_B="rows_out",
            meta=_meta("rows in", "equal to rows in sets and rejects"),
        ),
        _between("rows_in", 1, None, name="rows read", words="at least 1 of a source"),
    ]
    if (most := gate.max_refused) is not None:
        words = f"at most {most:.0%} of a source"
        expectations.append(_between("refused_share", None, most, name="rows refused", words=words))
    return gx.ExpectationSuite(name=EVERY_SOURCE, expectations=expectations)


def tensors_suite() -> gx.ExpectationSuite:
    """What the weights of a checkpoint must satisfy, beside those that its stage began with."""
    return gx.ExpectationSuite(
        name="tensors",
        expectations=[
            _not_null("shape", "tensors", "all of the model before"),
            _not_null("shape_before", "new tensors", "none"),
            gxe.ExpectColumnPairValuesToBeEqual(
                column_A="shape",
                column_B="shape_before",
                ignore_row_if="either_value_is_missing",
                meta=_meta("shapes", "those of the model before"),
            ),
            _members("dtype", list(EXPONENTS), name="number formats"),
            _between("num_nonfinite", 0, 0, name="finite weights", words="no infinity, no NaN"),
        ],
    )


def files_suite() -> gx.ExpectationSuite:
    """The files of a checkpoint are those that were stored, byte for byte."""
    return gx.ExpectationSuite(
        name="files",
        expectations=[
            gxe.ExpectColumnPairValuesToBeEqual(
                column_A="digest",
                column_B="digest_wanted",
                ignore_row_if="neither",
                meta=_meta("file digests", "those in the store's manifest"),
            )
        ],
    )


def steps_suite(gate: RolloutsGate, num_steps: int) -> gx.ExpectationSuite:
    """What the rollouts of an RL stage must look like, step by step."""
    lengths = (gate.min_response_tokens, gate.max_response_tokens)
    expectations = [
        gxe.ExpectTableRowCountToBeBetween(
            min_value=1, max_value=num_steps, meta=_meta("steps", f"1 to {num_steps}")
        ),
        gxe.ExpectColumnValuesToBeUnique(column="step", meta=_meta("step", "unique")),
        _not_null("reward", "reward"),
        *_bounded(gate, "reward_std", "reward spread", gate.min_reward_spread, None),
        *_bounded(gate, "truncated_fraction", "truncated", None, gate.max_truncated),
        *_bounded(gate, "zero_variance_fraction", "zero variance", None, gate.max_zero_variance),
        *_bounded(gate, "response_length_tokens", "response length", *lengths),
        *_bounded(gate, "length_growth", "length growth", None, gate.max_length_growth),
        *_bounded(gate, "duplicate_fraction", "duplicates", None, gate.max_duplicates),
        *_bounded(gate, "timeout_fraction", "time-outs", None, gate.max_timeouts),
    ]
    if gate.max_idle_steps is not None:
        words, mostly = f"at most {gate.max_idle_steps:.0%}", _rest(gate.max_idle_steps)
        expectations += [
            gxe.ExpectColumnValuesToBeBetween(
                column="zero_variance_fraction",
                max_value=1.0,
                strict_max=True,
                mostly=mostly,
                meta=_meta("idle steps", f"{words}: no group's rewards differ"),
            ),
            _not_null(
                "zero_variance_fraction",
                f"idle steps{KNOWN}",
                f"null in {words} of the steps",
                mostly=mostly,
            ),
        ]
    return gx.ExpectationSuite(name="steps", expectations=expectations)


def updates_suite(gate: RolloutsGate, *, has_reference: bool) -> gx.ExpectationSuite:
    """What the updates of an RL stage must look like; asked of the steps that made one."""
    # Rounding may leave a collapsed policy a hair below 0: 0 is no bound.
    entropy = (gate.min_entropy or None, gate.max_entropy)
    expectations = [
        *_bounded(gate, "entropy", "entropy", *entropy),
        *_bounded(gate, "sampler_kl", "sampler KL", None, gate.max_sampler_kl),
    ]
    if has_reference:
        expectations += _bounded(gate, "kl_reference", "reference KL", None, gate.max_reference_kl)
    return gx.ExpectationSuite(name="updates", expectations=expectations)


def _bounded(
    gate: RolloutsGate, column: str, name: str, low: float | None, high: float | None
) -> list[Expectation]:
    """That a figure keeps to its bounds, and that it is there; nothing where no bound is given."""
    if low is None and high is None:
        return []
    bounds = [f"at least {low:g}"] if low is not None else []
    bounds += [f"at most {high:g}"] if high is not None else []
    steps = f"in {gate.share_of_steps:.0%} of the steps"
    return [
        gxe.ExpectColumnValuesToBeBetween(
            column=column,
            min_value=low,
            max_value=high,
            mostly=gate.share_of_steps,
            meta=_meta(name, f"{' and '.join(bounds)}, {steps}"),
        ),
        _not_null(column, f"{name}{KNOWN}", f"a number {steps}", mostly=gate.share_of_steps),
    ]


def drops_suite(gate: EvaluationGate) -> gx.ExpectationSuite:
    """How far any stage may fall behind the one before it."""
    if gate.max_drop_points is None:
        return gx.ExpectationSuite(name="drops")
    most, words = gate.max_drop_points + _SCORE_ERROR, f"at most {gate.max_drop_points:g} points"
    bound = _between("drop_points", None, most, name="drop after a stage", words=words)
    return gx.ExpectationSuite(name="drops", expectations=[bound])


def drop_suite(drop: DropRecipe) -> gx.ExpectationSuite:
    """A drop that the recipe names; asked of the rows that it is about."""
    proof = "" if drop.alpha == 1.0 else f", where p is at most {drop.alpha:g}"
    most, words = drop.max_points + _SCORE_ERROR, f"at most {drop.max_points:g} points{proof}"
    bound = _between("drop_points", None, most, name=drop.name, words=words)
    return gx.ExpectationSuite(name=f"drops, {drop.stage}", expectations=[bound])


def predictions_suite() -> gx.ExpectationSuite:
    """What every prediction must satisfy."""
    return gx.ExpectationSuite(
        name="predictions",
        expectations=[
            gxe.ExpectColumnValuesToBeUnique(
                column="id", meta=_meta("policy, benchmark, problem", "unique")
            ),
            _members("outcome", OUTCOMES),
        ],
    )


def answers_suite(max_response_tokens: int) -> gx.ExpectationSuite:
    """What every answer must satisfy that an engine of ours drew."""
    return gx.ExpectationSuite(
        name="answers",
        expectations=[
            _not_null("num_tokens", f"num_tokens{KNOWN}"),
            _between("num_tokens", 1, max_response_tokens),
        ],
    )


def scores_suite(policies: Sequence[str], benchmarks: Sequence[str]) -> gx.ExpectationSuite:
    """What every score must satisfy: complete, in range, and what its predictions say."""
    num_scores = len(policies) * len(benchmarks)
    return gx.ExpectationSuite(
        name="scores",
        expectations=[
            gxe.ExpectTableRowCountToEqual(
                value=num_scores,
                meta=_meta("scores", f"{num_scores}: every policy on every benchmark"),
            ),
            gxe.ExpectColumnValuesToBeUnique(
                column="id", meta=_meta("policy, benchmark", "unique")
            ),
            _members("policy", policies),
            _members("benchmark", benchmarks),
            *(_not_null(column, f"{column}{KNOWN}") for column in ("low", "value", "high")),
            *(_between(column, 0.0, 1.0) for column in ("low", "value", "high")),
            *(
                gxe.ExpectColumnPairValuesAToBeGreaterThanB(
                    column_A=larger,
                    column_B=smaller,
                    or_equal=True,
                    meta=_meta(f"{larger} and {smaller}", f"{larger} not below {smaller}"),
                )
                for larger, smaller in (("value", "low"), ("high", "value"))
            ),
            gxe.ExpectColumnPairValuesToBeEqual(
                column_A="num_problems",
                column_B="num_answered",
                meta=_meta("num_problems", "equal to the number of problems with predictions"),
            ),
            gxe.ExpectColumnPairValuesToBeEqual(
                column_A="wanted",
                column_B="num_predictions",
                meta=_meta("predictions", "samples_per_problem for each problem"),
            ),
            _between(
                "num_failed",
                0,
                0,
                name="questions without a response",
                words="none: else the score is not of the whole benchmark",
            ),
            _not_null("error", "predictions of each score"),
            _between("error", 0.0, _SCORE_ERROR, name="value and predictions", words="equal"),
        ],
    )


def final_suite(gate: EvaluationGate, gains: str) -> gx.ExpectationSuite:
    """What the final checkpoint must reach on every benchmark.

    Args:
        gate: The bounds.
        gains: What was seen, in words: the intervals are no part of a row that keeps the bound.
    """
    least = gate.min_gain_points
    expectations = [
        _not_null("gain_points", f"gain over base{KNOWN}"),
        gxe.ExpectColumnValuesToBeBetween(
            column="possible_points",
            min_value=least - _SCORE_ERROR,
            meta=_meta("gain over base", f"not shown to be below {least:g} points")
            | {"observed": gains},
        ),
    ]
    if gate.max_unparseable is not None:
        expectations += [
            _not_null("unparseable", f"unparseable responses{KNOWN}"),
            _between(
                "unparseable",
                None,
                gate.max_unparseable + _SCORE_ERROR,
                name="unparseable responses",
                words=f"at most {gate.max_unparseable:.0%}",
            ),
        ]
    return gx.ExpectationSuite(name="final checkpoint", expectations=expectations)


def _rest(share: float) -> float:
    """The share that is left, less a hair: 1 - 0.7 is a little more than 0.3."""
    return max(1.0 - share - _SHARE_ERROR, 0.0)


def _meta(name: str, expected: str) -> dict[str, str]:
    return {"name": name, "expected": expected}


def _not_null(
    column: str, name: str, words: str = "never null", *, mostly: float = 1.0
) -> Expectation:
    return gxe.ExpectColumnValuesToNotBeNull(column=column, mostly=mostly, meta=_meta(name, words))


def _members(column: str, values: Sequence[Any], *, name: str | None = None) -> Expectation:
    return gxe.ExpectColumnValuesToBeInSet(
        column=column,
        value_set=list(values),
        meta=_meta(name or column, f"one of {list(values)}"),
    )


def _between(
    column: str,
    low: float | None,
    high: float | None,
    *,
    name: str | None = None,
    words: str | None = None,
) -> Expectation:
    return gxe.ExpectColumnValuesToBeBetween(
        column=column,
        min_value=low,
        max_value=high,
        meta=_meta(name or column, words or f"{low} to {high}"),
    )


def _length(column: str, low: int, high: int | None) -> Expectation:
    words = f"at least {low} character" if high is None else f"{low} to {high} characters"
    return gxe.ExpectColumnValueLengthsToBeBetween(
        column=column, min_value=low, max_value=high, meta=_meta(f"{column} length", words)
    )
