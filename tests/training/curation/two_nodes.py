"""Run by `infra.torchrun --nodes 2` in test_shard_nodes.py: two nodes that share no folder."""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest

from tests.training.curation import conftest
from training import tables
from training.answers import Verifier
from training.curation import shard_nodes
from training.curation.decontamination import BenchmarkIndex
from training.curation.row_steps import RowSteps
from training.curation.shard_work import ShardWork
from training.curation.shards import Rows, read_rejects, read_usable
from training.curation.sift import sift
from training.recipe.curation import DecontaminationRecipe
from training.runtime import device

NUM_SHARDS, ROWS = 8, 3
STORY = "A baker fills {} trays with {} rolls each. How many rolls does the baker sell in all?"


@dataclass(frozen=True)
class Meeting(RowSteps):
    """Steps that go on when every process of the stage has a shard."""

    def examine(self, shard: Path) -> Iterator[pa.Table]:
        device.add_to_count("tests/met", 1)
        while device.add_to_count("tests/met", 0) < device.world_size():
            time.sleep(0.01)
        return super().examine(shard)


def count_words(prompts):
    """Their length, as far as anybody here asks."""
    return [len(prompt.question.split()) for prompt in prompts]


def sifted(save: Path):
    """What becomes of some rows, among them equal ones, near ones and pictures; on rank 0."""
    make = conftest.make.__wrapped__()
    make_seen = conftest.make_seen.__wrapped__(make)
    story = STORY.format(3, 4)
    rows = [make(n) for n in range(16)]
    rows += [make_seen(n, id=f"seen{n}") for n in range(4)]
    rows += [
        make(0, id="again"),
        make(1, id="story", question=story, answer="12"),
        make(1, id="story again", question=story.replace("baker sell", "bakker sell"), answer="12"),
        make(1, id="proof", question="Prove that 1 + 1 = 2."),
    ]
    assert len(rows) == NUM_SHARDS * ROWS
    batches = [[Rows(rows, [None] * len(rows))]]
    device.start(1)
    with (
        pytest.MonkeyPatch.context() as patch,
        Verifier() as verifier,
        ShardWork(save) as work,
    ):
        patch.setattr(tables, "MAX_GROUP_ROWS", ROWS)
        patch.setattr(shard_nodes, "PIECE_BYTES", 1000)  # less than a file has
        steps = Meeting(verifier, count_words, BenchmarkIndex({}), 40, 0.5, 0.75)
        found = sift(batches, steps, DecontaminationRecipe(), work)
        result = None
        if found is not None:
            result = list(read_usable(found.usable)), list(read_rejects(found.rejects))
        device.barrier()  # the folders go with the context
    return result


def main(folder: str) -> None:
    """Leaves what the first process knows in the end; each node saves in a folder of its own."""
    device.start(1)
    assert (device.world_size(), device.num_nodes()) == (4, 2)
    result = sifted(Path(folder) / f"node-{device.node()}")
    if result is not None:
        (Path(folder) / "found").write_text(repr(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
