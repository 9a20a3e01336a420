"""What a person is asked about a gate, and what holds of the answer."""

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from contracts.artifact import Artifact
from contracts.run_record import GateCheck, GateDecision, GateRecord
from data_checks.gate import GateError
from data_checks.validate import Checked
from tasks.gates import Decision, _kept, _question


def artifact(digest="a"):
    return Artifact(uri=f"file:///store/{digest}", sha256=digest * 64, kind="dataset")


def gate(verdict=None, observed=3):
    check = GateCheck(
        name="cold: rows", observed=observed, expected="5", passed=False, severity="error"
    )
    decided = datetime(2026, 11, 28, tzinfo=UTC)
    decision = verdict and GateDecision(
        verdict=verdict, reason="known", decided=decided, sha256=artifact().sha256
    )
    return GateRecord(
        name="curation", severity="error", passed=False, checks=(check,), decision=decision
    )


def test_a_release_is_kept_for_the_very_same_findings_only():
    assert _kept(gate("released"), gate(), artifact()).reason == "known"
    assert _kept(gate("released"), gate(observed=2), artifact()) is None
    assert _kept(gate("refused"), gate(), artifact()) is None
    assert _kept(gate(), gate(), artifact()) is None
    assert _kept(None, gate(), artifact()) is None


def test_a_release_is_kept_for_the_very_same_artifact_only():
    """Another one may break the same expectations by the same figures."""
    assert _kept(gate("released"), gate(), artifact("b")) is None
    older = gate("released")
    unknown = older.decision.model_copy(update={"sha256": None})
    assert _kept(older.model_copy(update={"decision": unknown}), gate(), artifact()) is None


def test_a_reason_has_to_be_given():
    for reason in ("", "ok"):
        with pytest.raises(ValidationError):
            Decision(decision="release", reason=reason)
    with pytest.raises(ValidationError):
        Decision(decision="perhaps", reason="who knows")


def test_nobodys_data_are_markup_in_the_form():
    check = gate().checks[0].model_copy(update={"first_ids": ("`` <b>[x](javascript:1)\u202e",)})
    record = gate().model_copy(update={"checks": (check,)})
    text = _question(GateError(Checked(record, (), ""), where="here", fix="look"))
    (line,) = [one for one in text.splitlines() if one.startswith("- ")]
    assert line.startswith("- `` cold: rows: expected 5, observed 3 (") and line.endswith(" ``")
    assert line.count("`") == 4 and "\u202e" not in text


def test_a_refused_gate_says_so_with_the_reason():
    error = GateError(Checked(gate("refused"), (), ""), where="here", fix="look")
    assert "found 1 broken expectation(s), and was refused: known." in str(error)
