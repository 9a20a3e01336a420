"""Inputs of a run: their references, what changes them, and the folders that stages read."""

import json
import os
import shutil
import uuid
from contextlib import nullcontext
from pathlib import Path

import pytest

from contracts.errors import InputError, ModelError, StoreError
from contracts.places import BucketPlace, HubPlace, LocalPlace
from infra.backends import S3Backend
from infra.inputs import known_digests
from infra.inputs.hub import UnreachableHub
from infra.settings import PROJECT_ROOT
from tasks.garbage import find_garbage
from tasks.inputs import check_files, describe, list_inputs, table
from tasks.keys import ingredients, input_digests, stage_key
from tasks.lineage import lineage_lines
from tasks.make import make_artifact
from tasks.scratch import find_scratch, remove_scratch
from tasks.uploads import Retention
from tests.tasks.machine import Machine, parquet, recipe
from tests.training.evaluation.published import aime25, write
from training.curation.sources import load_source
from training.recipe.recipe import Recipe

BASE = PROJECT_ROOT / "infra" / "models" / "pocket-base"


@pytest.fixture
def machine(tmp_path):
    def new(name: str = "one", store: str | None = None) -> Machine:
        return Machine(tmp_path / name, store or str(tmp_path / "store"))

    return new


def given(inputs) -> dict:
    return {"policy": inputs.base, **inputs.models, **inputs.sources, **inputs.benchmarks}


def curate_made_of(store, recipe: Recipe, inputs):
    digests = input_digests(store, recipe, "curate", given(inputs))
    return ingredients(recipe, "curate", "curate", digests)


def curate_key(machine, recipe: Recipe, inputs) -> str:
    return stage_key(curate_made_of(machine.store, recipe, inputs))


def test_every_input_has_a_reference_and_the_large_ones_stay_where_they_are(machine, tmp_path):
    one = machine()
    inputs = one.resolve(recipe())
    assert list(inputs.sources) == ["source:text", "source:multimodal"]
    assert list(inputs.benchmarks) == ["benchmark:pocket_text"]
    manifest = one.store.manifest(inputs.base)
    assert manifest.place == LocalPlace(folder=str(BASE))
    assert "model.safetensors" in {file.path for file in manifest.files}
    assert sum(path.lstat().st_size for path in tmp_path.rglob("*")) < 100_000
    folder = one.folder(inputs.base)
    assert (folder / "model.safetensors").samefile(BASE / "model.safetensors")
    assert one.resolve(recipe()) == inputs
    assert all(one.told.values())
    with pytest.raises(StoreError, match="are not in the store"):
        one.store.fetch(inputs.base)


def test_a_changed_benchmark_changes_the_keys_of_curation_and_evaluation(machine, tmp_path):
    def keys(wanted):
        inputs = one.resolve(wanted)
        digests = input_digests(one.store, wanted, "evaluate", inputs.benchmarks)
        evaluated = stage_key(ingredients(wanted, "evaluate", "evaluate", digests))
        return curate_key(one, wanted, inputs), evaluated

    one, folder = machine(), aime25(tmp_path / "aime")
    evaluation = recipe().evaluation.model_dump()
    benchmarks = [{"name": "aime25", "path": str(folder)}]
    wanted = recipe(evaluation=evaluation | {"benchmarks": benchmarks})
    before = keys(wanted)
    manifest = one.store.manifest(one.resolve(wanted).benchmarks["benchmark:aime25"])
    assert manifest.place == LocalPlace(folder=str(folder))
    assert keys(wanted) == before
    write(folder, [{"problem": "Another?", "answer": "1"}], "train-00000-of-00001.parquet")
    assert all(now != then for now, then in zip(keys(wanted), before, strict=True))
    (folder / "train-00000-of-00001.parquet").unlink()
    with pytest.raises(InputError, match="The benchmark aime25 names no Parquet file"):
        list_inputs(wanted, one.settings)


