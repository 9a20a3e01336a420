"""Near duplicates among many rows with one key: no process reads all of these."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.curation import duplicates, near_shards
from training.curation.decontamination import BenchmarkIndex
from training.curation.duplicates import drop_near_duplicates, near_duplicates
from training.curation.row_steps import RowSteps
from training.curation.shards import read_table
from training.recipe.curation import NEAR_DUPLICATES

WORDS = ["boats", "rivers", "lamps", "roads", "clouds", "stones", "birds", "gardens"]
# Questions without numbers have no key.
STORY = "A baker carries {} along the {} to the market of the old town. Who waits for him there?"
OTHERS = [
    "Which colour does the sky have when the sun goes down behind the hills?",
    "Who wrote the letter that the queen finds upon her table?",
    "Why do cats sleep through the day while dogs guard the house?",
    "What do the farmers bring into the village when autumn begins?",
]


@dataclass(frozen=True)
class Watched(RowSteps):
    """Steps that tell how many rows were compared with others at once."""

    num_compared: list[int] = field(default_factory=list)

    def repeats(self, shard):
        self.num_compared.append(len(read_table(shard)))
        return super().repeats(shard)


@pytest.fixture(scope="module")
def steps(verifier):
    return Watched(
        verifier,
        lambda prompts: [1] * len(prompts),
        BenchmarkIndex({}),
        max_prompt_tokens=9,
        containment=0.5,
        similarity=0.75,
        order=(NEAR_DUPLICATES,),
    )


def rows_of(make, texts):
    return [make(n, question=text, answer="4") for n, text in enumerate(texts)]


def test_of_many_rows_with_one_key_those_are_read_that_are_alike(make, steps, sifted, monkeypatch):
    monkeypatch.setattr(near_shards, "MAX_KEY_ROWS", 3)
    text = STORY.format("boats", "rivers")
    rows = rows_of(make, [*OTHERS, text, text.replace("baker", "bakker"), "What is 1 + 1?"])
    steps.num_compared.clear()
    kept, rejects, _ = sifted([rows], steps)
    assert [(one.problem["id"], one.detail) for one in rejects] == [("p5", "p4")]
    assert len(kept) == 6
    assert steps.num_compared == [2]


texts = st.one_of(
    st.builds(STORY.format, st.sampled_from(WORDS), st.sampled_from(WORDS)),
    st.sampled_from(OTHERS),
    st.builds(lambda one: one.upper(), st.sampled_from(OTHERS)),
)


@settings(max_examples=25, deadline=None)
@given(drawn=st.lists(texts, max_size=30), seed=st.integers(0, 2**32 - 1))
def test_they_are_what_is_found_among_all_rows_at_once(make, steps, sifted, drawn, seed):
    is_traced = np.random.default_rng(seed).random(len(drawn)) < 0.3
    rows = [
        row | {"solution": "\\boxed{4}" if has_trace else None}
        for row, has_trace in zip(rows_of(make, drawn), is_traced, strict=True)
    ]
    expected = drop_near_duplicates(rows, 0.75, steps.verifier)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near_shards, "MAX_KEY_ROWS", 2)
        patch.setattr(near_shards, "MAX_GROUP_ROWS", 3)
        kept, rejects, _ = sifted([rows], steps)
    assert (kept, rejects) == (expected.kept, expected.rejects)


@settings(max_examples=25, deadline=None)
@given(drawn=st.lists(texts, max_size=30))
def test_what_is_kept_meanwhile_decides_nothing(make, drawn):
    rows = rows_of(make, drawn)
    expected = near_duplicates(rows, 0.75)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "NUM_KEPT", 2)
        patch.setattr(duplicates, "MAX_COMPARED", 1)
        assert near_duplicates(rows, 0.75) == expected
