"""The report is made of small files: it needs none of the models in the store."""

import importlib.util
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from contracts.errors import DamagedError, DataError, StoreError
from contracts.provenance import Provenance
from contracts.run_record import GateDecision
from infra.backends import open_backend
from infra.settings import Settings
from infra.store import Store
from report import render
from report.evidence import gather
from tasks.keys import name_key
from tasks.lineage import find_artifact, lineage_lines
from tasks.report import compare_runs, render_again, write_report

CONFTEST = Path(__file__).parents[1] / "report" / "conftest.py"


@pytest.fixture
def finished(tmp_path):
    """A made-up run whose stages lie in a store: its record, its folders, and the store."""
    spec = importlib.util.spec_from_file_location("made_up", CONFTEST)
    made_up = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made_up)
    run, folders = made_up.make_run(tmp_path / "made")
    store = Store(str(tmp_path / "store"), tmp_path / "cache")
    stages = []
    for stage in run.stages:
        if stage.artifact.kind == "model":
            (folders[stage.name] / "model").mkdir()
            (folders[stage.name] / "model" / "model.safetensors").write_bytes(b"weights")
        artifact = store.publish(folders[stage.name], stage.artifact.kind, Provenance())
        stages.append(stage.model_copy(update={"artifact": artifact}))
    return run.model_copy(update={"stages": tuple(stages)}), folders, store


def files_of(store, stage):
    return stage.artifact.uri.removeprefix(f"{store.root}/") + "/files"


def test_a_report_fetches_no_model_and_misses_nothing(finished, tmp_path):
    record, folders, store = finished
    backend, models = open_backend(store.root), 0
    for stage in record.stages:
        if stage.artifact.kind == "model":
            backend.remove(f"{files_of(store, stage)}/model")
            models += 1
    assert models == 3
    written = write_report(record, store, tmp_path / "reports")
    html, markdown = render(record, gather(record, folders))
    assert (written / "report.html").read_text() == html
    assert (written / "report.md").read_text() == markdown
    assert 'href="items.html"' in html and (written / "items.html").is_file()
    assert 'href="datasheet.html"' in html
    assert "hens" in (written / "datasheet.html").read_text()
    assert "900 rows came in" in (written / "datasheet.md").read_text()


def test_what_a_report_does_fetch_is_verified(finished, tmp_path):
    record, folders, store = finished
    stage = next(stage for stage in record.stages if stage.kind == "sft")
    path = folders[stage.name] / "metrics.jsonl"
    path.write_text(path.read_text().replace("1", "2"))
    backend = open_backend(store.root)
    backend.remove(f"{files_of(store, stage)}/metrics.jsonl")
    backend.upload(folders[stage.name], ["metrics.jsonl"], files_of(store, stage))
    with pytest.raises(DamagedError, match=r"damaged: metrics.jsonl"):
        write_report(record, store, tmp_path / "reports")


def test_a_run_in_the_store_cannot_choose_where_its_report_goes(finished, tmp_path):
    record, _, store = finished
    settings = Settings(tmp_path / "home", str(tmp_path / "store"), 4200)
    good = record.model_dump_json()
    escaping = good.replace(f'"name":"{record.name}"', '"name":"../../../ESCAPED/x"', 1)
    assert escaping != good
    for number, text in enumerate((escaping, "[]", "[" * 100_000, None)):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / ("run.json" if text else "other")).write_text(text or "x")
        key = name_key("run", str(number))
        store.publish(folder, "run", Provenance(), key=key)
        with pytest.raises(StoreError, match="holds no run's record"):
            render_again(settings, str(number))
    assert not (tmp_path / "home" / "reports").exists()