def test_curations_other_models_are_inputs_by_their_digests(machine, tmp_path):
    encoder = tmp_path / "encoder"
    encoder.mkdir()
    (encoder / "config.json").write_text("{}")
    (encoder / "model.safetensors").write_bytes(b"weights")
    models = {
        "grader": {"model": {"path": str(BASE)}, "samples_per_problem": 2},
        "topics": {"embedding": {"path": str(encoder)}},
    }
    one, mine = machine(), recipe(curation=recipe().curation.model_dump() | models)
    inputs = one.resolve(mine)
    assert list(inputs.models) == ["model:grader", "model:embedding"]
    assert inputs.models["model:grader"].sha256 == inputs.base.sha256
    assert (one.folder(inputs.models["model:embedding"]) / "config.json").is_file()
    key = curate_key(one, mine, inputs)
    (encoder / "model.safetensors").write_bytes(b"others!")
    assert curate_key(one, mine, one.resolve(mine)) != key
    list_inputs(mine, one.settings)
    shutil.rmtree(encoder)
    with pytest.raises(InputError, match="The embedding model names no model on this machine"):
        list_inputs(mine, one.settings)


def test_generated_inputs_are_known_by_their_parameters(machine):
    one = machine()
    inputs, key = one.resolve(recipe()), curate_key(one, recipe(), one.resolve(recipe()))
    other = one.resolve(recipe(seed=1))
    assert other.sources.keys() == inputs.sources.keys()
    assert all(other.sources[name] != inputs.sources[name] for name in inputs.sources)
    assert other.benchmarks == inputs.benchmarks  # the same questions, whatever the run's seed
    evaluation = recipe().evaluation.model_dump()
    more = recipe(evaluation=evaluation | {"benchmarks": [{"name": "pocket_multimodal"}]})
    assert curate_key(one, more, one.resolve(more)) != key


def test_an_edited_source_is_noticed_before_and_after_it_was_resolved(machine, tmp_path):
    path = tmp_path / "rows" / "a.parquet"
    path.parent.mkdir()
    path.write_bytes(parquet("1 + 1?"))
    one, mine = machine(), recipe(path)
    inputs = one.resolve(mine)
    assert one.questions(mine, inputs) == ["1 + 1?"]

    before = path.stat()
    path.write_bytes(parquet("1 + 2?"))  # of the same size, and of the same time
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    with pytest.raises(InputError, match=r"has changed: a\.parquet") as caught:
        one.folder(inputs.sources["source:words"])
    assert str(path.parent) in caught.value.what

    edited = one.resolve(mine)
    assert one.questions(mine, edited) == ["1 + 2?"]
    assert curate_key(one, mine, edited) != curate_key(one, mine, inputs)
    path.unlink()
    with pytest.raises(InputError, match=r"has lost its file a\.parquet"):
        one.folder(edited.sources["source:words"])


@pytest.mark.fault(
    "a source that is edited while the run that resolved it goes on",
    "the stage that would read it is not started; the file is named",
)
def test_a_stage_is_not_started_with_an_edited_source(machine, tmp_path):
    path = tmp_path / "a.parquet"
    path.write_bytes(parquet("1 + 1?"))
    one, mine = machine(), recipe(path)
    inputs = one.resolve(mine)
    path.write_bytes(parquet("1 + 2?"))
    made_of = curate_made_of(one.store, mine, inputs)
    with pytest.raises(InputError, match=r"has changed: a\.parquet"):
        make_artifact(one.run(mine), one.store, "curate", made_of, given(inputs), Silent())


class Silent:
    def say(self, text):
        pass

    def show_retry(self, title, why):
        pass

    def show_warning(self, text):
        pass

    def show_line(self, line):
        pass

    def following(self):
        return nullcontext()

    def show_metrics(self, metrics):
        pass


def test_a_stage_sees_the_files_of_its_source_and_no_others(machine, tmp_path):
    for name in ("a", "ab", "b"):
        (tmp_path / f"{name}.parquet").write_bytes(parquet(name))
    one, mine = machine(), recipe(tmp_path / "a*.parquet")
    inputs = one.resolve(mine)
    assert one.questions(mine, inputs) == ["a", "ab"]
    folder = one.folder(inputs.sources["source:words"])
    assert sorted(path.name for path in folder.iterdir()) == ["a.parquet", "ab.parquet"]
    (folder / "a.parquet").unlink()  # half a folder, left by somebody who was killed
    assert one.questions(mine, inputs) == ["a", "ab"]


