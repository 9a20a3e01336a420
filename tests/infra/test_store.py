import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from contracts.artifact import Artifact
from contracts.errors import StoreError
from contracts.provenance import Provenance
from infra.backends import open_backend
from infra.digests import content_digest, describe, file_entries
from infra.local_backend import LocalBackend
from infra.preflight import check_store
from infra.store import Store

ROOT = Path(__file__).parents[2]
KEY = "a" * 64


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "made"
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "weights.bin").write_bytes(bytes(range(256)) * 4096)
    (folder / "summary.json").write_text("{}")
    return folder


def publish(store: Store, folder: Path, key: str | None = None) -> Artifact:
    made = Provenance(producer={"stage": "x"}, recipe_digest="d")
    return store.publish(folder, "model", made, key=key)


def test_what_is_fetched_is_what_was_published(store, folder):
    artifact = publish(store, folder)
    copy = store.fetch(artifact)
    assert describe(copy) == describe(folder)
    assert (artifact.kind, artifact.sha256) == ("model", content_digest(describe(folder)))
    assert artifact.uri.startswith(store.root + "/artifacts/model/")


def test_the_manifest_says_where_an_artifact_comes_from(store, folder):
    first = publish(store, folder)
    made = Provenance(producer={"run": "r"}, inputs={"policy": first}, recipe_digest="abc")
    second = store.publish(folder, "model", made)
    manifest = store.manifest(second)
    assert manifest.producer == {"run": "r"}
    assert manifest.inputs == {"policy": first}
    assert manifest.recipe_digest == "abc"
    assert [file.path for file in manifest.files] == ["model/weights.bin", "summary.json"]


def test_attachments_lie_beside_the_results_and_change_no_digest(store, folder):
    """Two runs with the same weights and other times, logs and file counts."""
    first = store.publish(folder, "model", Provenance(), results=["model/*"])
    (folder / "summary.json").write_text('{"seconds": 2}')
    (folder / "log.txt").write_text("another log")
    second = store.publish(folder, "model", Provenance(), results=["model/*"])
    weights = file_entries(folder, ["model/weights.bin"])
    assert first.sha256 == second.sha256 == content_digest(weights)
    assert (store.fetch(first) / "summary.json").read_text() == "{}"
    assert (store.fetch(second) / "log.txt").read_text() == "another log"
    results = store.fetch(second, attachments=False)
    assert [file.path for file in describe(results)] == ["model/weights.bin"]
    assert store.fetch(first, attachments=False) == results


def test_a_folder_without_a_result_is_no_artifact(store, folder):
    with pytest.raises(StoreError, match="nothing to store"):
        store.publish(folder, "dataset", Provenance(), results=["*.parquet"])


def test_a_damaged_attachment_is_noticed(store, folder):
    artifact = store.publish(folder, "model", Provenance(), results=["model/*"])
    store.backend.remove(f"{store.location(artifact)}/files/summary.json")
    with pytest.raises(StoreError):
        store.fetch(artifact)


def test_appended_artifacts_are_found_newest_first_though_some_are_gone(store, folder):
    made = [publish(store, folder) for _ in range(3)]
    for artifact in made:
        store.append(KEY, artifact)
    assert list(store.history(KEY)) == made[::-1]
    store.backend.remove(f"keys/{KEY}/000001.json")
    store.backend.remove(store.location(made[1]))
    store.append(KEY, made[0])
    assert list(store.history(KEY)) == [made[0], made[2]]
    assert store.find(KEY) == made[0]


def test_appended_artifacts_are_in_the_order_of_their_numbers(store, folder):
    made = [publish(store, folder) for _ in range(3)]
    store.append(KEY, made[0])
    data = store.backend.read(f"keys/{KEY}/000001.json")
    store.backend.create(f"keys/{KEY}/999999.json", data)
    store.append(KEY, made[1])
    store.append(KEY, made[2])
    assert "1000001.json" in store.backend.sizes(f"keys/{KEY}")
    assert list(store.history(KEY)) == [made[2], made[1], made[0], made[0]]


def test_where_no_number_is_left_nothing_is_appended_in_silence(store, folder):
    """A stranger's entry of the last number: a newer one's name would be no entry's."""
    first, second = publish(store, folder, KEY), publish(store, folder)
    store.backend.create(f"keys/{KEY}/999999999999.json", b"{}")
    with pytest.raises(StoreError, match="no number left for an entry") as raised:
        store.append(KEY, second)
    assert raised.value.where == f"{store.root}/keys/{KEY}/999999999999.json"
    assert store.find(KEY) == first
    store.backend.remove(f"keys/{KEY}/999999999999.json")
    store.append(KEY, second)
    assert store.find(KEY) == second


