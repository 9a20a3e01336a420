"""Step checkpoints in real stores, intact and damaged; see test_make.py for whole stages."""

import json
import math
import os
import signal
import time
import uuid
from concurrent.futures import wait
from pathlib import Path
from threading import main_thread

import pytest

from contracts.errors import DamagedError, StoreError
from contracts.provenance import Provenance
from infra import backends
from infra.backends import open_backend
from infra.cluster.records import UPLOADED, Uploaded
from infra.digests import describe
from infra.names import chunks_key, step_key
from infra.store import Store
from tasks.uploads import (
    ResumePoint,
    Retention,
    StepUploads,
    drop_remains,
    resume_point,
    step_scores,
)

KEY = "a" * 64


@pytest.fixture
def saved(tmp_path):
    folder = tmp_path / "saved"
    folder.mkdir()
    return folder


def save(folder: Path, step: int, score: float | None = 0.0) -> Path:
    """What a stage's processes leave: all of it, then its name."""
    partial = folder / f".step-{step:08d}"
    (partial / "history").mkdir(parents=True)
    (partial / "learner-0.safetensors").write_bytes(step.to_bytes(4, "big") * 65536)
    (partial / "history" / "metrics.jsonl").write_text(f"{step}\n")
    (partial / "state.json").write_text(json.dumps({"score": score, "loop": {"step": step}}))
    return partial.rename(folder / f"step-{step:08d}")


def uploads(store: Store, folder: Path, said: list[str], **changes) -> StepUploads:
    options = {
        "retention": Retention(keep_last=2),
        "start": ResumePoint(),
        "provenance": Provenance(producer={"stage": "cold_start"}),
        "say": said.append,
    }
    return StepUploads(store, KEY, folder, **(options | changes))


def save_elsewhere(store: Store, folder: Path, step: int, score: float) -> str:
    """What a driver of several nodes leaves: the files are in the store, but for their names."""
    saved = save(folder, step, score)
    files, location = describe(saved), f"artifacts/checkpoint/{uuid.uuid4().hex}"
    store.backend.upload(saved, [file.path for file in files], f"{location}/files")
    for name in ("learner-0.safetensors", "history/metrics.jsonl"):
        (saved / name).unlink()
    (saved / "history").rmdir()
    uploaded = Uploaded(location=location, files=files)
    (saved / UPLOADED).write_text(uploaded.model_dump_json())
    return location


def store_steps(store: Store, folder: Path, scores: dict[int, float | None], **changes) -> None:
    for step, score in scores.items():
        save(folder, step, score)
        with uploads(store, folder, [], **changes):
            pass  # leaving uploads what is there


def resume(store: Store, work: Path) -> tuple:
    said: list[str] = []
    point = resume_point(store, KEY, work, said.append)
    return point, said


def replace_bytes(store: Store, uri: str, step: int, name: str, data: bytes, scratch: Path) -> None:
    files = store.find(step_key(KEY, step)).uri.removeprefix(store.root + "/") + "/files"
    backend = open_backend(uri)
    kept = scratch / uuid.uuid4().hex
    backend.download(files, ["learner-0.safetensors", "state.json", "history/metrics.jsonl"], kept)
    backend.remove(files)
    copies = scratch / uuid.uuid4().hex
    for path in [p for p in kept.rglob("*") if p.is_file()]:
        copy = copies / path.relative_to(kept)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    (copies / name).write_bytes(data)
    names = [path.relative_to(copies).as_posix() for path in copies.rglob("*") if path.is_file()]
    backend.upload(copies, names, files)


def lose_file(store: Store, uri: str, step: int, name: str) -> None:
    files = store.find(step_key(KEY, step)).uri.removeprefix(store.root + "/") + "/files"
    open_backend(uri).remove(f"{files}/{name}")


def test_a_stage_without_checkpoints_starts_from_its_beginning(store, tmp_path):
    point, said = resume(store, tmp_path)
    assert (point.step, point.folder, said) == (0, None, [])


