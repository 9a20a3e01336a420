"""Files of this machine: found, digested once, and known again only while nobody touched them."""

import hashlib
import os
import time

import pytest

from contracts.errors import InputError
from infra.inputs import known_digests
from infra.inputs.folder import digest_files, list_files
from infra.inputs.known_digests import KnownDigests
from infra.inputs.wanted import Wanted, unread_remark


@pytest.fixture
def rows(tmp_path):
    for name in ("b.parquet", "a.parquet", "sub/c.parquet", ".d.parquet", "notes.txt"):
        path = tmp_path / "rows" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path / "rows"


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("a.parquet", ["a.parquet"]),
        ("", ["a.parquet", "b.parquet"]),
        ("*.parquet", ["a.parquet", "b.parquet"]),
        ("a*", ["a.parquet"]),
        ("*/*.parquet", ["sub/c.parquet"]),
        ("**/*.parquet", ["a.parquet", "b.parquet", "sub/c.parquet"]),
    ],
)
def test_a_file_a_folder_and_patterns_name_parquet_files(rows, path, names, wanted, tmp_path):
    listing = list_files(wanted(rows / path), "main", tmp_path)
    assert list(listing.files) == names
    assert listing.place.folder == str(rows)
    assert listing.num_bytes == sum(map(len, names))
    entries = digest_files(wanted(rows / path), listing, tmp_path)
    assert [entry.sha256 for entry in entries] == [
        hashlib.sha256(name.encode()).hexdigest() for name in names
    ]


def test_files_of_a_folder_that_are_not_read_are_named(rows, wanted, tmp_path):
    for name in ("README.md", "LICENSE", "licence.txt", "B.PARQUET", "a\x1b.parquet"):
        (rows / name).write_bytes(b"x")
    (rows / "figures").mkdir()
    for number in range(20):
        (rows / f"figures/{number:02}.png").touch()
    listing = list_files(wanted(rows), "main", tmp_path)
    assert list(listing.files) == ["B.PARQUET", "a.parquet", "b.parquet"]
    pictures = [f"figures/{number:02}.png" for number in range(20)]
    assert listing.unread == ("a\x1b.parquet", *pictures, "notes.txt", "sub/c.parquet")
    remark = unread_remark(wanted(rows), listing)
    assert remark.startswith("The source s does not read 23 file(s): 'a\\x1b.parquet', 'figures/00")
    assert remark.endswith("'figures/08.png' and 13 more")
    (rows / "n.parquet").touch()
    named = {"*.parquet": ("a\x1b.parquet",), "a.parquet": (), "n*": ("notes.txt",)}
    for path, unread in named.items():
        assert list_files(wanted(rows / path), "main", tmp_path).unread == unread
    quiet = list_files(wanted(rows / "a.parquet"), "main", tmp_path)
    assert unread_remark(wanted(rows / "a.parquet"), quiet) is None


@pytest.mark.parametrize("name", ["b.jsonl.gz", "b.JSONL.ZST", "b.ndjson.xz", "b.json"])
def test_files_that_look_like_rows_are_refused_beside_others_and_alone(name, tmp_path):
    folder = tmp_path / "rows"
    folder.mkdir()

    def listed(path):
        asked = Wanted("The source s", "sources.s", str(path), "jsonl")
        return list_files(asked, "main", tmp_path)

    (folder / name).touch()
    with pytest.raises(InputError, match="look like rows and are not read") as caught:
        listed(folder)
    (folder / "a.jsonl").touch()
    with pytest.raises(InputError, match="look like rows and are not read") as caught:
        listed(folder)
    assert name in caught.value.what and "`*.jsonl`" in caught.value.fix
    assert list(listed(folder / "*.jsonl").files) == ["a.jsonl"]
    (folder / "old").mkdir()
    (folder / name).rename(folder / "old" / name)
    assert listed(folder).unread == (f"old/{name}",)


def test_what_datasets_and_hubs_write_beside_rows_is_spared(tmp_path):
    names = ("dataset_dict.json", "dataset_info.json", "dataset_infos.json", "state.json")
    for name in ("a.jsonl", *names):
        (tmp_path / name).touch()
    listing = list_files(Wanted("The source s", "s", str(tmp_path), "jsonl"), "main", tmp_path)
    assert (list(listing.files), listing.unread) == (["a.jsonl"], ())


@pytest.mark.parametrize("path", ["nowhere.parquet", "notes.txt", "*.csv", "nowhere/*.parquet"])
def test_a_path_without_parquet_files_is_named(rows, path, wanted, tmp_path):
    with pytest.raises(InputError, match="The source s names no Parquet file") as caught:
        list_files(wanted(rows / path), "main", tmp_path)
    assert caught.value.where == f"recipe, sources.s.path = {str(rows / path)!r}"


def test_a_repository_that_was_downloaded_gives_the_split_that_is_wanted(wanted, tmp_path):
    for name in ("data/test-00000-of-00001.parquet", "data/train-00000-of-00001.parquet"):
        path = tmp_path / "copy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    listing = list_files(wanted(tmp_path / "copy"), "main", tmp_path)
    assert list(listing.files) == ["data/train-00000-of-00001.parquet"]
    (tmp_path / "copy/README.md").write_text(
        "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: test\n"
        "    path: data/test-*\n---\n"
    )
    with pytest.raises(InputError, match="has no split 'train'") as caught:
        list_files(wanted(tmp_path / "copy"), "main", tmp_path)
    assert "pattern" in caught.value.fix


