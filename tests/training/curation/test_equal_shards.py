"""Equal questions among the rows of all shards."""

import numpy as np
import pyarrow as pa

from training import tables
from training.curation.decontamination import BenchmarkIndex
from training.curation.equal_shards import values_at
from training.curation.row_steps import RowSteps
from training.curation.shards import write_shard


def test_equal_questions_in_other_shards_have_their_answers_compared(
    make, verifier, sifted, monkeypatch
):
    monkeypatch.setattr(tables, "MAX_GROUP_ROWS", 3)
    steps = RowSteps(
        verifier=verifier,
        count_tokens=lambda prompts: [1] * len(prompts),
        benchmarks=BenchmarkIndex({}),
        max_prompt_tokens=9,
        containment=0.5,
        similarity=0.75,
    )
    answers = ["x+1", "x^2", "2n", "x + 1", "x^3", "2n", "1+x"]
    asked = ["How?", "Why?", "When?", "how?", "WHY?", "when?", "How?"]
    pairs = zip(asked, answers, strict=True)
    rows = [make(n, question=question, answer=answer) for n, (question, answer) in enumerate(pairs)]
    kept, rejects, _ = sifted([rows], steps)
    assert [row["id"] for row in kept] == ["p0", "p2"]
    again, against = "duplicate question", "duplicates with conflicting answers"
    assert {(each.problem["id"], each.reason, each.detail) for each in rejects} == {
        *(("p3", again, "p0"), ("p6", again, "p0"), ("p5", again, "p2")),
        *(("p1", against, "p4"), ("p4", against, "p1")),
    }


def test_texts_are_read_in_any_order_and_more_than_once(tmp_path):
    parts = [["a", "b"], ["c"], ["d", "e", "f"]]
    shards = [
        write_shard(pa.table({"id": part, "answer": ["?"] * len(part)}), tmp_path, number)
        for number, part in enumerate(parts)
    ]
    rows = [4, 0, 4, 3, 1]
    assert values_at(shards, "id", np.array(rows)).to_pylist() == ["e", "a", "e", "d", "b"]
    assert values_at(shards, "id", np.array([], dtype=int)).to_pylist() == []
