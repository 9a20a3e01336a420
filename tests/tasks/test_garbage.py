"""What goes and what stays, in real stores; nothing young or referred to is ever listed."""

import json
import os
import subprocess
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contracts.errors import StoreError
from contracts.provenance import Provenance
from contracts.run_record import StageRecord
from infra.backends import open_backend
from infra.names import chunks_key, step_key
from infra.store import Store
from tasks.garbage import find_garbage, remove
from tasks.keys import name_key
from tasks.lineage import find_artifact, lineage_lines
from tasks.scratch import find_scratch, live_runs, note_inputs, remove_scratch
from tasks.uploads import Retention
from training.records import write_problems

DAY = 86400.0
STAGE = "5" * 64


@pytest.fixture
def put(store, tmp_path):
    """Publishes a small artifact and returns its reference."""

    def publish(kind, inputs=(), key=None, files=None, **producer):
        folder = tmp_path / uuid.uuid4().hex
        folder.mkdir()
        for name, text in ({"x": uuid.uuid4().hex} | (files or {})).items():
            (folder / name).write_text(text)
        if kind == "dataset":
            write_problems([row(number) for number in range(5)], folder / "rl.parquet")
            rejects = pa.table({"id": ["deepmath/9"], "reason": ["too easy"]})
            pq.write_table(rejects, folder / "rejects.parquet")
        made = Provenance(producer=producer, inputs=dict(inputs), recipe_digest="d" * 64)
        return store.publish(folder, kind, made, key=key)

    return publish


def row(number):
    words = {"source": "deepmath", "modality": "text", "family": "f", "template": "t"}
    texts = {"question": "?", "answer": "1", "solution": None, "reading": None}
    rest = {"level": 1, "images": [], "pass_rate": None}
    return {"id": f"deepmath/{number}", **words, **texts, **rest}


def tmp_folder(store):
    return Path(store.root.removeprefix("file://"))


def listed(store, age=0.0):
    found = find_garbage(store, retention=Retention(1), min_age_seconds=age)
    return {one.uri: one for one in found}


@pytest.fixture
def finished(put, store):
    """A finished run: base -> dataset -> model -> evaluation -> run."""
    made = {"run": "able-ant", "code": "c" * 64, "version": "0.1.0+abc"}
    recipe = {"recipe.json": json.dumps({"name": "pocket", "seed": 3})}
    scores = {
        "scores": [
            {"policy": "rl", "benchmark": "pocket_text", "metric": "accuracy", "value": 0.5125}
            | {"low": 0.4, "high": 0.6, "num_problems": 400}
        ]
    }
    base = put("model", stage="base", **made)
    data = put("dataset", {"policy": base}, stage="curate", files=recipe, **made)
    model = put("model", {"policy": base, "data": data}, "1" * 64, recipe, stage="rl", **made)
    scored = {"base": base, "rl": model}
    evaluation = put(
        "evaluation", scored, files={"scores.json": json.dumps(scores)}, stage="evaluate", **made
    )
    run = put("run", {"evaluate": evaluation, "rl": model}, name_key("run", "able-ant"))
    return {"base": base, "data": data, "model": model, "evaluation": evaluation, "run": run}


def test_everything_a_finished_run_refers_to_stays_and_the_rest_goes(finished, put, store):
    given_up = put("model", {"policy": finished["base"]}, "2" * 64)
    backend = open_backend(store.root)
    backend.create("artifacts/model/crashed/files/weights", b"half")
    found = listed(store)
    assert set(found) == {given_up.uri, f"{store.root}/artifacts/model/crashed"}
    assert found[given_up.uri].reason == "no finished run refers to it"
    crashed = found[f"{store.root}/artifacts/model/crashed"]
    assert (crashed.reason, crashed.num_bytes) == ("an upload that never ended", 4)

    remove(store, found.values())
    assert store.find("2" * 64) is None and backend.sizes("keys/" + "2" * 64) == {}
    assert backend.sizes("artifacts/model/crashed") == {}
    for artifact in finished.values():
        store.fetch(artifact)
    assert listed(store) == {}