def test_a_branch_is_resolved_once_a_run_and_recorded(machine, hub):
    repo = hub.repo("datasets/owner/rows")
    first = repo.commit({"train.parquet": parquet("old")})
    one, mine = machine(), recipe("owner/rows")
    inputs = one.resolve(mine, run_id="a" * 32)
    source = inputs.sources["source:words"]
    place = one.store.manifest(source).place
    assert place == HubPlace(repo="owner/rows", repo_type="dataset", commit=first, revision="main")
    assert f"owner/rows at {first} (main), 1 file(s)" in describe(one.store, source)
    assert first in table(one.store, inputs)
    assert any(first in line for line in lineage_lines(one.store, source))

    second = repo.commit({"train.parquet": parquet("new")})
    assert one.resolve(mine, run_id="a" * 32) == inputs  # the same run, tried again
    moved = one.resolve(mine)
    assert one.store.manifest(moved.sources["source:words"]).place.commit == second
    assert curate_key(one, mine, moved) != curate_key(one, mine, inputs)
    assert one.questions(mine, inputs) == ["old"]
    assert one.questions(mine, moved) == ["new"]


def test_a_whole_commit_needs_the_hub_once_and_a_branch_every_time(machine, hub):
    commit = hub.repo("datasets/owner/rows").commit({"train.parquet": parquet("q")})
    one = machine()
    pinned = recipe("owner/rows", source={"revision": commit})
    inputs = one.resolve(pinned)
    one.resolve(recipe("owner/rows"))
    hub.repos.clear()
    with pytest.raises(InputError, match="does not exist, or is private"):
        one.resolve(pinned)  # the hub's answer is no: what an earlier run got does not count
    hub.close()
    assert one.resolve(pinned) == inputs
    assert "An earlier run has resolved the commit" in one.warned[0]
    assert one.questions(pinned, inputs) == ["q"]
    with pytest.raises(UnreachableHub, match="owner/rows did not arrive"):
        one.resolve(recipe("owner/rows"))


def test_another_machine_fetches_what_a_reference_names(machine, hub, seaweed, tmp_path):
    hub.repo("models/owner/base").commit(
        {path.name: path.read_bytes() for path in BASE.iterdir() if path.is_file()}
    )
    (tmp_path / "a.parquet").write_bytes(parquet("in a bucket"))
    prefix = f"{seaweed.bucket}/{uuid.uuid4().hex}"
    S3Backend(prefix).upload(tmp_path, ["a.parquet"], "rows")
    mine = recipe(f"s3://{prefix}/rows/*.parquet", model={"path": "owner/base"})

    one, two = machine("one", f"s3://{prefix}/store"), machine("two", f"s3://{prefix}/store")
    inputs = one.resolve(mine)
    assert one.store.manifest(inputs.sources["source:words"]).place == BucketPlace(
        prefix=f"s3://{prefix}/rows"
    )
    assert two.resolve(mine) == inputs
    assert all(two.told.values())
    assert not list(two.settings.home.rglob("*.parquet"))  # nothing is fetched before it is read
    assert two.questions(mine, inputs) == ["in a bucket"]
    weights = two.folder(inputs.base) / "model.safetensors"
    assert weights.read_bytes() == (BASE / "model.safetensors").read_bytes()

    (copy,) = two.settings.home.glob("inputs/s3/*/a.parquet")
    copy.write_bytes(parquet("damaged here"))
    assert two.questions(mine, inputs) == ["in a bucket"]  # fetched again
    shutil.rmtree(two.settings.home)
    (tmp_path / "a.parquet").write_bytes(parquet("by somebody else"))
    S3Backend(prefix).upload(tmp_path, ["a.parquet"], "rows")
    with pytest.raises(InputError, match=r"rows has changed: a\.parquet"):
        two.questions(mine, inputs)