def test_a_hubs_cache_whose_rows_are_links_is_a_repository(wanted, tmp_path):
    blob = tmp_path / "hub/blobs/abc"
    data = tmp_path / "hub/snapshots/1/data"
    for folder in (blob.parent, data):
        folder.mkdir(parents=True)
    blob.write_bytes(b"rows")
    (data / "train-00000-of-00001.parquet").symlink_to("../../../blobs/abc")
    listing = list_files(wanted(data.parent), "main", tmp_path)
    assert list(listing.files) == ["data/train-00000-of-00001.parquet"]
    (entry,) = digest_files(wanted(data.parent), listing, tmp_path)
    assert (entry.size, entry.sha256) == (4, hashlib.sha256(b"rows").hexdigest())


def test_a_pattern_that_is_none_is_one_clear_error(rows, wanted, tmp_path):
    with pytest.raises(InputError, match="Invalid pattern"):
        list_files(wanted(rows / "x**" / "y.parquet"), "main", tmp_path)


@pytest.mark.parametrize("name", ["e[1].parquet", "e*.parquet", "e?.parquet"])
@pytest.mark.parametrize("path", ["", "*.parquet"])
def test_a_file_whose_name_no_artifact_can_list_is_not_left_out(rows, path, name, wanted, tmp_path):
    (rows / name).write_bytes(b"x")
    with pytest.raises(InputError, match="has a file whose name cannot be used") as caught:
        list_files(wanted(rows / path), "main", tmp_path)
    assert name in caught.value.what
    assert list(list_files(wanted(rows / "a.parquet"), "main", tmp_path).files) == ["a.parquet"]


@pytest.fixture
def digested(monkeypatch):
    """The files that were read to be digested."""
    found = []

    def digest(path):
        found.append(path.name)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    monkeypatch.setattr(known_digests, "file_digest", digest)
    return found


def test_a_file_is_digested_again_when_it_was_touched_and_only_then(
    rows, digested, tmp_path, monkeypatch
):
    monkeypatch.setattr(known_digests, "SETTLED_SECONDS", -1.0)
    path, known = rows / "a.parquet", KnownDigests(tmp_path / "known")
    (first,) = known.entries({"a": path})
    assert (first.path, first.size) == ("a", 9)
    assert KnownDigests(tmp_path / "known").entries({"x": path})[0].sha256 == first.sha256
    assert digested == ["a.parquet"]

    before = path.stat()
    with path.open("r+b") as file:  # the same size, the same inode ...
        file.write(b"A")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # ... and the same time
    assert known.entries({"a": path})[0].sha256 == hashlib.sha256(b"A.parquet").hexdigest()
    assert digested == ["a.parquet"] * 2


def test_what_was_written_just_now_is_not_remembered(rows, digested, tmp_path):
    known = KnownDigests(tmp_path / "known")
    known.entries({"a": rows / "a.parquet"})
    known.entries({"a": rows / "a.parquet"})
    assert digested == ["a.parquet"] * 2


def test_damaged_notes_are_no_digests(rows, digested, tmp_path, monkeypatch):
    monkeypatch.setattr(known_digests, "SETTLED_SECONDS", -1.0)
    known = KnownDigests(tmp_path / "known")
    known.entries({"a": rows / "a.parquet"})
    for note in (tmp_path / "known").iterdir():
        note.write_text("{")
    known.entries({"a": rows / "a.parquet"})
    assert digested == ["a.parquet"] * 2


def test_a_file_that_changes_while_it_is_digested_is_not_remembered(rows, tmp_path, monkeypatch):
    monkeypatch.setattr(known_digests, "SETTLED_SECONDS", -1.0)
    path, known = rows / "a.parquet", KnownDigests(tmp_path / "known")

    def digest(path):
        time.sleep(0.02)  # coarser than the clock of any file system here
        path.write_bytes(b"new bytes")
        return hashlib.sha256(b"a.parquet").hexdigest()

    with monkeypatch.context() as patch:
        patch.setattr(known_digests, "file_digest", digest)
        known.entries({"a": path})
    assert known.entries({"a": path})[0].sha256 == hashlib.sha256(b"new bytes").hexdigest()


def test_files_of_other_formats_and_images_below_are_named(rows, tmp_path):
    for name in ("a.jsonl", "b.ndjson", "c.csv", "deep/d.arrow", "figures/1.PNG", "figures/2.jpg"):
        path = rows / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    outside = tmp_path / "outside.png"
    outside.write_bytes(b"secret")
    (rows / "figures/out.png").symlink_to(outside)
    (rows / "figures/in.png").symlink_to(rows / "figures/2.jpg")

    def listed(path, files, images=False):
        asked = Wanted("The source s", "sources.s", str(path), files, images=images)
        return list(list_files(asked, "main", tmp_path).files)

    assert listed(rows, "jsonl") == ["a.jsonl", "b.ndjson"]
    assert listed(rows / "deep", "arrow") == ["d.arrow"]
    images = ["figures/1.PNG", "figures/2.jpg", "figures/in.png"]
    assert listed(rows, "csv", images=True) == ["c.csv", *images]
    assert listed(rows / "c.csv", "csv", images=True) == ["c.csv", *images]
    with pytest.raises(InputError, match="names no Arrow file"):
        listed(rows / "figures", "arrow", images=True)