def test_a_store_of_the_version_before_stays_readable(finished, tmp_path):
    """Its manifests told results and attachments not apart, nor what a key was made of."""
    record, _, store = finished
    stages = [stage.model_dump(mode="json", exclude={"remarks"}) for stage in record.stages]
    (tmp_path / "run").mkdir()
    text = json.dumps(record.model_dump(mode="json") | {"stages": stages})
    (tmp_path / "run" / "run.json").write_text(text)
    made = Provenance(inputs={stage.name: stage.artifact for stage in record.stages})
    run = store.publish(tmp_path / "run", "run", made, key=name_key("run", record.name))
    for artifact in (run, *(stage.artifact for stage in record.stages)):
        place = f"{store.location(artifact)}/manifest.json"
        now = json.loads(store.backend.read(place))
        producer = {"run": record.name, "stage": "s", "code": "c" * 64, "version": "0.1.0"}
        old = {name: now[name] for name in ("kind", "files", "inputs")}
        store.backend.remove(place)
        old |= {"producer": producer, "recipe_digest": "d" * 64}
        store.backend.create(place, json.dumps(old).encode())

    settings = Settings(tmp_path / "home", str(tmp_path / "store"), 4200)
    assert "What is missing" in render_again(settings, record.name).read_text()
    lines = list(lineage_lines(store, find_artifact(store, record.name)))
    assert sum("version 0.1.0, recipe dddddddddddd" in line for line in lines) == 1 + len(stages)
    model = next(stage.artifact for stage in record.stages if stage.artifact.kind == "model")
    assert (store.fetch(model) / "model" / "model.safetensors").read_bytes() == b"weights"


def finish(store, record, folder):
    """Puts a finished run's record into the store, under its name."""
    folder.mkdir()
    (folder / "run.json").write_text(record.model_dump_json())
    store.publish(folder, "run", Provenance(), key=name_key("run", record.name))


def test_runs_in_the_store_are_compared(finished, tmp_path):
    record, _, store = finished
    settings = Settings(tmp_path / "home", str(tmp_path / "store"), 4200)
    other = record.model_copy(update={"name": "other", "seed": 9})
    unfinished = record.model_copy(update={"name": "unfinished", "stages": record.stages[:-1]})
    for number, one in enumerate((record, other, unfinished)):
        finish(store, one, tmp_path / f"run{number}")

    page = tmp_path / "new" / "javascript:a [0] #.html"
    assert compare_runs(settings, [record.name, "other"], page) == page
    assert f"other (text_rl) over {record.name} (text_rl)" in page.read_text()
    beside = page.with_name("javascript:a [0] #.items.html")
    assert 'href="javascript%3Aa%20%5B0%5D%20%23.items.html"' in page.read_text()
    assert 'href="javascript%3Aa%20%5B0%5D%20%23.html"' in beside.read_text()
    own = page.with_name("javascript:a [0] #.1-texts.items.html")
    own.write_text("of an earlier comparison")
    compare_runs(settings, [record.name, "other"], page)
    assert not own.exists()
    for names, error, told in (
        ([record.name], DataError, "One run alone cannot be compared"),
        ([record.name, record.name], DataError, "is named twice"),
        ([record.name, "nobody"], StoreError, "There is no finished run 'nobody'"),
        ([record.name, "unfinished"], StoreError, "has no scores. Stage evaluate"),
    ):
        with pytest.raises(error, match=told):
            compare_runs(settings, names, tmp_path / "none.html")
    assert not (tmp_path / "none.html").exists()
    with pytest.raises(
        DataError, match=r"cannot be called x\.items\.html"
    ):  # scripts may run there
        compare_runs(settings, [record.name, "other"], tmp_path / "x.items.html")
    with pytest.raises(DataError, match="cannot be written: Is a directory"):
        compare_runs(settings, [record.name, "other"], tmp_path)


def test_a_persons_decision_is_in_the_lineage(finished, tmp_path):
    record, _, store = finished
    decided = datetime(2026, 11, 22, tzinfo=UTC)
    decision = GateDecision(verdict="released", reason="a known\nsource", decided=decided)
    gates = tuple(gate.model_copy(update={"decision": decision}) for gate in record.gates[1:])
    folder = tmp_path / "record"
    folder.mkdir()
    text = record.model_copy(update={"gates": gates}).model_dump_json()
    (folder / "run.json").write_text(text)
    lines = list(lineage_lines(store, store.publish(folder, "run", Provenance())))
    said = "gate evaluation: released by a person (a known\\nsource); gain, pocket_multimodal"
    assert any(said in line for line in lines), lines
