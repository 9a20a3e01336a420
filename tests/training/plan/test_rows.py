"""What a stage's rows take of host memory: by hand, and measured."""

import gc
import re
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from tests.training.conftest import encoded_image, make_problem
from tests.training.plan.test_plan import EIGHT, shipped
from tests.training.plan.tiny import SIZES, new_policy, new_stage
from training.plan.plan import make_plan
from training.plan.rows import row_bytes
from training.records import read_problems, write_problems
from training.sft.train import _encode

ROWS, CHARACTERS = 800, 3000


def test_rows_of_the_shipped_recipe_by_hand():
    """Rows of each set, eight processes.

    Cold start: 47,000 rows of 0.3 x 32,768 tokens of 8 bytes, and 2 KiB each. RL: 512 prompts of a
    step and 256 held out, of 500 tokens, with an image of 256 KiB or none.
    """
    cold_start, multimodal, text = make_plan(shipped("revisual-7b"), EIGHT).stages
    assert cold_start.memory.data == 8 * 47_000 * (9830 * 8 + 2048)
    assert multimodal.memory.data == 8 * 768 * (500 * 8 + 2048 + 262_144)
    assert text.memory.data == 8 * 768 * (500 * 8 + 2048)


def own_memory():
    """This process's resident memory that no file stands behind, bytes."""
    gc.collect()
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(r"RssAnon:\s+(\d+) kB", status)[1])


@pytest.fixture(scope="module")
def images_file(tmp_path_factory):
    """One picture of 30 KB in every row, whose prompt is therefore encoded once."""
    path = tmp_path_factory.mktemp("set") / "pictures.parquet"
    images = [encoded_image(100, 100, 0)]
    texts = {"question": "?", "images": images, "solution": "a b" * (CHARACTERS // 3)}
    problems = [make_problem(i, with_image=True) | texts for i in range(ROWS)]
    write_problems(problems, path)
    read_problems(path)  # makes the file that is mapped
    return path


def held(path: Path) -> tuple[int, int, int]:
    """What a set takes of memory; the tokens of its first row, and the bytes of its image."""
    policy, _ = new_policy(SIZES[0])
    before = own_memory()
    rows, _ = _encode(policy, path, new_stage(320, max_length_tokens=4 * CHARACTERS))
    return own_memory() - before, rows[0].num_tokens, len(rows[0].prompt.images[0]["bytes"])


def test_a_supervised_stage_holds_its_rows(images_file):
    # In a process of its own: another one has memory left over from what it did before.
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        measured, num_tokens, image_bytes = process.submit(held, images_file).result()
    assert measured == pytest.approx(ROWS * row_bytes(num_tokens, image_bytes), rel=0.15)
