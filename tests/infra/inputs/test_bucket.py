"""Objects of a real S3 server: listed, copied once, and noticed when they change."""

import hashlib
import uuid
from dataclasses import replace

import pytest

from contracts.errors import InputError
from contracts.places import BucketPlace
from infra.backends import S3Backend
from infra.inputs import bucket
from infra.inputs.folder import digest_files, list_files


@pytest.fixture
def put(seaweed, tmp_path):
    """Writes objects below a new prefix, whose address it returns."""
    prefix = f"{seaweed.bucket}/{uuid.uuid4().hex}"

    def objects(**files: bytes) -> str:
        folder = tmp_path / uuid.uuid4().hex
        folder.mkdir()
        for name, data in files.items():
            path = folder / f"{name}.parquet"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
        backend = S3Backend(prefix)
        backend.upload(folder, [f"{name}.parquet" for name in files], "rows")
        return f"s3://{prefix}/rows"

    return objects


def test_a_prefix_a_pattern_and_an_object_name_files(put, wanted, tmp_path):
    rows = put(a=b"1", ab=b"22", b=b"333")
    for path, names in [
        (rows, ["a", "ab", "b"]),
        (f"{rows}/", ["a", "ab", "b"]),
        (f"{rows}/a*.parquet", ["a", "ab"]),
        (f"{rows}/b.parquet", ["b"]),
    ]:
        listing = list_files(wanted(path), "main", tmp_path)
        assert list(listing.files) == [f"{name}.parquet" for name in names]
        assert listing.place == BucketPlace(prefix=rows)
    (entry,) = digest_files(wanted(f"{rows}/b.parquet"), listing, tmp_path)
    assert (entry.size, entry.sha256) == (3, hashlib.sha256(b"333").hexdigest())


def test_objects_below_a_prefix_that_are_not_read_are_named(put, wanted, tmp_path):
    rows = put(**{"a": b"1", "b": b"2", "deep/c": b"3", ".d": b"4"})
    listing = list_files(wanted(rows), "main", tmp_path)
    assert list(listing.files) == ["a.parquet", "b.parquet"]
    assert listing.unread == ("deep/c.parquet",)
    assert list_files(wanted(f"{rows}/a*"), "main", tmp_path).unread == ()
    with pytest.raises(InputError, match="names no file in its bucket"):
        list_files(replace(wanted(rows), files="csv"), "main", tmp_path)


def test_an_object_that_is_written_again_has_another_state(put, wanted, tmp_path):
    rows = put(a=b"1")
    before = list_files(wanted(rows), "main", tmp_path).state
    assert list_files(wanted(rows), "main", tmp_path).state == before
    put(a=b"2")
    assert list_files(wanted(rows), "main", tmp_path).state != before


def test_an_object_that_changes_while_it_is_read_is_told(put, wanted, tmp_path, monkeypatch):
    rows = put(a=b"1")
    listing, download = list_files(wanted(rows), "main", tmp_path), bucket.download

    def disturbed(*arguments):
        put(a=b"2")
        download(*arguments)

    monkeypatch.setattr(bucket, "download", disturbed)
    with pytest.raises(InputError, match="The source s changes while it is read"):
        digest_files(wanted(rows), listing, tmp_path)


def test_what_cannot_be_read_is_named(put, wanted, tmp_path, monkeypatch, free_port):
    rows = put(a=b"1")
    for path, told in [
        (f"{rows}/nowhere", "names no file in its bucket"),
        (f"{rows}/c*", "names no file in its bucket"),
        ("s3://no-such-bucket/rows", r"The bucket's prefix s3://no-such-bucket cannot be used"),
        ("s3://pocket/a.parquet", "lies at the top of its bucket"),
    ]:
        with pytest.raises(InputError, match=told) as caught:
            list_files(wanted(path), "main", tmp_path)
        assert caught.value.what.startswith("The source s ")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-secret")
    with pytest.raises(InputError, match="cannot be used") as caught:
        list_files(wanted(rows), "main", tmp_path)
    assert "another-secret" not in str(caught.value)
    assert "AWS_SECRET_ACCESS_KEY" in caught.value.fix
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port}")
    with pytest.raises(InputError, match="cannot be used"):
        list_files(wanted(rows), "main", tmp_path)