def test_the_newest_checkpoint_comes_back_as_it_was_saved(store, saved, tmp_path):
    original = describe(save(saved, 20))
    said: list[str] = []
    with uploads(store, saved, said) as running:
        pass
    assert running.step == 20 and "step 20 is stored" in said[0]
    assert list(saved.iterdir()) == []
    store_steps(store, saved, {10: 0.0})
    point, said = resume(store, tmp_path)
    assert point.step == 20 and describe(point.folder) == original
    assert "Going on after step 20" in said[0]
    # The finished stage's own entry is found beside its steps, and only that.
    assert store.find(KEY) is None
    assert store.steps(KEY) == [10, 20]


def test_uploads_run_while_the_stage_does(store, saved):
    with uploads(store, saved, []) as running:
        save(saved, 10)
        deadline = time.monotonic() + 300
        while running.step != 10:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        save(saved, 20)
    assert store.steps(KEY) == [10, 20]


def test_the_best_one_that_waits_is_stored_after_the_newest_if_it_is_still_the_best(store, saved):
    keeping_one = {"retention": Retention(keep_last=1)}
    said: list[str] = []
    save(saved, 10, 0.9)
    save(saved, 20, 0.5)
    with uploads(store, saved, said, **keeping_one) as running:
        pass
    assert running.step == 20 and store.steps(KEY) == [10, 20]
    assert [line.split(" is stored")[0][-7:] for line in said] == ["step 20", "step 10"]
    said.clear()
    save(saved, 30, 0.7)
    save(saved, 40, 0.6)
    with uploads(store, saved, said, **keeping_one) as running:
        pass
    assert running.step == 40 and store.steps(KEY) == [10, 40]
    assert len(said) == 1, "step 30 would go again at once: it is not uploaded"
    assert list(saved.iterdir()) == []


def test_uploads_outlive_whoever_reads_what_is_said(store, saved):
    """As rich does where a worker is dead, and its end of the pipe closed."""

    def say(text: str) -> None:
        raise SystemExit(1)

    save(saved, 1, score=9.0)
    save(saved, 2, score=0.0)
    with uploads(store, saved, [], say=say):
        pass
    assert store.steps(KEY) == [1, 2]


def test_the_last_ones_and_the_best_stay_and_the_others_files_go(store, uri, saved):
    scores = {10: 0.1, 20: 0.9, 30: None, 40: 0.3, 50: math.nan, 60: 0.2}
    store_steps(store, saved, scores)
    assert store.steps(KEY) == [20, 50, 60]
    assert len(open_backend(uri).sizes("artifacts")) == 3 * 4
    found = step_scores(store, KEY)
    assert (found[20], found[60]) == (0.9, 0.2) and math.isnan(found[50])