def test_an_input_in_another_store_ends_nothing_and_what_has_its_name_here_stays(
    finished, put, store, caplog
):
    """Of a run that somebody copied here, or made while the store had another address."""
    base, gone = put("model"), put("model")
    model = put("model", {"policy": base})
    moved = model.uri.replace(store.root, "s3://elsewhere/before")
    foreign = {
        "model": model.model_copy(update={"uri": moved}),
        "odd": model.model_copy(update={"uri": "s3://elsewhere/what"}),
    }
    put("run", foreign, name_key("run", "copied"))
    assert set(listed(store)) == {gone.uri}
    assert f"{moved} lies in another store" in caplog.text


def test_a_reference_with_a_wrong_digest_hides_nothing_that_a_right_one_leads_to(put, store):
    model = put("model", {"policy": put("model")})
    wrong = model.model_copy(update={"sha256": "0" * 64})
    for number, inputs in enumerate(([model, wrong], [wrong, model])):
        put("run", zip("ab", inputs, strict=True), name_key("run", str(number)))
    assert listed(store) == {}


def test_what_is_young_stays(put, store):
    put("model")
    open_backend(store.root).create("artifacts/model/crashed/files/weights", b"half")
    assert len(listed(store)) == 2
    assert listed(store, age=DAY) == {}
    assert open_backend(store.root).sizes("probes") == {}


def test_what_crashed_writers_left_half_made_is_invisible_and_goes_after_an_age(put, store):
    backend = store.backend
    if store.root.startswith("s3://"):  # SIGKILL between two parts of a large file
        name = "artifacts/model/crashed/files/weights"
        bucket, _, prefix = store.root.removeprefix("s3://").partition("/")
        key = f"{prefix}/{name}"
        backend._fs.call_s3("create_multipart_upload", Bucket=bucket, Key=key)
        backend._fs.call_s3("create_multipart_upload", Bucket=bucket, Key=f"{key}-2")
        expected = f"{store.root}/artifacts/model/crashed"
    else:  # SIGKILL between the writing of an entry and its link
        name = f"keys/{STAGE}/.{uuid.uuid4().hex}"
        path = tmp_folder(store) / name
        path.parent.mkdir(parents=True)
        path.write_text("half")
        expected = f"{store.root}/{name}"
    assert backend.sizes("artifacts") == {} and store.steps(STAGE) == [] and not store.find(STAGE)
    assert listed(store, age=DAY) == {}
    found = listed(store)
    assert set(found) == {expected}
    assert len(backend.unfinished()) > 0
    remove(store, found.values())
    assert backend.unfinished() == {}


def test_what_others_upload_into_the_same_prefix_is_theirs(seaweed, tmp_path):
    """Files beside the store, and uploads that have begun under names that lead to them."""
    store = Store(f"s3://{seaweed.bucket}/{uuid.uuid4().hex}", tmp_path / "cache")
    backend, prefix = store.backend, store.root.removeprefix(f"s3://{seaweed.bucket}/")
    theirs = ("data/train.parquet", "data/eval.parquet", "artifacts/notes")
    for name in theirs:
        backend.create(name, b"precious")
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "x").write_text("x")
    kept = store.publish(tmp_path / "made", "run", Provenance(), key=STAGE)
    step = store.publish(tmp_path / "made", "run", Provenance(), key=step_key(STAGE, 1))
    foreign = ("data/train.parquet", "data", "artifacts", "keys", f"keys/{STAGE}", "artifacts/run")
    ours = (f"keys/{STAGE}/step-00000001", f"keys/{STAGE}/000001.json", "probes/1/probe")
    for name in (*foreign, *ours):
        key = f"{prefix}/{name}"
        backend._fs.call_s3("create_multipart_upload", Bucket=seaweed.bucket, Key=key)
    found = listed(store)
    assert {uri.removeprefix(f"{store.root}/") for uri in found} == set(ours)
    remove(store, found.values())
    assert [backend.read(name) for name in theirs] == [b"precious"] * len(theirs)
    assert store.find(STAGE) == kept and store.find(step_key(STAGE, 1)) == step
    # An object that names garbage and has no entry's name: on S3, others may lie below it.
    other = store.publish(tmp_path / "made", "model", Provenance())
    named = other.model_copy(update={"uri": store.location(other)}).model_dump_json().encode()
    assert backend.create("keys/odd", named)
    (found,) = listed(store).values()
    assert (found.uri, found.entries) == (other.uri, ())
    assert backend.unfinished().keys() == set(foreign)


