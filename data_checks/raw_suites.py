"""What the rows of the sources must satisfy, as Great Expectations suites.

Great Expectations is imported with this module, as with `data_checks.suites`.
"""

import great_expectations as gx
import great_expectations.expectations as gxe
from great_expectations.expectations.expectation import Expectation

from data_checks.own import own_expectations
from data_checks.raw import CHARACTERS, HAS_TEXT
from training.recipe.gates import RAW_ROWS, REJECTS, CurationGate
from training.recipe.sources import SourceRecipe

_SHARE_ERROR = 1e-12


def raw_suite(source: SourceRecipe, gate: CurationGate) -> gx.ExpectationSuite:
    """What a source's rows must satisfy as they were mapped: each is asked by itself.

    The user's own expectations of raw rows are among these.
    """
    expectations = [] if gate.raw_share is None else _built_in(source, gate, gate.raw_share)
    expectations += own_expectations(gate.expectations, RAW_ROWS)
    return gx.ExpectationSuite(name=f"{RAW_ROWS}, {source.name}", expectations=expectations)


def rejects_suite(gate: CurationGate) -> gx.ExpectationSuite:
    """Why rows are in no set, selection aside: no reason may take too many of a source's."""
    if (most := gate.max_rejects) is None:
        return gx.ExpectationSuite(name=REJECTS)
    words = f"at most {most:.0%} of a source for one reason"
    bound = gxe.ExpectColumnValuesToBeBetween(
        column="share",
        max_value=most + _SHARE_ERROR,
        meta={"name": "rejects by reason", "expected": words},
    )
    return gx.ExpectationSuite(name=REJECTS, expectations=[bound])


def _built_in(source: SourceRecipe, gate: CurationGate, share: float) -> list[Expectation]:
    def meta(name: str, expected: str) -> dict[str, str]:
        of = f" in {share:.0%} of the rows" if share < 1.0 else ""
        return {"name": f"raw {name}", "expected": expected + of}

    images = (1, gate.max_images) if source.modality == "multimodal" else (0, 0)
    numbers = f"at least {images[0]}" if images[1] is None else f"{images[0]} to {images[1]}"
    longest = {
        "question": gate.max_question_characters,
        "answer": gate.max_answer_characters,
    }
    return [
        *(
            gxe.ExpectColumnValuesToBeInSet(
                column=f"{column}{HAS_TEXT}",
                value_set=[True],
                mostly=share,
                meta=meta(column, "not empty"),
            )
            for column in longest
        ),
        *(
            gxe.ExpectColumnValuesToBeBetween(
                column=f"{column}{CHARACTERS}",
                max_value=most,
                mostly=share,
                meta=meta(f"{column} length", f"at most {most} characters"),
            )
            for column, most in longest.items()
            if most is not None
        ),
        gxe.ExpectColumnValuesToBeInSet(
            column="modality",
            value_set=[source.modality],
            mostly=share,
            meta=meta("modality", source.modality),
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="num_images",
            min_value=images[0],
            max_value=images[1],
            mostly=share,
            meta=meta("images", numbers),
        ),
    ]
