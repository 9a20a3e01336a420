"""The hub's real client against a hub on loopback that serves, refuses, lies, hangs and dies."""

import io
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contracts.errors import InputError
from infra.inputs import hub as hub_inputs
from infra.inputs.folder import digest_files, list_files
from infra.inputs.hub import UnreachableHub
from infra.inputs.wanted import Wanted
from tests.hub import TOKEN

CARD = b"""---
configs:
- config_name: easy
  default: true
  data_files:
  - {split: train, path: easy/*.parquet}
- config_name: hard
  data_files:
  - {split: train, path: [hard/1.parquet, hard/2.parquet]}
  - {split: test, path: hard/test.parquet}
---
# Rows
"""


def parquet(*questions: str) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(
        pa.table({"question": list(questions), "answer": ["1"] * len(questions)}), buffer
    )
    return buffer.getvalue()


@pytest.fixture
def rows(hub):
    """A data set with two configurations, and what no source reads."""
    names = ["easy/1", "hard/2", "hard/1", "hard/test"]
    files = {f"{name}.parquet": parquet(name) for name in names}
    repo = hub.repo("datasets/owner/rows")
    repo.commit({"README.md": CARD, "loader.py": b"raise SystemExit", **files})
    return repo


@pytest.fixture
def found(wanted, tmp_path):
    def names(path="owner/rows", *, at="main", **settings):
        return list(list_files(wanted(path, **settings), at, tmp_path).files)

    return names


def test_a_configurations_split_is_what_the_card_says(rows, found, hub):
    assert found() == ["easy/1.parquet"]
    assert found(config="hard") == ["hard/1.parquet", "hard/2.parquet"]
    assert found(config="hard", split="test") == ["hard/test.parquet"]
    assert not [one for one in hub.requests if "parquet" in one or "loader" in one]


def test_without_a_card_names_of_files_and_folders_say_it(hub, found):
    repo = hub.repo("datasets/owner/rows")
    repo.commit({"data/train-0.parquet": b"", "data/test-0.parquet": b""})
    assert found() == ["data/train-0.parquet"]
    converted = {f"{name}/0.parquet": b"" for name in ("a/train", "b/train", "b/test")}
    repo.commit(converted, branch="refs/convert/parquet")
    assert found(at="refs/convert/parquet", config="b") == ["b/train/0.parquet"]


def test_a_branch_is_resolved_to_its_commit_and_a_commit_to_itself(rows, wanted, tmp_path):
    old = rows.refs["main"]
    new = rows.commit({"train.parquet": parquet("new")})
    place = list_files(wanted("owner/rows"), "main", tmp_path).place
    assert (place.commit, place.revision) == (new, "main")
    listing = list_files(wanted("owner/rows"), old, tmp_path)
    assert (listing.place.commit, list(listing.files)) == (old, ["easy/1.parquet"])
    (entry,) = digest_files(wanted("owner/rows"), listing, tmp_path)
    assert entry.sha256 == listing.files["easy/1.parquet"].sha256


def test_a_model_is_safetensors_and_what_describes_them(hub, tmp_path):
    names = ["config.json", "model.safetensors", "chat_template.jinja", "merges.txt"]
    others = ["pytorch_model.bin", "modeling.py", "a/model.safetensors", ".env.json", "README.md"]
    hub.repo("models/owner/m").commit({name: name.encode() for name in names + others})
    model = Wanted("The model", "model", "owner/m", "model")
    listing = list_files(model, "main", tmp_path)
    assert sorted(listing.files) == sorted(names)
    assert len(digest_files(model, listing, tmp_path)) == len(names)
    hub.repo("models/owner/m").commit({"pytorch_model.bin": b"x"})
    with pytest.raises(InputError, match="holds no model"):
        list_files(model, "main", tmp_path)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"config": "soft"}, "no configuration 'soft'.*'easy', 'hard'"),
        ({"split": "test"}, r"no split 'test'.*\['train'\]"),
        ({"at": "v2"}, "owner/rows has no revision 'v2'"),
        ({"at": "0" * 40}, "owner/rows has no revision '0000"),
        ({"path": "owner/others"}, "owner/others does not exist, or is private: 401 without"),
    ],
)
def test_what_is_not_there_is_named(settings, told, rows, found):
    with pytest.raises(InputError, match=told) as caught:
        found(**settings)
    assert caught.value.what.startswith("The source s ")
    assert "recipe, sources.s.path" in caught.value.where


def test_a_data_set_without_parquet_files_is_told_of_the_conversion(hub, found):
    hub.repo("datasets/owner/rows").commit({"README.md": b"", "train.json": b"[]"})
    with pytest.raises(InputError, match="has no Parquet files") as caught:
        found()
    assert "refs/convert/parquet" in caught.value.fix