def test_a_manifest_from_before_attachments_is_read(store, folder):
    artifact = publish(store, folder)
    name = f"{store.location(artifact)}/manifest.json"
    values = json.loads(store.backend.read(name))
    for later in ("attachments", "ingredients", "libraries"):
        del values[later]
    store.backend.remove(name)
    store.backend.create(name, json.dumps(values).encode())
    assert describe(store.fetch(artifact)) == describe(folder)
    assert store.manifest(artifact).ingredients is None


def test_equal_content_has_an_equal_digest_and_its_own_place(store, folder):
    one, other = publish(store, folder), publish(store, folder)
    assert one.sha256 == other.sha256
    assert one.uri != other.uri


def test_hidden_files_are_no_part_of_an_artifact(store, folder):
    before = content_digest(describe(folder))
    (folder / ".cache").mkdir()
    (folder / ".cache" / "junk").write_text("x")
    assert publish(store, folder).sha256 == before


def test_an_empty_folder_is_refused(store, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(StoreError, match="nothing to store"):
        publish(store, tmp_path / "empty")


def test_a_finished_stage_is_found_by_its_key(store, folder):
    assert store.find(KEY) is None
    artifact = publish(store, folder, KEY)
    assert store.find(KEY) == artifact
    assert store.find("b" * 64) is None


def test_the_second_writer_of_a_key_gets_the_first_ones_artifact(store, uri, folder):
    first = publish(store, folder, KEY)
    (folder / "summary.json").write_text('{"other": true}')
    assert publish(store, folder, KEY) == first
    # The loser's payload is gone: one artifact, two files and a manifest.
    assert len(open_backend(uri).sizes("artifacts")) == 3


def test_a_key_whose_artifact_was_lost_is_passed_over_and_repaired(store, uri, folder, caplog):
    lost = publish(store, folder, KEY)
    open_backend(uri).remove(lost.uri.removeprefix(store.root + "/") + "/files/model")
    assert store.find(KEY) is None
    assert "are missing" in caplog.text
    repaired = publish(store, folder, KEY)
    assert repaired != lost
    assert store.find(KEY) == repaired


def test_a_prefix_without_a_manifest_is_no_artifact(store, uri, folder):
    artifact = publish(store, folder)
    open_backend(uri).remove(artifact.uri.removeprefix(store.root + "/"))
    open_backend(uri).upload(
        folder, ["summary.json"], artifact.uri.removeprefix(store.root + "/") + "/files"
    )
    with pytest.raises(StoreError, match="no manifest"):
        store.fetch(artifact)


def test_a_reference_with_another_digest_is_not_believed(store, folder):
    artifact = publish(store, folder)
    with pytest.raises(StoreError, match="lists other files"):
        store.fetch(artifact.model_copy(update={"sha256": "0" * 64}))


def test_changed_bytes_are_noticed_and_named(store, uri, folder):
    artifact = publish(store, folder)
    files = artifact.uri.removeprefix(store.root + "/") + "/files"
    backend = open_backend(uri)
    backend.remove(f"{files}/model")
    (folder / "model" / "weights.bin").write_bytes(b"\0" * 256 * 4096)  # the same size
    backend.upload(folder, ["model/weights.bin"], files)
    with pytest.raises(StoreError, match=r"damaged: model/weights.bin"):
        store.fetch(artifact)


def test_some_files_are_fetched_without_the_others_and_verified(store, uri, folder, tmp_path):
    artifact = publish(store, folder)
    backend, files = open_backend(uri), artifact.uri.removeprefix(store.root + "/") + "/files"
    backend.remove(f"{files}/model")  # whoever asked for it would notice
    copy = store.fetch(artifact, only=["summary.json", "no-such-file"])
    assert [path.name for path in copy.rglob("*")] == ["summary.json"]
    assert list(store.fetch(artifact, only=["no-such-file"]).iterdir()) == []
    with pytest.raises(StoreError):
        store.fetch(artifact)

    backend.remove(f"{files}/summary.json")
    (folder / "summary.json").write_text("[]")  # the same size
    backend.upload(folder, ["summary.json"], files)
    with pytest.raises(StoreError, match=r"damaged: summary.json"):
        Store(uri, tmp_path / "another-cache").fetch(artifact, only=["summary.json"])


def test_a_damaged_local_copy_is_fetched_again(store, folder, tmp_path):
    artifact = publish(store, folder)
    copy = store.fetch(artifact)
    (copy / "summary.json").unlink()
    (copy / "summary.json").write_text("tampered")
    assert (store.fetch(artifact) / "summary.json").read_text() == "{}"


def test_a_reference_into_another_store_is_refused(store, folder, tmp_path):
    artifact = publish(store, folder)
    other = Store(str(tmp_path / "other"), tmp_path / "cache")
    with pytest.raises(StoreError, match="another store"):
        other.fetch(artifact)


@pytest.mark.fault(
    "eight writers of one stage at once",
    "one wins, the others see its artifact and leave nothing",
)
def test_eight_processes_finish_the_same_stage_and_agree(store, uri, tmp_path):
    program = """
import sys
from pathlib import Path
from contracts.provenance import Provenance
from infra.store import Store
uri, cache, folder, key = sys.argv[1:]
store = Store(uri, Path(cache))
sys.stdin.readline()  # all start together
artifact = store.publish(Path(folder), "model", Provenance(), key=key)
print(artifact.model_dump_json())
"""
    workers = []
    for number in range(8):
        folder = tmp_path / f"writer-{number}"
        folder.mkdir()
        (folder / "who").write_text(str(number))
        arguments = [uri, str(tmp_path / "cache"), str(folder), KEY]
        workers.append(
            subprocess.Popen(
                [sys.executable, "-c", program, *arguments],
                cwd=ROOT,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
    for worker in workers:
        worker.stdin.write("\n")
        worker.stdin.flush()
    answers = [json.loads(worker.communicate()[0]) for worker in workers]
    assert all(answer == answers[0] for answer in answers)
    winner = Artifact(**answers[0])
    assert store.find(KEY) == winner
    assert (store.fetch(winner) / "who").read_text() in "01234567"
    assert len(open_backend(uri).sizes("artifacts")) == 2  # the losers left nothing


def test_check_accepts_a_store_and_leaves_nothing(store, uri):
    check_store(store)
    assert open_backend(uri).sizes("probes") == {}


def test_a_store_that_lets_a_second_writer_overwrite_is_refused(tmp_path):
    class Careless(LocalBackend):  # as S3 servers are that ignore If-None-Match
        def create(self, name, data):
            self.remove(name)
            return super().create(name, data)

    store = Store(str(tmp_path / "store"), tmp_path / "cache")
    store.backend = Careless(tmp_path / "store")
    with pytest.raises(StoreError, match="let a second writer overwrite the first"):
        check_store(store)


def test_a_local_store_below_a_file_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError) as caught:
        check_store(Store(str(tmp_path / "file" / "store"), tmp_path / "cache"))
    assert "Not a directory" in caught.value.what
    assert "REVISUAL_STORE" in caught.value.fix


@pytest.mark.fault(
    "disk full while the local store is written (a process's limit, for every user)",
    "one clear error; nothing half-made is found; the next try succeeds",
)
def test_a_store_on_a_full_disk_is_one_clear_error(folder, full_disk, tmp_path):
    store = Store(str(tmp_path / "store"), tmp_path / "cache")
    with full_disk(100_000), pytest.raises(StoreError, match="File too large") as caught:
        publish(store, folder, KEY)
    assert "make room" in caught.value.fix
    assert store.find(KEY) is None
    artifact = publish(store, folder, KEY)
    assert describe(store.fetch(artifact)) == describe(folder)


@pytest.mark.parametrize(
    "address", ["http://x/y", "s3://", "s3://key:secret@bucket/x", "file://relative", "s3:///x"]
)
def test_an_address_of_no_known_kind_is_refused_without_showing_it(address, tmp_path):
    with pytest.raises(StoreError) as caught:
        Store(address, tmp_path)
    assert "secret" not in str(caught.value)
    assert "REVISUAL_STORE" in caught.value.where


@pytest.mark.fault("no such bucket", "one clear error before the run starts")
def test_a_bucket_that_does_not_exist_is_one_clear_error(seaweed, tmp_path):
    with pytest.raises(StoreError, match="no-such-bucket"):
        check_store(Store("s3://no-such-bucket/x", tmp_path))


@pytest.mark.fault(
    "wrong S3 credentials", "one clear error before the run starts, which shows no secret"
)
def test_wrong_credentials_are_one_clear_error_that_shows_no_secret(seaweed, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret-value")
    with pytest.raises(StoreError) as caught:
        check_store(Store(f"s3://{seaweed.bucket}/x", tmp_path))
    assert "wrong-secret-value" not in str(caught.value)
    assert seaweed.environment["AWS_ACCESS_KEY_ID"] not in str(caught.value)
    assert "AWS_SECRET_ACCESS_KEY" in caught.value.fix


@pytest.mark.fault("no S3 server", "one clear error before the run starts")
def test_an_unreachable_server_is_one_clear_error(seaweed, tmp_path, monkeypatch, free_port):
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port}")
    with pytest.raises(StoreError) as caught:
        check_store(Store(f"s3://{seaweed.bucket}/x", tmp_path))
    assert f"127.0.0.1:{free_port}" in caught.value.where
