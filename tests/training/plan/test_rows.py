"""What a stage's rows take of host memory: by hand, and measured."""

import gc
import re
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


def test_a_supervised_stage_holds_its_rows(images_file):
    policy, _ = new_policy(SIZES[0])
    before = own_memory()
    rows, _ = _encode(policy, images_file, new_stage(320, max_length_tokens=4 * CHARACTERS))
    image = rows[0].prompt.images[0]["bytes"]
    planned = ROWS * row_bytes(rows[0].num_tokens, len(image))
    print(own_memory() - before, planned, rows[0].num_tokens, len(image))
    assert own_memory() - before == pytest.approx(planned, rel=0.15)


def test_rl_maps_its_set(images_file):
    """All rows are read, and none is kept."""
    before = own_memory()
    problems = read_problems(images_file)
    read = sum(len(problem["images"][0]["bytes"]) for problem in problems)
    assert own_memory() - before < 0.1 * read
