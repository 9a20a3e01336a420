"""Responses of unfinished stages in a real store; see test_make.py for whole stages."""

import pytest

from contracts.provenance import Ingredients, Provenance
from infra.backends import open_backend
from infra.names import chunks_key
from infra.store import Store
from tasks import chunks
from tasks.chunks import ChunkUploads, drop_chunks, stored_chunks
from tasks.closure import verifying_modules
from tasks.garbage import find_garbage, remove
from tasks.keys import ingredients, library_versions, name_key, stage_key
from tasks.uploads import Retention
from tests.tasks.machine import recipe
from training.sampling.chunks import read_chunks, write_chunk

KEY = "c" * 64
MADE_OF = ingredients(recipe(), "curate", "curate", {"policy": "a" * 64})


@pytest.fixture
def saved(tmp_path):
    folder = tmp_path / "saved"
    folder.mkdir()
    return folder


def save(folder, number):
    row = {"request": "r", "text": "5", "num_tokens": 1, "truncated": False, "outcome": "right"}
    write_chunk([{**row, "sample": sample} for sample in range(number)], folder, str(number))
    (folder / f".chunk-{number + 1}.parquet").write_bytes(b"half")


def upload(store, folder):
    said = []
    made = Provenance(producer={"stage": "curate"})
    with ChunkUploads(store, KEY, folder, provenance=made, say=said.append):
        pass  # leaving uploads what is there
    return said


def store_chunks(store, folder, numbers):
    for number in numbers:
        save(folder, number)
        upload(store, folder)


def stored(store, folder):
    """The names of the chunks that come back, and what was said of the others."""
    said = []
    found = stored_chunks(store, [KEY], folder, said.append, made_of=MADE_OF)
    names = [] if found is None else sorted(path.name for path in found.rglob("*.parquet"))
    return names, said


def damage(store, uri, number, tmp_path):
    """Changes bytes of the upload of that number, the newest being 0, and not its size."""
    files = list(store.history(chunks_key(KEY)))[number].uri.removeprefix(store.root + "/")
    backend, copy = open_backend(uri), tmp_path / "damaged"
    (name,) = backend.sizes(f"{files}/files")
    backend.download(f"{files}/files", [name], copy)
    (copy / name).write_bytes(b"\0" * (copy / name).stat().st_size)
    backend.remove(f"{files}/files")
    backend.upload(copy, [name], f"{files}/files")


def test_what_was_saved_comes_back_and_half_a_chunk_does_not(store, saved, tmp_path):
    assert stored(store, tmp_path / "none") == ([], [])
    save(saved, 1)
    save(saved, 2)
    said = upload(store, saved)
    assert "2 chunk(s) of responses are stored" in said[0]
    assert [path.name for path in saved.iterdir()] == [".chunk-3.parquet"]
    save(saved, 7)
    upload(store, saved)
    names, said = stored(store, tmp_path / "back")
    assert names == ["chunk-1.parquet", "chunk-2.parquet", "chunk-7.parquet"]
    assert said == ["Going on with 10 responses"]
    assert store.steps(KEY) == [] and store.find(KEY) is None


@pytest.mark.parametrize("is_edited", [True, False])
def test_verdicts_of_other_code_do_not_count(is_edited, store, saved, tmp_path):
    modules = MADE_OF.modules | ({"training.answers.verifier": "0" * 64} if is_edited else {})
    before = Provenance(
        ingredients=MADE_OF.model_copy(update={"modules": modules}), libraries=library_versions()
    )
    save(saved, 2)
    with ChunkUploads(store, KEY, saved, provenance=before, say=str):
        pass
    folder = stored_chunks(store, [KEY], tmp_path / "back", str, made_of=MADE_OF)
    (rows,) = read_chunks([folder])
    assert [(row["text"], row["outcome"]) for row in rows] == [
        ("5", None if is_edited else "right")
    ] * 2


@pytest.mark.parametrize(("stage", "num_read"), [("curate", 1), ("evaluate", 0)])
def test_the_code_that_verifies_is_read_once_and_where_there_are_verdicts(
    stage, num_read, store, saved, tmp_path, monkeypatch
):
    read = []
    monkeypatch.setattr(chunks, "verifying_modules", lambda: read.append(1) or verifying_modules())
    store_chunks(store, saved, [1, 2, 3])
    made_of = ingredients(recipe(), stage, stage, {"policy": "a" * 64})
    assert stored_chunks(store, [KEY], tmp_path / "back", str, made_of=made_of)
    assert len(read) == num_read


