import pytest

from infra.store import Artifact
from tasks.display import artifact_key, describe, references, thinned


def rows(count: int) -> list[dict[str, int]]:
    return [{"step": step, "num_steps": count} for step in range(1, count + 1)]


@pytest.mark.parametrize("count", [1, 24, 25, 26, 49, 1000])
def test_a_table_keeps_the_first_and_the_last_row_and_stays_short(count):
    kept = thinned(rows(count), 25)
    assert len(kept) == min(count, 25)
    assert kept[0]["step"] == 1
    assert kept[-1]["step"] == count
    assert kept == sorted(kept, key=lambda row: row["step"])


def test_a_progress_line_holds_what_a_person_looks_at_first():
    metrics = {"step": 3, "num_steps": 9, "reward": 0.5, "entropy": None, "clip_low_fraction": 0.1}
    assert describe(metrics) == "step 3/9, reward 0.5"


def test_artifact_keys_are_what_prefect_accepts():
    assert artifact_key("cold_start", "progress") == "cold-start-progress"


def test_references_name_the_output_and_every_input():
    made = Artifact(uri="s3://b/made", sha256="1" * 64, kind="model")
    policy = Artifact(uri="s3://b/base", sha256="2" * 64, kind="model")
    shown = references("cold_start", made, {"policy": policy}, reused=True)
    assert "found in the store" in shown
    assert "| output | model | `s3://b/made` | `111111111111` |" in shown
    assert "| policy | model | `s3://b/base` | `222222222222` |" in shown
