import io

import pyarrow as pa
import pytest
from PIL import Image

from training.answers import Verifier
from training.curation.outlines import outline_of
from training.curation.shard_work import ShardWork
from training.curation.shards import PROBLEM_COLUMNS, SHARD_SCHEMA, Rows, read_rejects, read_usable
from training.curation.sift import sift
from training.recipe.curation import DecontaminationRecipe
from training.runtime import device


def make_png(colour=0):
    buffer = io.BytesIO()
    Image.new("RGB", (28, 28), (colour, 0, 0)).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.fixture(scope="session")
def png():
    """Makes a small PNG of one colour."""
    return make_png


@pytest.fixture(scope="session")
def make():
    """Makes a text problem that breaks no rule, apart from the changes."""

    def problem(number=0, **changes):
        row = {
            "id": f"p{number}",
            "source": "s",
            "modality": "text",
            "family": "sums",
            "template": "t",
            "level": None,
            "question": f"What is {number} + 1?",
            "images": [],
            "answer": str(number + 1),
            "solution": None,
            "reading": None,
            "pass_rate": None,
        }
        return row | changes

    return problem


@pytest.fixture(scope="session")
def make_seen(make):
    """Makes a multimodal problem that breaks no rule, apart from the changes."""

    def problem(number=0, **changes):
        images = [{"bytes": make_png(number), "path": None}]
        return make(number, modality="multimodal", images=images) | changes

    return problem


@pytest.fixture(scope="session")
def outlines_of():
    """The outlines of problems."""
    schema = pa.schema([SHARD_SCHEMA.field(name) for name in PROBLEM_COLUMNS])
    return lambda problems: outline_of(pa.Table.from_pylist(problems, schema))


@pytest.fixture(scope="module")
def verifier():
    with Verifier(timeout_seconds=60, batch_seconds=600) as running:
        yield running


@pytest.fixture(scope="session")
def sifted():
    """Passes the rows of sources through every step that samples nothing, shard by shard."""
    device.start(1)

    def run(sources, steps, number_variants="keep", save=None, resume=None):
        rows = [[Rows(list(source), [None] * len(source))] for source in sources]
        leaks = DecontaminationRecipe(number_variants=number_variants)
        with ShardWork(save, resume) as work:
            found = sift(rows, steps, leaks, work)
            kept, rejects = list(read_usable(found.usable)), list(read_rejects(found.rejects))
        assert found.num_rows == sum(map(len, sources)) == len(kept) + len(rejects)
        return kept, rejects, found.variants

    return run