@pytest.mark.fault(
    "a stored chunk of responses with changed bytes, or missing",
    "named in the log; its requests are asked again",
)
@pytest.mark.parametrize("lost", [False, True])
def test_a_damaged_chunk_is_left_out(lost, store, uri, saved, tmp_path):
    store_chunks(store, saved, [1, 2, 3])
    damage(store, uri, 1, tmp_path)
    if lost:
        newest = next(store.history(chunks_key(KEY))).uri.removeprefix(store.root + "/")
        open_backend(uri).remove(f"{newest}/files")
    names, said = stored(store, tmp_path / "back")
    assert names == ["chunk-1.parquet"] + ["chunk-3.parquet"] * (not lost)
    assert "passed over, and asked for again" in said[0] and "damaged: chunk-2.parquet" in said[0]


def test_an_upload_that_fails_is_told_and_tried_again(saved, tmp_path):
    (tmp_path / "store").write_text("not a folder")
    store = Store(str(tmp_path / "store"), tmp_path / "cache")
    save(saved, 1)
    (said,) = upload(store, saved)
    assert "could not be stored" in said and "Not a directory" in said
    (tmp_path / "store").unlink()
    (said,) = upload(store, saved)
    assert "1 chunk(s) of responses are stored" in said
    assert stored(store, tmp_path / "back")[0] == ["chunk-1.parquet"]


def test_two_runs_at_once_keep_each_others_responses(store, saved, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    store_chunks(store, saved, [1, 2])
    store_chunks(store, other, [1, 3])
    assert stored(store, tmp_path / "back")[0] == [f"chunk-{n}.parquet" for n in (1, 1, 2, 3)]


def test_chunks_stay_until_their_stage_is_finished(store, saved, tmp_path):
    def garbage():
        return find_garbage(store, retention=Retention(1), min_age_seconds=0.0)

    store_chunks(store, saved, [1, 2])
    uris = {artifact.uri for artifact in store.history(chunks_key(KEY))}
    assert garbage() == []
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "rl.parquet").write_text("rows")
    finished = store.publish(tmp_path / "output", "dataset", Provenance(producer={}), key=KEY)
    found = {one.uri: one for one in garbage()}
    assert found.keys() == uris | {finished.uri}  # no run refers to it
    remove(store, (found[uri] for uri in uris))
    assert not store.has_entries(chunks_key(KEY)) and store.find(KEY) == finished


def test_what_a_finished_evaluation_drops_is_its_own(store, saved, tmp_path):
    """Another one, with another judge, adds to the same key at the same time."""
    both = [recipe(), recipe(answers={"accept_rounded": True})]
    own, other = (ingredients(one, "evaluate", "evaluate", {"policy": "a" * 64}) for one in both)
    uris = dict[str, set[str]]()
    for name, made_of in (("own", own), ("other", other), ("own", own)):
        before = set().union(*uris.values())
        save(saved, 1)
        with ChunkUploads(store, KEY, saved, provenance=Provenance(ingredients=made_of), say=str):
            pass
        left = {artifact.uri for artifact in store.history(chunks_key(KEY))}
        uris[name] = uris.get(name, set()) | (left - before)
    assert (len(uris["own"]), len(uris["other"])) == (2, 1)
    drop_chunks(store, KEY, own)
    assert {artifact.uri for artifact in store.history(chunks_key(KEY))} == uris["other"]
    found = store.backend.sizes("artifacts/chunks")
    assert {name.partition("/")[0] for name in found} == {
        uri.rpartition("/")[2] for uri in uris["other"]
    }
    drop_chunks(store, KEY, other)
    assert not store.has_entries(chunks_key(KEY))


@pytest.mark.parametrize("is_finished", [True, False])
@pytest.mark.parametrize(
    ("stage", "kind", "files", "salt"),
    [
        ("curate", "chunks", "chunk-", ""),
        ("curate", "chunks", "chunk-", "run"),
        ("curate", "shards", "shard-", ""),
        ("curate", "chunks", "shard-", ""),
        ("evaluate", "chunks", "chunk-", ""),
    ],
)
def test_what_a_stage_leaves_goes_when_nobody_goes_on_with_it(
    stage, kind, files, salt, is_finished, store, saved
):
    """A curation's responses count for others, unless they are those of a run by itself.

    Before shards had a kind of their own, they were stored as `chunks`.
    """
    inputs = {"policy": "b" * 64, "source:words": "a" * 64}
    made_of = Ingredients(stage=stage, recipe={"seed": 1}, inputs=inputs, modules={}, salt=salt)
    save(saved, 1)
    (saved / "chunk-1.parquet").rename(saved / f"{files}1.parquet")
    left = store.publish(saved, kind, Provenance(ingredients=made_of))
    key = chunks_key(name_key("left by", kind))
    store.append(key, left)
    if is_finished:
        made = store.publish(saved, "dataset", Provenance(), key=stage_key(made_of))
        store.publish(saved, "run", Provenance(inputs={"data": made}), key="7" * 64)
    garbage = find_garbage(store, retention=Retention(1), min_age_seconds=0.0)
    goes = is_finished and (stage, files, salt) != ("curate", "chunk-", "")
    assert (left.uri in {one.uri for one in garbage}) is goes
    remove(store, garbage)
    assert store.has_entries(key) is not goes