def test_private_data_need_the_token_even_when_they_are_in_the_cache(
    rows, found, wanted, tmp_path, monkeypatch
):
    rows.access = "private"
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    source = wanted("owner/rows")
    digest_files(source, list_files(source, "main", tmp_path), tmp_path)
    commit = rows.refs["main"]
    for token, told in [("hf_another", "404|401 with this token"), (None, "401 without a token")]:
        monkeypatch.setenv("HF_TOKEN", token) if token else monkeypatch.delenv("HF_TOKEN")
        for revision in ("main", commit):
            with pytest.raises(InputError, match=told) as caught:
                found(at=revision)
            assert "HF_TOKEN" in caught.value.fix
            assert "hf_another" not in str(caught.value)
            assert not isinstance(caught.value, UnreachableHub)


def test_a_gated_repository_says_what_to_do(rows, found, monkeypatch):
    rows.access = "gated"
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with pytest.raises(InputError, match="is gated: owner/rows") as caught:
        found()
    assert "accept its terms" in caught.value.fix


@pytest.mark.fault(
    "a hub that is down, hangs or answers with a server error, before a run",
    "one clear message within seconds; nothing is started",
)
def test_a_hub_that_does_not_answer_is_told_at_once(rows, found, hub, monkeypatch, free_port):
    hub.status = 503
    with pytest.raises(UnreachableHub, match=r"owner/rows did not arrive .* it answers 503"):
        found()
    hub.heal()
    hub.hang_seconds = 3.0
    monkeypatch.setattr(hub_inputs, "ANSWER_SECONDS", 0.2)
    with pytest.raises(UnreachableHub, match=r"owner/rows did not arrive from http://127\.0\.0\.1"):
        found()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{free_port}")
    with pytest.raises(UnreachableHub, match="owner/rows did not arrive") as caught:
        found()
    assert "HF_ENDPOINT" in caught.value.fix


@pytest.mark.fault(
    "a hub's file that arrives cut off, or with other bytes",
    "fetched again; then one clear message, and the next run goes on with what has arrived",
)
def test_half_a_download_and_other_bytes_are_no_input(rows, hub, wanted, tmp_path, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: None)  # the client's waits between tries
    source = wanted("owner/rows", config="hard")
    listing = list_files(source, "main", tmp_path)
    hub.cut_after = 100
    with pytest.raises(InputError, match="owner/rows did not arrive") as caught:
        digest_files(source, listing, tmp_path)
    assert "start the run again" in caught.value.fix
    hub.heal()
    hub.spoil = True
    with pytest.raises(InputError, match=r"arrives damaged.*hard/1.parquet"):
        digest_files(source, listing, tmp_path)
    hub.heal()
    expected = [listing.files[name].sha256 for name in listing.files]
    assert [entry.sha256 for entry in digest_files(source, listing, tmp_path)] == expected

    (blob,) = tmp_path.glob(f"inputs/hub/*/blobs/{expected[0]}")
    blob.write_bytes(bytes(blob.stat().st_size))
    assert [entry.sha256 for entry in digest_files(source, listing, tmp_path)] == expected


def test_names_that_lead_out_are_not_taken_from_a_hub(hub, found, tmp_path):
    odd = [
        "../out.parquet",
        "/abs.parquet",
        "a/../../out.parquet",
        ".hidden.parquet",
        "a\n.parquet",
    ]
    hub.repo("datasets/owner/rows").commit(dict.fromkeys([*odd, "train.parquet"], b""))
    assert found() == ["train.parquet"]
    assert not list(tmp_path.parent.glob("out.parquet"))


@pytest.mark.parametrize("name", ["train-[1].parquet", "train-?.parquet"])
def test_a_name_that_no_artifact_can_list_is_one_clear_error(name, hub, found):
    hub.repo("datasets/owner/rows").commit({"train.parquet": b"", name: b""})
    with pytest.raises(InputError, match="whose name cannot be used"):
        found()


def test_a_name_that_no_disk_can_hold_is_one_clear_error(hub, tmp_path):
    long = "x" * 300 + ".json"
    hub.repo("models/owner/model").commit({"model.safetensors": b"x", long: b"{}"})
    with pytest.raises(InputError, match="whose name cannot be used"):
        list_files(Wanted("The model", "model", "owner/model", "model"), "main", tmp_path)


def test_json_lines_and_images_of_a_repository_are_listed(hub, tmp_path):
    repo = hub.repo("datasets/owner/lines")
    repo.commit({"train.jsonl": b"{}", "test.jsonl": b"{}", "figures/1.png": b"x", "a.bin": b"y"})

    def found(files, images):
        asked = Wanted("The source s", "sources.s", "owner/lines", files, images=images)
        return list(list_files(asked, "main", tmp_path).files)

    assert found("jsonl", images=False) == ["train.jsonl"]
    assert found("jsonl", images=True) == ["figures/1.png", "train.jsonl"]
    with pytest.raises(InputError, match="has no CSV files"):
        found("csv", images=True)
