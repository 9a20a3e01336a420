"""A store that somebody else wrote: nothing in it leads out of it, on this machine or on S3."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.artifact import Artifact
from contracts.errors import DamagedError, StoreError
from contracts.paths import is_file_of_artifact, is_inner_path
from contracts.provenance import Provenance
from infra.backends import open_backend
from infra.digests import FileEntry, content_digest, file_names
from infra.local_backend import LocalBackend
from infra.manifest import Manifest
from infra.names import step_key
from infra.store import Store
from tasks.garbage import find_garbage, remove
from tasks.uploads import Retention, step_scores

KEY, OTHER = "a" * 64, "b" * 64
ESCAPES = (
    *("../../../x", "/etc/x", "a/../../x", "..", ".", "", "a//b", "a/./b", "a/", "./a"),
    *("a\0b", "a\nb", "\ud800", "x" * 256, "a/" * 600 + "a", "*", "a?b", "a[0]"),
)


@pytest.fixture
def published(store, tmp_path):
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / "x").write_text("x")
    return store.publish(folder, "model", Provenance(), key=KEY)


def forge(store: Store, number: int, **changes) -> Artifact:
    """Writes an artifact with any manifest."""
    entry = {"path": "x", "size": 1, "sha256": "0" * 64}
    manifest = {"kind": "model", "files": [entry], "producer": {}, "inputs": {}}
    manifest |= {"recipe_digest": "d"} | changes
    location = f"artifacts/model/{number:032x}"
    store.backend.create(f"{location}/manifest.json", json.dumps(manifest).encode())
    store.backend.create(f"{location}/files/x", b"x")
    lines = [[file["path"], file["size"], file["sha256"]] for file in manifest["files"]]
    digest = content_digest(
        [FileEntry.model_construct(path=p, size=s, sha256=h) for p, s, h in lines]
    )
    return Artifact(uri=f"{store.root}/{location}", sha256=digest, kind="model")


def enter(store: Store, key: str, uri: str) -> None:
    entry = Artifact(uri="x", sha256="0" * 64, kind="run").model_copy(update={"uri": uri})
    store.backend.create(f"keys/{key}/000001.json", entry.model_dump_json().encode())


@given(st.lists(st.sampled_from(["..", ".", "", "a", "b.c", ".d"]), min_size=1, max_size=6))
def test_an_inner_path_is_one_that_resolves_below_its_start(parts):
    path = "/".join(parts)
    root = Path("/some/root")
    below = root in Path(os.path.normpath(root / path)).parents
    assert not is_inner_path(path) or below
    assert is_inner_path("/".join(part for part in parts if part not in ("..", ".", "")) or "a")


def test_what_is_hidden_is_no_file_of_an_artifact():
    assert is_inner_path("keys/.half") and not is_file_of_artifact("keys/.half")
    assert not is_file_of_artifact(".git/hooks/x") and is_file_of_artifact("model/ü (2).json")


def test_a_manifest_cannot_name_a_file_outside_of_its_folder(store, tmp_path):
    for number, path in enumerate([*ESCAPES, ".hidden", "a/.b"]):
        forged = forge(store, number, files=[{"path": path, "size": 1, "sha256": "0" * 64}])
        with pytest.raises(DamagedError, match="manifest is damaged"):
            store.fetch(forged)
    assert [path.name for path in tmp_path.iterdir() if path.name != "store"] == []


def test_a_manifest_lists_files_that_fit_into_one_folder(store):
    twice, below = [("a", 1), ("a", 1)], [("a/b/c", 1), ("a", 1)]
    for number, files in enumerate([twice, below, below[::-1], [("a", -1)]]):
        listed = [{"path": path, "size": size, "sha256": "0" * 64} for path, size in files]
        with pytest.raises(DamagedError, match="manifest is damaged"):
            store.fetch(forge(store, number, files=listed))


def test_a_manifest_that_is_no_manifest_is_one_clear_error(store):
    for number, data in enumerate([b"", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"files": 3}']):
        location = f"artifacts/model/{number}"
        store.backend.create(f"{location}/manifest.json", data)
        with pytest.raises(DamagedError, match="manifest is damaged"):
            store.at(f"{store.root}/{location}")


def test_what_is_too_large_for_a_manifest_or_an_entry_is_not_read(store, published, monkeypatch):
    """Sparse files of terabytes on a local disk; on S3 objects beyond a limit that was lowered."""
    manifest = "artifacts/model/huge/manifest.json"
    entries = [f"keys/{KEY}/000009.json", f"keys/{OTHER}/000001.json"]
    if store.root.startswith("s3://"):
        monkeypatch.setattr("infra.backends.MAX_METADATA_BYTES", 2**10)
        for name in (manifest, *entries):
            store.backend.create(name, b" " * 2**20)
        asked = []
        cat_file = store.backend._fs.cat_file
        monkeypatch.setattr(
            store.backend._fs,
            "cat_file",
            lambda *a, **k: asked.append(cat_file(*a, **k)) or asked[-1],
        )
    else:
        for name in (manifest, *entries):
            path = Path(store.root.removeprefix("file://")) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                file.truncate(2**43)
    with pytest.raises(DamagedError, match="has more than"):
        store.at(f"{store.root}/artifacts/model/huge")
    assert store.find(OTHER) is None and store.find(KEY) == published
    assert find_garbage(store, retention=Retention(1), min_age_seconds=0.0) != []
    if store.root.startswith("s3://"):
        assert max(map(len, asked)) == 2**10 + 1
    store.drop(OTHER)
    assert not store.has_entries(OTHER)


def test_a_manifest_of_many_faults_is_refused_at_the_first():
    for value in ("{}", "3"):
        with pytest.raises(ValidationError) as raised:
            Manifest.model_validate_json(f'{{"kind": "m", "files": [{value}, {value}, {value}]}}')
        assert {fault["loc"][:2] for fault in raised.value.errors()} == {("files", 0)}


def test_a_manifest_that_nobody_could_read_is_not_written(store, tmp_path, monkeypatch):
    monkeypatch.setattr("infra.store.MAX_METADATA_BYTES", 2**10)
    (tmp_path / "made").mkdir()
    for number in range(20):
        (tmp_path / "made" / str(number)).write_text("x")
    with pytest.raises(StoreError, match=r"20 files .* are too many for one manifest"):
        store.publish(tmp_path / "made", "model", Provenance(), key=OTHER)
    assert store.backend.sizes("artifacts") == {} and store.find(OTHER) is None


def test_an_entry_cannot_have_anything_else_removed(store, published, tmp_path):
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "precious").write_text("x")
    for escape in ("../victim", "", ".", "..", "artifacts", "artifacts/model", f"keys/{KEY}"):
        for key in (OTHER, step_key(OTHER, 1)):
            enter(store, key, escape)
        assert store.find(OTHER) is None and step_scores(store, OTHER) == {}
        found = find_garbage(store, retention=Retention(1), min_age_seconds=0.0)
        assert {one.uri for one in found} == {published.uri}
        store.drop(step_key(OTHER, 1))
        store.drop(OTHER)
        assert store.backend.sizes(f"keys/{OTHER}") == {}
        assert store.find(KEY) == published and (victim / "precious").exists()
    assert (store.fetch(published) / "x").read_text() == "x"


def test_no_operation_of_a_backend_takes_a_name_that_leads_out(store, published, tmp_path):
    (tmp_path / "up").mkdir()
    backend = store.backend
    operations = (
        lambda name: backend.create(name, b"x"),
        *(backend.read, backend.sizes, backend.times, backend.remove),
        lambda name: backend.upload(tmp_path / "made", ["x"], name),
        lambda name: backend.download(name, ["x"], tmp_path / "up"),
        lambda name: backend.download("artifacts", [name], tmp_path / "up"),
    )
    for escape in ESCAPES:
        for operation in operations:
            with pytest.raises(StoreError, match="is no name in the store"):
                operation(escape)
    assert store.find(KEY) == published


def test_a_key_is_one_name(store, published):
    operations = (store.find, store.steps, store.drop, lambda key: store.claim(key, published))
    for key in ("", "..", "../x", "a/b", f"{KEY}/step-1", f"{KEY}/../{KEY}", "*"):
        for operation in operations:
            with pytest.raises(StoreError, match="is no name in the store"):
                operation(key)


def test_an_address_that_is_no_artifacts_is_refused(store, published):
    for rest in ("", "/", "/artifacts", "/artifacts/../keys", "/../x", "/keys/a/b"):
        with pytest.raises(StoreError):
            store.at(f"{store.root}{rest}")
        with pytest.raises(StoreError):
            store.fetch(published.model_copy(update={"uri": f"{store.root}{rest}"}))


def test_odd_entries_and_steps_are_no_steps(store, published):
    for name in ("step-x/000001.json", "step--0000001/000001.json", "other/1.json", "notes.txt"):
        store.backend.create(f"keys/{KEY}/{name}", b"{}")
    assert store.steps(KEY) == [] and store.find(KEY) == published
    for step, score in ((1, "[" * 100_000), (2, "no number"), (3, '"x"'), (4, "null")):
        forged = forge(store, step, producer={"score": score})
        store.claim(step_key(KEY, step), forged)
    forged = forge(store, 5, producer={})
    store.claim(step_key(KEY, 5), forged)
    scores = step_scores(store, KEY)
    assert sorted(scores) == [1, 2, 3, 4, 5] and all(score != score for score in scores.values())


def test_garbage_is_only_what_has_an_artifacts_place(store, published):
    for name in (
        "artifacts/x",
        "artifacts/model/x",
        "artifacts/.git/a/b/c",
        "elsewhere/x",
        "keys/x",
    ):
        store.backend.create(name, b"x")
    forge(
        store, 7, inputs={"policy": {"uri": f"{store.root}/../x", "sha256": "0" * 64, "kind": "m"}}
    )
    enter(store, OTHER, f"artifacts/model/{7:032x}")  # a finished run with an odd input
    found = find_garbage(store, retention=Retention(1), min_age_seconds=0.0)
    assert {one.uri for one in found} == {published.uri}
    remove(store, found)
    assert store.backend.read("artifacts/x") == b"x" and store.backend.read("elsewhere/x") == b"x"


def test_a_wildcard_in_an_objects_name_is_never_expanded(seaweed, tmp_path):
    store = Store(f"s3://{seaweed.bucket}/wild", tmp_path / "cache")
    store.backend.create("keys/x/000001.json", b"precious")
    backend = store.backend
    backend._fs.pipe_file(f"{backend._path}/keys/*", b"x")
    backend._fs.call_s3("create_multipart_upload", Bucket=seaweed.bucket, Key="wild/keys/*/y")
    assert set(backend.sizes("keys")) == {"x/000001.json"} and backend.unfinished() == {}
    remove(store, find_garbage(store, retention=Retention(1), min_age_seconds=0.0))
    assert backend.read("keys/x/000001.json") == b"precious"


def test_links_in_a_local_store_are_not_followed(tmp_path):
    secret, root = tmp_path / "secret", tmp_path / "store"
    (secret / "files").mkdir(parents=True)
    (secret / "manifest.json").write_text("{}")
    store = Store(str(root), tmp_path / "cache")
    (root / "artifacts" / "model" / "1").mkdir(parents=True)
    (root / "artifacts" / "model" / "1" / "manifest.json").symlink_to(secret / "manifest.json")
    (root / "artifacts" / "model" / "2").symlink_to(secret)
    (root / "artifacts" / "model" / ".half").symlink_to(secret / "manifest.json")
    (root / "artifacts" / "model" / "3").symlink_to("3")
    with pytest.raises(StoreError):
        store.at(f"{store.root}/artifacts/model/3")
    for number in "12":
        with pytest.raises(StoreError, match="is no name in the store"):
            store.at(f"{store.root}/artifacts/model/{number}")
        with pytest.raises(StoreError, match="is no name in the store"):
            store.backend.remove(f"artifacts/model/{number}/manifest.json")
    assert store.backend.sizes("artifacts") == {} and store.backend.unfinished() == {}
    assert (secret / "manifest.json").exists()
    # The store's own folder may be reached by a link: that is the user's, not the store's.
    (tmp_path / "link").symlink_to(root)
    assert LocalBackend(tmp_path / "link").create("keys/x", b"x")
    assert open_backend(str(root)).read("keys/x") == b"x"


def test_a_pipe_in_a_local_store_holds_nobody_up(tmp_path):
    store = Store(str(tmp_path / "store"), tmp_path / "cache")
    folder = tmp_path / "store" / "artifacts" / "model" / "1"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "manifest.json")
    with pytest.raises(DamagedError, match="no manifest"):
        store.at(f"{store.root}/artifacts/model/1")


def test_a_link_out_of_a_folder_is_not_stored(tmp_path):
    (tmp_path / "secret").write_text("key")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights").write_text("x")
    (folder / "same").symlink_to("weights")
    assert file_names(folder) == ["same", "weights"]
    for target in ("../secret", "/etc/passwd", "nowhere", "/etc", "link"):
        (folder / "link").symlink_to(target)
        with pytest.raises(StoreError, match="a link to something that is no file of it"):
            file_names(folder)
        (folder / "link").unlink()


def test_a_hubs_cache_is_stored_with_its_blobs_and_nothing_else(tmp_path):
    snapshot = tmp_path / "models--x" / "snapshots" / "1"
    snapshot.mkdir(parents=True)
    (tmp_path / "models--x" / "blobs").mkdir()
    (tmp_path / "models--x" / "blobs" / "abc").write_text("x")
    (snapshot / "weights").symlink_to("../../blobs/abc")
    assert file_names(snapshot) == ["weights"]
    (tmp_path / "models--x" / "blobs" / "def").symlink_to("/etc/passwd")
    (snapshot / "config.json").symlink_to("../../blobs/def")
    with pytest.raises(StoreError, match="a link to something"):
        file_names(snapshot)


def test_a_file_whose_name_cannot_be_stored_is_one_clear_error(tmp_path):
    for name in (b"a\xffb", b"a\nb"):
        path = tmp_path / os.fsdecode(name)
        path.write_text("x")
        with pytest.raises(StoreError, match="a file whose name cannot be printed"):
            file_names(tmp_path)
        path.unlink()