def test_what_is_old_enough_is_told_by_the_stores_own_times(put, store):
    if store.root.startswith("s3://"):
        pytest.skip("nobody can set an object's time")
    folder = tmp_folder(store)
    given_up, begun = put("model"), folder / "artifacts" / "model" / "crashed" / "files" / "weights"
    begun.parent.mkdir(parents=True)
    begun.write_text("half")
    probe = folder / "probes" / "1" / "probe"
    probe.parent.mkdir(parents=True)
    probe.write_text("first")
    for path in folder.rglob("*"):
        if path.is_file():
            os.utime(path, (time.time() - 2 * DAY,) * 2)
    put("model")  # today's
    expected = {
        given_up.uri,
        f"{store.root}/artifacts/model/crashed",
        f"{store.root}/probes/1/probe",
    }
    assert set(listed(store, age=DAY)) == expected


def test_of_the_step_checkpoints_the_last_and_the_best_stay_with_their_inputs(put, store):
    base = put("model")
    scores = {10: 0.9, 20: 0.1, 30: 0.2}
    steps = {
        step: put("checkpoint", {"policy": base}, step_key(STAGE, step), score=json.dumps(score))
        for step, score in scores.items()
    }
    found = listed(store)
    assert set(found) == {steps[20].uri}
    assert found[steps[20].uri].reason.startswith("neither its stage's best")
    remove(store, found.values())
    assert store.steps(STAGE) == [10, 30]


def test_what_a_finished_stage_saved_goes(put, store):
    """Its run was killed before it could remove that, and nobody ran it again."""
    other, keys = "6" * 64, [(key, step) for key in (STAGE, "6" * 64) for step in (10, 20)]
    steps = {put("checkpoint", (), step_key(*one)).uri: one[0] for one in keys}
    chunks = put("chunks", (), chunks_key(STAGE))
    model = put("model", (), STAGE)
    put("run", {"model": model}, "7" * 64)
    found = listed(store)
    gone = {one.uri for one in found.values() if one.reason == "its stage is finished"}
    first = next(uri for uri, key in steps.items() if key == STAGE)
    assert gone == {first, chunks.uri}  # the best stays: its stage may validate
    remove(store, found.values())
    assert store.steps(STAGE) == [20] and store.find(STAGE) == model
    assert store.steps(other)[-1] == 20


def test_lineage_goes_from_a_benchmarks_number_to_the_source_rows(finished, store):
    lines = list(lineage_lines(store, find_artifact(store, finished["evaluation"].uri)))
    text = "\n".join(lines)
    assert "pocket_text, accuracy of rl: 0.5125 [0.4000, 0.6000], n = " in text
    order = [
        lines.index(next(line for line in lines if wanted in line))
        for wanted in (
            f"evaluation {finished['evaluation'].uri}",
            f"rl: model {finished['model'].uri}",
            f"data: dataset {finished['data'].uri}",
            "rl.parquet: 5 of deepmath; rows deepmath/0, deepmath/1, deepmath/2, ...",
        )
    ]
    assert order == sorted(order)
    assert "run able-ant, stage rl, version 0.1.0+abc, recipe dddddddd" in text
    assert "recipe pocket, seed 3" in text
    assert "rejects.parquet" not in text
    assert find_artifact(store, "able-ant") == finished["run"]


def test_a_lineage_tells_what_cannot_be_read_and_strangers_forge_no_line(store, tmp_path):
    folder = tmp_path / "made"
    folder.mkdir()
    files = {
        "recipe.json": b"[]",
        "run.json": b"[" * 10**5,
        "scores.json": b"\xff",
        "x.parquet": b"x",
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    made = Provenance(producer={"run": "x\n    sha256 forged\x1b[2J"})
    artifact = store.publish(folder, "dataset", made)
    lines = list(lineage_lines(store, artifact))
    assert len(lines) == 2 + len(files) and all(line.isprintable() for line in lines)
    for name in files:
        assert sum(f"  {name}: cannot be read: " in line for line in lines) == 1


def test_a_lineage_may_be_as_long_as_it_likes(tmp_path):
    store = Store(str(tmp_path / "store"), tmp_path / "cache")
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "x").write_text("x")
    inputs = {}
    for _ in range(1200):  # more than Python's functions may call one another
        inputs = {"one": store.publish(tmp_path / "made", "model", Provenance(inputs=inputs))}
    assert len(list(lineage_lines(store, inputs["one"]))) == 2 * 1200


