"""Full-size copies of the ten benchmarks: published numbers and names, read as a run reads them."""

import io
import random
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from experiments.synthetic_benchmarks import answers
from experiments.synthetic_benchmarks.files import REPOSITORIES, write_repository
from experiments.synthetic_benchmarks.pictures import figure
from tests.hub import hub_server
from tests.tasks.machine import Machine, recipe
from tests.training.evaluation.published import WRITERS
from training.evaluation.registry import find_benchmark, load_benchmarks
from training.evaluation.verdicts import judge, scorer
from training.images import fault_of

NUM_ITEMS = {
    "mathverse": 3940,
    "mathvision": 3040,
    "mathvista": 1000,
    "dynamath": 5010,
    "we-math": 1740,
    "logicvista": 448,
    "aime24": 30,
    "aime25": 30,
    "gpqa-diamond": 198,
    "math-500": 500,
}


def dot(_: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (1, 1)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def items(tmp_path_factory):
    """All items of all ten, by way of a hub, with pictures of one pixel."""
    home, picture = tmp_path_factory.mktemp("synthetic"), dot("")
    with hub_server() as (address, hub), pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_ENDPOINT", address)
        patch.delenv("HF_TOKEN", raising=False)
        for name in REPOSITORIES:
            folder, place = home / "hub" / name, find_benchmark(name).PLACE
            paths = write_repository(name, folder, lambda _: picture)
            files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
            hub.repo(f"datasets/{place.path}").commit(files, branch=place.revision)
        machine = Machine(home / "machine", str(home / "store"))
        asked = [{"name": name} for name in REPOSITORIES]
        wanted = recipe(evaluation={"benchmarks": asked, "max_response_tokens": 8})
        inputs = machine.resolve(wanted)
        folders = {name: machine.folder(found) for name, found in inputs.benchmarks.items()}
        return load_benchmarks(wanted.evaluation, folders)


def test_every_published_row_is_there(items):
    assert {name: len(found) for name, found in items.items()} == NUM_ITEMS
    clusters = {name: {item.cluster for item in found} for name, found in items.items()}
    assert len(clusters["mathverse"]) == 788 and len(clusters["dynamath"]) == 501
    assert Counter(name.split("/")[1] for name in clusters["we-math"]) == {
        "2steps": 360,
        "3steps": 165,
    }
    assert set(Counter(item.part for item in items["mathverse"]).values()) == {788}
    assert set(Counter(item.part for item in items["dynamath"]).values()) == {501}
    kinds = {name: Counter(item.rule.kind for item in found) for name, found in items.items()}
    assert kinds["mathvision"]["letter"] == 1532 and kinds["mathvista"]["nearest"] == 540
    assert kinds["logicvista"]["none"] == 2
    assert set(kinds["mathvista"]) == {"nearest", "integer", "number", "list", "text"}
    assert set(kinds["dynamath"]) == {"number", "letter", "text"}


def test_a_response_is_judged_as_it_was_made(items):
    draws, num_checked = random.Random(0), 0
    with scorer(num_processes=1) as verifier:
        for found in items.values():
            some = found[::10]
            rules, questions = [item.rule for item in some], [item.prompt for item in some]
            good = judge(rules, [answers.right(r, draws) for r in rules], questions, verifier)
            bad = judge(rules, [answers.wrong(r, draws) for r in rules], questions, verifier)
            missed = [r for r, one in zip(rules, good, strict=True) if one != "right"]
            assert {rule.kind for rule in missed} <= {"none"}
            assert "right" not in bad
            num_checked += len(some)
    assert num_checked > 1500


@pytest.mark.parametrize("name", REPOSITORIES)
def test_columns_are_those_of_the_files_that_other_tests_write_by_hand(name, tmp_path):
    write_repository(name, tmp_path / "mine", dot, num_clusters=1)
    WRITERS[name](tmp_path / "theirs")
    mine, theirs = (
        pq.read_schema(min((tmp_path / folder).rglob("*.parquet"))) for folder in ("mine", "theirs")
    )
    for field in theirs:
        # Of a column without values in those files nobody knows the type; a struct may have more.
        if not pa.types.is_null(field.type) and field.name != "metadata":
            assert mine.field(field.name).type == field.type, field.name
    assert set(theirs.names) <= set(mine.names)


def test_pictures_are_whole_and_differ():
    made = {figure(f"figure {number}") for number in range(40)}
    assert len(made) == 40 and figure("figure 0") in made
    kinds = {(Image.open(io.BytesIO(one)).format, Image.open(io.BytesIO(one)).mode) for one in made}
    assert {"PNG", "JPEG"} == {kind for kind, _ in kinds} and len(kinds) >= 4
    assert all(fault_of([{"bytes": one, "path": None}]) is None for one in made)
