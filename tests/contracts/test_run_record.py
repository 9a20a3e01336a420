"""The run record travels as JSON and refuses what it does not know."""

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from contracts.artifact import Artifact
from contracts.run_record import (
    GateCheck,
    GateRecord,
    RunRecord,
    StageRecord,
    recipe_digest,
)

ARTIFACT = Artifact(uri="store/curated/ab", sha256="ab" * 32, kind="curated")


def _run() -> RunRecord:
    stage = StageRecord(name="curate", kind="curate", seconds=3.5, reused=False, artifact=ARTIFACT)
    check = GateCheck(name="rows", observed=[1, None], expected={"min": 1.0}, passed=True)
    gate = GateRecord(name="curation", severity="error", passed=True, checks=(check,))
    return RunRecord(
        name="pocket-1",
        seed=1,
        recipe={"name": "pocket", "stages": [{"kind": "sft"}]},
        code_version="0.1.0",
        created=datetime(2026, 11, 22, 18, 0, tzinfo=UTC),
        stages=(stage,),
        gates=(gate,),
    )


def test_a_run_survives_json() -> None:
    run = _run()
    assert RunRecord.model_validate_json(run.model_dump_json()) == run


def test_unknown_keys_bad_hashes_and_naive_times_are_refused() -> None:
    values = _run().model_dump(mode="json")
    for key, bad in [("wrong_key", 1), ("created", "2026-11-22T18:00:00"), ("seed", -1)]:
        with pytest.raises(ValidationError, match=key):
            RunRecord.model_validate({**values, key: bad})
    with pytest.raises(ValidationError, match="sha256"):
        Artifact(uri="x", sha256="AB" * 32, kind="model")


def test_recipe_digest_ignores_the_order_of_keys_only() -> None:
    assert recipe_digest({"a": 1, "b": [1, 2]}) == recipe_digest({"b": [1, 2], "a": 1})
    assert recipe_digest({"a": 1, "b": [1, 2]}) != recipe_digest({"a": 1, "b": [2, 1]})
    # sha256 of {"a":1}
    assert recipe_digest({"a": 1}) == (
        "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"
    )
