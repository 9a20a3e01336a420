"""The real sinks, on files: what is written can be read again, and is gone on with."""

import json
import struct
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from psutil import Process

from contracts.errors import RecipeError, SettingsError
from infra.sinks import choose, relay
from infra.sinks.choose import check_sinks, openers
from infra.sinks.mlflow_server import MlflowServer
from infra.sinks.relay import Relays
from infra.sinks.sink import SinkRun
from infra.sinks.weights_and_biases import WeightsAndBiases

RUN = SinkRun("tests", "tiny", "text_rl", "ab" * 32, "able-ant", {"seed": 1})


@pytest.fixture(autouse=True)
def _no_hurry(monkeypatch):
    """A library's first import and database may take minutes on a busy machine."""
    monkeypatch.setattr(relay, "SINKS_SECONDS", 500.0)


def attempt(name: str, home: Path, steps: range, offset: float = 0.0) -> list[str]:
    """What one attempt at the stage logs; returns what a person is told."""
    said: list[str] = []
    with Relays(openers([name], RUN, home), said.append) as sinks:
        for step in steps:
            loss = step + offset
            sinks.write({"step": step, "num_steps": 9, "seconds": step / 2, "loss": loss})
    return said


def three_attempts(name: str, home: Path) -> None:
    """Killed at step 5, gone on with from 3 by another run, and once more when it had ended."""
    attempt(name, home, range(1, 6))
    for _ in range(2):
        (said,) = attempt(name, home, range(1, 8), offset=100.0)
    assert said.endswith("after step 7")


EXPECTED = [(step, float(step)) for step in range(1, 6)] + [(6, 106.0), (7, 107.0)]


def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    three_attempts("tensorboard", tmp_path)
    (folder,) = tmp_path.glob("tensorboard/tiny/text_rl-*")
    accumulator = EventAccumulator(str(folder)).Reload()
    assert sorted(accumulator.Tags()["scalars"]) == ["loss", "seconds"]
    read = sorted((one.step, one.value) for one in accumulator.Scalars("loss"))
    assert read == EXPECTED


def test_tensorboard_goes_on_after_a_cut_record(tmp_path):
    """A crash may cut the last record off: the step before it counts as the last one."""
    pytest.importorskip("tensorboard")
    from infra.sinks.tensorboard_files import last_step

    attempt("tensorboard", tmp_path, range(1, 4))
    (folder,) = tmp_path.glob("tensorboard/tiny/*")
    (file,) = folder.iterdir()
    file.write_bytes(file.read_bytes()[:-5])
    assert last_step(folder) == 2


def wandb_records(path: Path) -> Iterator[bytes]:
    """The records of a file of W&B: LevelDB's log format, behind a header of seven bytes.

    Blocks of 32 KiB hold fragments: checksum (4 bytes), length (2), kind (1), data. Kinds: 1 whole,
    2 first, 3 middle, 4 last. Fewer than seven bytes at the end of a block are filling.
    """
    data, at, record = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        left = 2**15 - at % 2**15
        if left < 7:
            at += left
            continue
        length, kind = struct.unpack("<HB", data[at + 4 : at + 7])
        record += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield record
            record = b""