@pytest.mark.fault(
    "newest checkpoint missing files, cut off, or with changed bytes",
    "named in the log; the one before it is used; replaced when its step comes again",
)
@pytest.mark.parametrize("fault", ["missing", "cut off", "changed"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_is_used_and_it_is_replaced(
    fault, store, uri, saved, tmp_path
):
    store_steps(store, saved, {10: 0.0, 20: 0.0})
    name = "learner-0.safetensors"
    if fault == "missing":
        lose_file(store, uri, 20, "history")
    elif fault == "cut off":
        replace_bytes(store, uri, 20, name, b"short", tmp_path)
    else:
        replace_bytes(store, uri, 20, name, b"\0" * 4 * 65536, tmp_path)
    point, said = resume(store, tmp_path)
    assert point.step == 10
    assert said[0].startswith("The checkpoint of step 20 is passed over: ")
    assert ("damaged: learner-0.safetensors" in said[0]) == (fault == "changed")

    # The stage comes by step 20 again: what it saves now takes the damaged one's place.
    original = describe(save(saved, 20))
    with uploads(store, saved, [], start=point):
        pass
    point, said = resume(store, tmp_path / "again")
    assert point.step == 20 and describe(point.folder) == original


@pytest.mark.fault("no checkpoint is valid", "an error that names them all")
def test_when_none_is_valid_the_error_names_them_all(store, uri, saved, tmp_path):
    store_steps(store, saved, {10: 0.0, 20: 0.0})
    lose_file(store, uri, 10, "history")
    replace_bytes(store, uri, 20, "state.json", b"{}", tmp_path)
    with pytest.raises(DamagedError) as caught:
        resume(store, tmp_path)
    assert "step 20: its files are not all there" in str(caught.value)
    assert "step 10: its files are not all there" in str(caught.value)
    assert "remove that folder" in caught.value.fix


def test_a_store_that_does_not_answer_is_not_taken_for_damage(
    seaweed, saved, tmp_path, monkeypatch, free_port
):
    uri = f"s3://{seaweed.bucket}/{uuid.uuid4().hex}"
    store_steps(Store(uri, tmp_path / "cache"), saved, {10: 0.0})
    monkeypatch.setattr(backends, "PATIENCE_SECONDS", 0.0)  # s3fs tries for seconds by itself
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port}")
    with pytest.raises(StoreError, match="cannot be used") as caught:
        resume(Store(uri, tmp_path / "cache"), tmp_path)
    assert not isinstance(caught.value, DamagedError)


def test_an_upload_that_fails_is_told_and_the_stage_goes_on(saved, tmp_path):
    (tmp_path / "file").write_text("")
    broken = Store(str(tmp_path / "file" / "store"), tmp_path / "cache")
    save(saved, 10)
    said: list[str] = []
    with uploads(broken, saved, said) as running:
        pass
    assert running.step == 0
    assert "step 10 could not be stored" in said[0] and "Not a directory" in said[0]


@pytest.mark.fault(
    "the clock moves 400 days on, then back, between the steps of a stage",
    "the same checkpoints stay, and the newest step is gone on from",
)
def test_a_clock_that_moves_decides_nothing(saved, tmp_path):
    folder = tmp_path / "store"
    store = Store(str(folder), tmp_path / "cache")
    for step, days in ((10, 0), (20, 400), (30, -400), (40, 0)):
        before = set(folder.rglob("*"))
        store_steps(store, saved, {step: 0.0})
        moved = time.time() + days * 86400  # what the files carry when the clock had been moved
        for path in set(folder.rglob("*")) - before:
            os.utime(path, (moved, moved))
    assert store.steps(KEY) == [30, 40]
    point, _ = resume(store, tmp_path)
    assert point.step == 40


def test_a_checkpoint_that_another_run_drops_meanwhile_gives_way_to_its_newer_one(
    store, saved, tmp_path, monkeypatch
):
    store_steps(store, saved, {10: 0.0})
    copy = store.copy

    def copy_late(artifact, folder):
        if store.steps(KEY) == [10]:
            store_steps(store, saved, {20: 0.0, 30: 0.0})
        copy(artifact, folder)

    monkeypatch.setattr(store, "copy", copy_late)
    point, said = resume(store, tmp_path)
    assert point.step == 30
    assert said[0].startswith("The checkpoint of step 10 is passed over: ")


@pytest.mark.fault(
    "two runs of one stage at once, step by step", "each step is entered once, the other sees it"
)
def test_two_runs_of_one_stage_share_its_checkpoints(store, uri, saved, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    store_steps(store, saved, {10: 0.0})
    store_steps(store, other, {10: 0.0, 20: 0.0})
    assert store.steps(KEY) == [10, 20]
    assert len(open_backend(uri).sizes("artifacts")) == 2 * 4  # the second writer's 10 is gone


def test_the_remains_go_with_the_end_of_their_stage_and_not_before(store, saved, tmp_path):
    store_steps(store, saved, {10: 0.0, 20: 0.0})
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "weights").write_bytes(b"w")
    store.publish(tmp_path / "made", "chunks", Provenance(), key=chunks_key(KEY))
    drop_remains(store, KEY, keeps_best=False)
    assert store.steps(KEY) == [10, 20] and store.has_entries(chunks_key(KEY))
    point, _ = resume(store, tmp_path / "before")
    assert point.step == 20

    artifact = store.publish(tmp_path / "made", "model", Provenance(), key=KEY)
    drop_remains(store, KEY, keeps_best=False)
    assert store.steps(KEY) == [] and not store.has_entries(chunks_key(KEY))
    assert store.find(KEY) == artifact
    assert {name.split("/")[0] for name in store.backend.sizes("artifacts")} == {"model"}
    drop_remains(store, KEY, keeps_best=False)  # there is nothing left
    assert store.find(KEY) == artifact


def test_the_best_step_of_a_stage_that_validates_stays(store, saved, tmp_path):
    store_steps(store, saved, {10: 0.5, 20: 0.75, 30: 0.25})
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "weights").write_bytes(b"w")
    store.publish(tmp_path / "made", "model", Provenance(), key=KEY)
    for _ in range(2):
        drop_remains(store, KEY, keeps_best=True)
        assert store.steps(KEY) == [20]