def test_local_scratch_and_copies_go_when_nobody_has_written_or_fetched_them_for_long(tmp_path):
    home = tmp_path / "home"
    store = Store(str(home / "store"), home / "cache")
    stored, copies = [], []
    for name in ("fetched again", "not fetched again"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").write_text(name)
        stored.append(
            store.publish(tmp_path / name, "model", Provenance(producer={}, recipe_digest="d" * 64))
        )
        copies.append(store.fetch(stored[-1]))
    for name in ("died", "runs"):
        (home / "work" / name).mkdir(parents=True)
        (home / "work" / name / "log.txt").write_text("a line")
    for path in [*copies, *(home / "work").rglob("*")]:
        os.utime(path, (0, time.time() - 3 * DAY))
    (home / "work" / "runs" / "log.txt").write_text("another line")
    store.fetch(stored[0])

    scratch = find_scratch(home, min_age_seconds=DAY)
    assert [Path(one.uri) for one in scratch] == [home / "work" / "died", copies[1]]
    assert [one.num_bytes for one in scratch] == [len("a line"), 0]  # the copy is a link
    remove_scratch(scratch)
    assert copies[0].is_dir() and not copies[1].exists()
    assert [path.name for path in (home / "work").iterdir()] == ["runs"]
    assert store.fetch(stored[1]) == copies[1]


def test_what_a_living_run_needs_stays_until_its_process_ends(finished, put, tmp_path, store):
    home, reused = tmp_path / "home", put("model")
    for name in ("alive", "dead"):
        (home / "work" / name / "diary" / "stages").mkdir(parents=True)
        note_inputs(home / "work" / name, [put("model")])
    stage = {"name": "curate", "kind": "curate", "seconds": 1.0, "reused": True}
    record = StageRecord(**stage, artifact=put("dataset", {"policy": reused}), inputs=(reused,))
    (home / "work" / "alive" / "diary" / "stages" / "curate.json").write_text(
        record.model_dump_json()
    )
    (home / "cache" / "copy").mkdir(parents=True)
    program = (
        "import sys; from pathlib import Path; from infra.alive import hold; "
        "hold(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    folder = home / "work" / "alive"
    run = subprocess.Popen(
        [sys.executable, "-c", program, str(folder)],
        **{"stdin": subprocess.PIPE, "stdout": subprocess.PIPE},
    )
    assert run.stdout.readline() == b"held\n"

    (live,) = live_runs(home)
    assert (live.name, live.artifacts[1:]) == ("alive", (record.artifact, reused))
    found = find_garbage(store, retention=Retention(1), min_age_seconds=0.0, in_use=live.artifacts)
    assert {one.uri for one in found}.isdisjoint({artifact.uri for artifact in live.artifacts})
    assert len(found) == 1  # the dead run's base
    scratch = find_scratch(home, min_age_seconds=0.0)
    assert [Path(one.uri).name for one in scratch] == ["dead"]

    run.kill()
    run.communicate()
    assert live_runs(home) == []
    assert {Path(one.uri).name for one in find_scratch(home, min_age_seconds=0.0)} == {
        *("alive", "dead", "copy")
    }


def test_what_is_no_scratch_folder_is_left_alone(tmp_path):
    for name in ("work", "cache"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("x")
        (tmp_path / name / "link").symlink_to(tmp_path)
    assert find_scratch(tmp_path, min_age_seconds=-1.0) == []


def test_folders_that_vanish_and_appear_while_somebody_looks_end_nothing(store, tmp_path):
    """Two collect, with no age, what a third writes all the time."""
    home, stop = tmp_path / "home", threading.Event()

    def work():
        number = 0
        while not stop.is_set():
            number += 1
            folder = home / "work" / f"run-{number % 7}" / "a" / "b"
            with suppress(FileNotFoundError):
                folder.mkdir(parents=True, exist_ok=True)
                (folder / "log.txt").write_text("a line")
            with suppress(StoreError):
                store.backend.create(f"artifacts/model/x{number % 7}/files/a/b", b"half")
                store.backend.create(f"keys/{number % 7}/step-00000001/000001.json", b"{}")

    def collect():
        for _ in range(4 if store.root.startswith("s3") else 25):
            remove(store, find_garbage(store, retention=Retention(1), min_age_seconds=0.0))
            remove_scratch(find_scratch(home, min_age_seconds=0.0))

    with ThreadPoolExecutor(3) as threads:
        threads.submit(work)
        collectors = [threads.submit(collect) for _ in range(2)]
        try:
            for collector in collectors:
                collector.result()
        finally:
            stop.set()