def test_weights_and_biases_offline(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    from wandb.proto.wandb_internal_pb2 import Record

    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    three_attempts("wandb", tmp_path)
    steps, ids = [], set()
    for path in tmp_path.glob("wandb/wandb/offline-run-*/*.wandb"):
        for data in wandb_records(path):
            record = Record.FromString(data)
            if record.WhichOneof("record_type") == "run":
                ids.add(record.run.run_id)
            if record.WhichOneof("record_type") == "history":
                items = {item.key or item.nested_key[0]: item for item in record.history.item}
                step, loss = (json.loads(items[name].value_json) for name in ("_step", "loss"))
                steps.append((step, loss))
    assert sorted(steps) == EXPECTED
    assert ids == {RUN.id}
    goes_on_after_its_core_died(tmp_path / "dead")


def goes_on_after_its_core_died(home: Path) -> None:
    """One sink ends the dead core that all share, and the others leave the new one alone."""
    old = WeightsAndBiases(RUN, home)
    (core,) = [one for one in Process().children() if "wandb-core" in " ".join(one.cmdline())]
    core.kill()
    with pytest.raises(ConnectionError):
        for step in count(1):  # what is queued before the client hears of it raises nothing
            old.write(step, {"loss": 0.5})
    with pytest.raises(Exception) as refused:  # of no public type
        WeightsAndBiases(RUN, home)
    assert refused.typename == "MailboxClosedError"
    new = WeightsAndBiases(RUN, home)
    old.drop()
    new.write(step + 1, {"loss": 0.5})
    new.close(succeeded=True)
    dropped = WeightsAndBiases(RUN, home)
    dropped.drop()
    WeightsAndBiases(RUN, home).close(succeeded=True)


class Client:
    """W&B's client, whose server cannot be had: of a run that goes on, online or not."""

    def __init__(self, url: str | None, step: int) -> None:
        self.url, self.step = url, step
        self.Settings, self.Error = dict, ValueError

    def setup(self) -> None:
        """Its core."""

    def init(self, **_: object) -> "Client":
        return self

    def log(self, figures: dict[str, float], step: int, commit: bool) -> None:
        """Only queued: the server gets nothing of it."""


@pytest.mark.parametrize(
    ("url", "step", "note", "expected"),
    [
        ("https://host/run", 4, '{"last_step": 9}', 3),  # killed before the server had 4 to 9
        ("https://host/run", 0, '{"last_step": 9}', 0),
        (None, 0, '{"last_step": 9}', 9),
        (None, 0, '{"last_', 0),
        (None, 0, None, 0),
    ],
)
def test_weights_and_biases_goes_on_behind_what_arrived(
    tmp_path, monkeypatch, url, step, note, expected
):
    monkeypatch.setitem(sys.modules, "wandb", Client(url, step))
    path = tmp_path / f"{RUN.id}.json"
    if note is not None:
        path.write_text(note)
    sink = WeightsAndBiases(RUN, tmp_path)
    assert sink.last_step == expected
    path.write_text("of before")
    with path.open() as before:
        sink.write(10, {"loss": 0.5})
        assert before.read() == "of before"  # it was replaced, not cut
    assert json.loads(path.read_text()) == {"last_step": 10}


def test_mlflow(tmp_path, monkeypatch):
    pytest.importorskip("mlflow")
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    three_attempts("mlflow", tmp_path)
    client = MlflowClient()
    experiment = client.get_experiment_by_name("tests")
    (run,) = client.search_runs([experiment.experiment_id])
    # A request that was on its way when the next attempt had asked, and has sent the step, too.
    MlflowServer(RUN).write(7, {"seconds": 3.5, "loss": 107.0})
    history = client.get_metric_history(run.info.run_id, "loss")
    assert sorted((one.step, one.value) for one in history) == EXPECTED
    assert run.info.status == "FINISHED"
    assert run.data.tags["revisual.stage"] == "text_rl"
    MlflowServer(RUN).drop()  # in an outage in mid-stage, say
    assert client.get_run(run.info.run_id).info.status == "RUNNING"


def test_mlflow_of_two_machines_that_begin_at_once(tmp_path, monkeypatch):
    """Each looks before the other has made anything: one experiment and one run stay."""
    pytest.importorskip("mlflow")
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    looked = {"get_experiment_by_name": 0, "search_runs": 0}

    def beginning_inside(name, nothing):
        """What finds nothing, since the other begins and gets ahead before it has answered."""
        plain = getattr(MlflowClient, name)

        def look(self, *arguments):
            looked[name] += 1
            if looked[name] == 1:
                attempt("mlflow", tmp_path, range(1, 4))
                return nothing
            return plain(self, *arguments)

        monkeypatch.setattr(MlflowClient, name, look)

    beginning_inside("search_runs", [])
    attempt("mlflow", tmp_path, range(1, 6), offset=100.0)
    client = MlflowClient()
    experiment = client.get_experiment_by_name("tests")
    (run,) = client.search_runs([experiment.experiment_id])
    history = client.get_metric_history(run.info.run_id, "loss")
    read = sorted((one.step, one.value) for one in history)
    assert read == [(1, 1.0), (2, 2.0), (3, 3.0), (4, 104.0), (5, 105.0)]

    beginning_inside("get_experiment_by_name", None)
    (said,) = attempt("mlflow", tmp_path, range(1, 7))
    assert said.endswith(f"run {run.info.run_id}, after step 5")


def test_a_sink_that_is_not_installed_is_refused_before_the_run(monkeypatch):
    monkeypatch.setattr(choose, "find_spec", lambda name: None)
    with pytest.raises(RecipeError, match="The package mlflow is not installed") as caught:
        check_sinks(["mlflow"], {})
    assert "extra `mlflow`" in caught.value.fix


@pytest.mark.parametrize(
    ("sink", "environment", "missing"),
    [
        ("wandb", {}, "WANDB_API_KEY"),
        ("wandb", {"WANDB_MODE": "online"}, "WANDB_API_KEY"),
        ("wandb", {"WANDB_MODE": "offline"}, None),
        ("wandb", {"WANDB_API_KEY": "k"}, None),
        ("mlflow", {}, "MLFLOW_TRACKING_URI"),
        ("mlflow", {"MLFLOW_TRACKING_URI": "http://127.0.0.1:1"}, None),
        ("tensorboard", {}, None),
    ],
)
def test_what_a_sink_needs_to_know_is_in_the_environment(monkeypatch, sink, environment, missing):
    import pytest as installed

    monkeypatch.setattr(choose, "find_spec", lambda name: installed.__spec__)
    if missing is None:
        check_sinks([sink], environment)
    else:
        with pytest.raises(SettingsError, match=f"{missing} is not set"):
            check_sinks([sink], environment)