def test_large_files_are_digested_once(machine, tmp_path, monkeypatch):
    path = tmp_path / "a.parquet"
    path.write_bytes(parquet("q"))
    monkeypatch.setattr(known_digests, "SETTLED_SECONDS", -1.0)
    one, mine = machine(), recipe(path)
    inputs = one.resolve(mine)
    monkeypatch.setattr(known_digests, "file_digest", lambda path: pytest.fail(f"read {path}"))
    assert one.resolve(mine) == inputs
    assert one.questions(mine, inputs) == ["q"]


def test_what_cannot_be_found_is_told_before_a_run_starts(machine, hub, tmp_path):
    one = machine()
    assert list_inputs(recipe(), one.settings) == sum(
        path.stat().st_size for path in BASE.iterdir()
    )
    for broken, told in [
        (recipe(tmp_path / "gone.parquet"), "The source words names no Parquet file"),
        (recipe("owner/gone"), "The source words cannot be read: owner/gone does not exist"),
        (recipe(model={"path": "owner/gone"}), "The model cannot be read: owner/gone"),
        (recipe(model={"path": str(tmp_path)}), "The model names no model on this machine"),
    ]:
        with pytest.raises(InputError, match=told):
            list_inputs(broken, one.settings)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ModelError, match="is no complete vision-language model"):
        list_inputs(recipe(model={"path": str(tmp_path)}), one.settings)
    hub.repo("models/owner/words").commit({"config.json": b'{"model_type": "bert"}'})
    words = one.resolve(recipe(model={"path": "owner/words"}))
    with pytest.raises(ModelError, match="is no complete vision-language model"):
        check_files(one.folder(words.base))


def test_copies_of_inputs_that_nobody_used_lately_may_go(machine, hub, tmp_path):
    hub.repo("datasets/owner/rows").commit({"train.parquet": parquet("q")})
    one, mine = machine(), recipe("owner/rows")
    inputs = one.resolve(mine)
    one.questions(mine, inputs)
    home = one.settings.home
    old = find_scratch(home, min_age_seconds=0.0)
    parents = [Path(found.uri).relative_to(home).parent.as_posix() for found in old]
    assert sorted(set(parents)) == ["inputs/hub", "inputs/views", "work"]
    remove_scratch(old)
    assert one.questions(mine, inputs) == ["q"]
    assert find_scratch(home, min_age_seconds=3600.0) == []
    kept = find_garbage(one.store, retention=Retention(1), min_age_seconds=3600.0)
    assert kept == []


def test_files_beside_a_source_that_are_not_read_are_told(machine, tmp_path):
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows/a.parquet").write_bytes(parquet("q"))
    one = machine()
    assert one.resolve(recipe(tmp_path / "rows")).remarks == () and one.warned == []
    (tmp_path / "rows/b.csv").touch()
    remark = "The source words does not read 1 file(s): 'b.csv'"
    assert one.resolve(recipe(tmp_path / "rows")).remarks == (remark,)
    assert one.warned == [f"{remark}."]


def test_json_lines_and_the_images_beside_them_reach_a_stage(machine, tmp_path):
    (tmp_path / "rows/figures").mkdir(parents=True)
    lines = [{"question": "How many?", "answer": "1", "images": f"figures/{n}.png"} for n in (1, 2)]
    (tmp_path / "rows/rows.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (tmp_path / "rows/figures/1.png").write_bytes(b"picture")
    (tmp_path / "secret.png").write_bytes(b"secret")
    (tmp_path / "rows/figures/2.png").symlink_to(tmp_path / "secret.png")
    settings = {"kind": "jsonl", "columns": {"images": "images"}, "image_files": True}
    asked = recipe(tmp_path / "rows", source=settings)
    one = machine()
    inputs = one.resolve(asked)
    loaded = load_source(asked.sources[0], one.folder(inputs.sources["source:words"]), 0)
    assert [row["images"][0]["bytes"] for row in loaded.kept] == [b"picture"]
    assert [reject.reason for reject in loaded.rejects] == ["image file that is missing"]
    (tmp_path / "rows/figures/1.png").write_bytes(b"another picture")
    assert machine("two").resolve(asked).sources != inputs.sources