def test_steps_that_another_run_removes_meanwhile_are_not_damaged(
    store, saved, tmp_path, monkeypatch
):
    store_steps(store, saved, {10: 0.0})
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "weights").write_bytes(b"w")
    find = store.find

    def finished_meanwhile(key: str):
        if key == step_key(KEY, 10):
            monkeypatch.setattr(store, "find", find)
            store.publish(tmp_path / "made", "model", Provenance(), key=KEY)
            drop_remains(store, KEY, keeps_best=False)
        return find(key)

    monkeypatch.setattr(store, "find", finished_meanwhile)
    point, _ = resume(store, tmp_path / "work")
    assert point == ResumePoint()


def test_a_checkpoint_that_nodes_have_stored_is_entered_as_one_that_lies_here(
    store, saved, tmp_path
):
    location = save_elsewhere(store, saved, 5, score=1.0)
    with uploads(store, saved, []):
        pass
    point, _ = resume(store, tmp_path / "work")
    assert point.step == 5 and point.artifact.uri == f"{store.root}/{location}"
    expected = save(tmp_path / "other", 5, 1.0)
    assert describe(point.folder) == describe(expected)
    assert step_scores(store, KEY) == {5: 1.0}


def test_what_nodes_have_stored_in_vain_goes_from_the_store(store, saved):
    """Two nodes finish an older step later: it is neither among the newest nor the best."""
    running = uploads(store, saved, [], retention=Retention(keep_last=1))
    kept = save_elsewhere(store, saved, 5, score=1.0)
    running.upload()
    dropped = save_elsewhere(store, saved, 3, score=0.0)
    running.upload()
    assert store.steps(KEY) == [5]
    assert store.backend.sizes(kept) and not store.backend.sizes(dropped)
    assert not list(saved.iterdir())


def test_what_the_next_run_goes_on_from_is_said(store, tmp_path):
    first = uploads(store, tmp_path, [])
    assert first.saved == "no step is in the store; the next run begins with the first."
    save(tmp_path, 4, 0.5)
    first.upload()
    assert first.saved == "step 4 is in the store; the next run goes on after it."


def test_a_signal_while_the_last_step_is_uploaded_does_not_cut_it(store, saved):
    class Told(BaseException):
        """What Prefect's handler raises in the main thread."""

    def tell(*_: object) -> None:
        raise Told

    def say(_: str) -> None:  # the files are on their way: the worker's notice, then the machine's
        signal.pthread_kill(main_thread().ident, signal.SIGTERM)
        while signal.getsignal(signal.SIGTERM) is tell:
            time.sleep(0.02)
        signal.pthread_kill(main_thread().ident, signal.SIGTERM)
        time.sleep(0.2)

    save(saved, 10)
    save(saved, 20)
    running = uploads(store, saved, [], say=say)
    before = signal.signal(signal.SIGTERM, tell)
    try:
        with pytest.raises(Told), running:
            pass
        assert store.steps(KEY) == [10, 20]
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        wait([running._running])
        signal.signal(signal.SIGTERM, before)
