import json
import os
import signal
import sys
from contextlib import nullcontext
from pathlib import Path

import psutil
import pytest

from contracts.errors import StageError, StageLost, StagePreempted
from contracts.graces import stage_grace
from contracts.job import Job, Outcome
from contracts.phases import PhaseRecord, phase_file
from infra.ends import is_finished
from infra.killed import Ranks
from infra.launcher import (
    LineTail,
    Resources,
    _failure,
    launch,
    new_job,
    run_watched,
    stage_command,
    stage_environment,
    supervise,
    write_job,
)
from training.recipe.recipe import load_recipe, resolved_toml_values
from training.runtime.failures import HOST_SETTINGS

ROOT = Path(__file__).parents[2]


def job(stage: str, work: Path) -> Job:
    recipe = load_recipe(ROOT / "infra/recipes/pocket.toml")
    return new_job(stage, resolved_toml_values(recipe), {}, work, None)


def run(asked: Job, num_processes: int = 1, on_line=lambda line: None) -> None:
    launch(asked, Resources(num_processes, 1), on_line=on_line, on_metrics=lambda metrics: None)


def test_a_stage_gets_no_credentials(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_something")
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "revisual:something")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://user:password@127.0.0.1:8333")
    environment = stage_environment(1)
    assert environment.keys().isdisjoint({"HF_TOKEN", "PREFECT_API_AUTH_STRING"})
    assert "AWS_ENDPOINT_URL" not in environment
    assert environment["PATH"] == os.environ["PATH"]


def test_a_tail_hands_on_complete_lines_once_and_in_order(tmp_path):
    lines = []
    path = tmp_path / "log"
    tail = LineTail(path, lines.append)
    tail.read()  # not there yet
    with path.open("wb") as log:
        for part, seen in [
            (b"one\ntw", ["one"]),
            (b"", ["one"]),
            (b"o\n\nthr\xc3", ["one", "two", ""]),
            (b"\xa9e\n", ["one", "two", "", "thr\u00e9e"]),
        ]:
            log.write(part)
            log.flush()
            tail.read()
            assert lines == seen


def test_output_goes_to_the_log_and_everything_is_polled_after_the_end(tmp_path):
    lines = []
    log = tmp_path / "log.txt"
    tail = LineTail(log, lines.append)
    program = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(5)"
    code = supervise([sys.executable, "-c", program], stage_environment(1), log, poll=tail.read)
    assert code == 5
    assert sorted(lines) == ["err", "out"]


def test_an_exception_in_the_caller_ends_the_processes(tmp_path):
    log = tmp_path / "log.txt"
    program = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"

    def interrupt_when_it_runs() -> None:
        if log.read_text().strip():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        supervise(
            [sys.executable, "-c", program],
            stage_environment(1),
            log,
            poll=interrupt_when_it_runs,
        )
    assert not psutil.pid_exists(int(log.read_text()))


def test_a_caller_that_is_told_again_still_waits_for_what_is_saved(tmp_path):
    """As a flow is by a machine that goes down: by the machine, by its worker, by whoever else."""

    class Told(BaseException):
        pass

    def tell(*_: object) -> None:
        raise Told

    def stop_when_it_runs() -> None:
        if (tmp_path / "up").exists():
            os.kill(os.getpid(), signal.SIGTERM)

    program = f"""
import os, pathlib, signal, sys, time

def save(*_):
    for _ in range(3):
        os.kill({os.getpid()}, signal.SIGTERM)
        time.sleep(0.2)
    (folder / "saved").touch()
    sys.exit(75)

folder = pathlib.Path(sys.argv[1])
signal.signal(signal.SIGTERM, save)
(folder / "up").touch()
time.sleep(600)
"""
    before = signal.signal(signal.SIGTERM, tell)
    try:
        with pytest.raises(Told):
            supervise(
                [sys.executable, "-c", program, str(tmp_path)],
                stage_environment(1),
                tmp_path / "log.txt",
                poll=stop_when_it_runs,
            )
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (tmp_path / "saved").exists()


def test_a_stage_has_a_quiet_environment_on_loopback(monkeypatch):
    monkeypatch.setenv("HOME_GROWN", "kept")
    # A worker that torchrun, or a job of several pods, has started: its rank is not the stage's.
    inherited = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_PORT", "TORCHELASTIC_RUN_ID")
    for name in inherited:
        monkeypatch.setenv(name, "1")
    environment = stage_environment(3)
    assert not environment.keys() & set(inherited)
    assert environment["OMP_NUM_THREADS"] == "3"
    assert environment["GLOO_SOCKET_IFNAME"] == "lo"
    assert environment["HF_HUB_OFFLINE"] == "1"
    assert environment["HOME_GROWN"] == "kept"


@pytest.mark.slow
@pytest.mark.parametrize("num_processes", [1, 2])
def test_a_broken_rule_in_a_stage_surfaces_whole_and_first(tmp_path, num_processes):
    lines = []
    with pytest.raises(StageError) as caught:
        run(job("no_such_stage", tmp_path / "work"), num_processes, lines.append)
    first, *rest = str(caught.value).splitlines()
    assert first == (
        "stage no_such_stage: RecipeError: The recipe pocket has no stage 'no_such_stage'."
    )
    assert [line.split(":")[0].strip() for line in rest] == ["where", "rule", "fix", "log"]
    assert any("no stage 'no_such_stage'" in line for line in lines)
    asked = json.loads((tmp_path / "work" / "job.json").read_text())
    assert asked["stage"] == "no_such_stage"
    assert Path(asked["output"]).is_dir()


@pytest.mark.slow
def test_any_other_failure_shows_the_end_of_the_log(tmp_path):
    broken = job("cold_start", tmp_path / "work")  # asks for inputs that the job does not name
    with pytest.raises(StageError, match="ended with exit code 1; the end of") as caught:
        run(broken)
    assert "KeyError: 'policy'" in str(caught.value)


@pytest.mark.slow
def test_a_stage_that_is_killed_says_by_which_signal(tmp_path):
    program = tmp_path / "killed.py"
    program.write_text("import os; os.kill(os.getpid(), 9)")
    code = supervise(
        [sys.executable, "-m", "infra.torchrun", "--nproc-per-node", "2", str(program)],
        stage_environment(1),
        tmp_path / "log.txt",
        poll=lambda: None,
    )
    assert code == 137


@pytest.mark.slow
def test_processes_of_torchrun_have_the_whole_grace(tmp_path, monkeypatch):
    """Of itself torch gives them 30 s; here 1 s, of which saving takes more."""
    monkeypatch.setenv("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", "1")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    (tmp_path / "saving.py").write_text(
        """
import os, pathlib, signal, sys, time

def save(*_):
    time.sleep(3)
    (folder / f"saved-{rank}").touch()
    sys.exit(75)

folder, rank = pathlib.Path(sys.argv[1]), os.environ["RANK"]
signal.signal(signal.SIGTERM, save)
(folder / f"begun-{rank}").touch()
time.sleep(600)
"""
    )

    def stop_when_both_run() -> None:
        if len(list(tmp_path.glob("begun-*"))) == 2:
            raise KeyboardInterrupt

    *command, _, _ = stage_command(tmp_path / "job.json", 2, 60.0)  # less the stage itself
    with pytest.raises(KeyboardInterrupt):
        supervise(
            [*command, "saving", str(tmp_path)],
            stage_environment(1),
            tmp_path / "log.txt",
            poll=stop_when_both_run,
            grace=stage_grace(60.0),
        )
    saved = sorted(path.name for path in tmp_path.glob("saved-*"))
    assert saved == ["saved-0", "saved-1"], (tmp_path / "log.txt").read_text()


@pytest.mark.parametrize("is_done", [True, False])
def test_what_was_finished_when_the_stage_was_told_to_stop_is_used(is_done, tmp_path):
    """The supervisor is told, and says so, whatever the stage makes of it."""
    asked = job("cold_start", tmp_path / "work")
    program = """
import os, pathlib, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
os.kill(os.getppid(), signal.SIGTERM)
signal.sigwait([signal.SIGTERM])
if sys.argv[2:]:
    pathlib.Path(sys.argv[1]).write_text(sys.argv[2])
"""
    words = [Outcome(status="done").model_dump_json()] if is_done else []
    with nullcontext() if is_done else pytest.raises(StagePreempted):
        run_watched(
            asked,
            [sys.executable, "-c", program, str(asked.outcome), *words],
            stage_environment(1),
            on_line=lambda line: None,
            on_metrics=lambda metrics: None,
            grace=stage_grace(60.0),
        )


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        (0, None, True),
        (143, "done", True),  # the supervisor's, and torchrun's, when they are told
        (130, "done", True),
        (143, "preempted", False),
        (143, None, False),
        (137, "done", False),  # another process was killed
        (1, "done", False),
        (75, "preempted", False),
    ],
)
def test_a_stage_is_finished_that_says_so_and_was_at_most_told_to_stop(code, status, expected):
    assert is_finished(code, Outcome(status=status) if status else None) is expected


@pytest.mark.parametrize(
    ("code", "status", "num_oom_kills", "expected"),
    [
        (137, None, 0, StageLost),  # SIGKILL
        (137, None, None, StageLost),  # nobody counts what the kernel kills for memory
        (134, None, 0, StageLost),  # NCCL's watchdog aborts
        (137, "preempted", 0, StageLost),  # torchrun told the others, after a kill
        (1, "lost", 0, StageLost),  # the others missed it before torchrun did
        (1, "crashed", 0, StageError),
        (1, None, 0, StageError),
        (2, "refused", 0, StageError),
        (75, "preempted", 0, StagePreempted),
        (143, None, 0, StagePreempted),
        (130, None, 0, StageError),  # Ctrl-C
        (255, None, 0, StageError),  # no signal: `sys.exit(-1)`
        (255, "lost", 0, StageLost),
        (128, None, 0, StageError),
        (137, None, 1, StageError),  # another try would end alike
        (1, "lost", 1, StageError),  # the one that missed it was seen first
    ],
)
def test_only_what_the_machine_did_is_a_loss(code, status, num_oom_kills, expected, tmp_path):
    asked, log = job("cold_start", tmp_path / "work"), tmp_path / "log.txt"
    log.write_text("the end")
    if status:
        asked.outcome.write_text(Outcome(status=status, message="m").model_dump_json())
    vmstat = tmp_path / "proc/vmstat"
    vmstat.parent.mkdir()
    if num_oom_kills is not None:
        vmstat.write_text("oom_kill 0\n")
    ranks = Ranks(asked, tmp_path)
    if num_oom_kills is not None:
        vmstat.write_text(f"oom_kill {num_oom_kills}\n")
    fix = HOST_SETTINGS["update"]
    record = PhaseRecord(rank=0, pid=os.getpid(), phase="update", fix=fix)
    phase_file(asked.outcome.parent, 0).write_text(record.model_dump_json())
    ranks.look()
    write_job(asked)
    failure = _failure(asked, code, log, ranks)
    assert type(failure) is expected
    told = ("rank 0 in phase 'update' with ", "GiB of the host at most")
    assert all(part in str(failure) for part in told) == (code == 137 or num_oom_kills == 1)
    assert ("maybe for memory" in str(failure)) == (code == 137 and num_oom_kills is None)
    if num_oom_kills:
        assert "OOM killer" in str(failure) and fix in str(failure)
        assert "planned: none was made: there is no CUDA GPU here" in str(failure)


def test_of_processes_on_other_machines_nothing_is_concluded(tmp_path):
    """A driver that has lost a node ends so; the nodes' phases and kills are not this machine's."""
    asked = job("cold_start", tmp_path / "work")
    with pytest.raises(StageLost, match="stage cold_start ended by signal SIGKILL; the end of "):
        run_watched(
            asked,
            [sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"],
            stage_environment(1),
            on_line=lambda line: None,
            on_metrics=lambda metrics: None,
            grace=stage_grace(60.0),
        )


def test_every_exit_code_is_told_with_the_end_of_the_log(tmp_path):
    asked, log = job("cold_start", tmp_path / "work"), tmp_path / "log.txt"
    log.write_text("the end")
    for code in set(range(1, 256)) - {128 + signal.SIGTERM}:
        told = str(_failure(asked, code, log, Ranks(asked)))
        assert told.endswith("\nthe end")
        is_signal = code - 128 in set(signal.Signals)
        assert (f"with exit code {code};" in told) != is_signal == ("by signal SIG" in told)


@pytest.mark.slow
def test_two_ranks_meet_and_nothing_listens_beyond_loopback(tmp_path):
    program = tmp_path / "ranks.py"
    program.write_text(
        """
import os, pathlib, sys, time
import torch
import torch.distributed as dist

dist.init_process_group("gloo")
total = torch.ones(1)
dist.all_reduce(total)
folder = pathlib.Path(sys.argv[1])
(folder / f"rank-{dist.get_rank()}").write_text(f"{os.getpid()} {os.getppid()} {total.item()}")
while not (folder / "go").exists():
    time.sleep(0.05)
dist.barrier()
dist.destroy_process_group()
"""
    )
    listening: set[str] = set()
    ranks: list[list[str]] = []

    def look() -> None:
        files = sorted(tmp_path.glob("rank-*"))
        if len(files) < 2 or ranks:
            return
        ranks.extend(file.read_text().split() for file in files)
        for pid in {int(pid) for rank in ranks for pid in rank[:2]}:
            for connection in psutil.Process(pid).net_connections(kind="inet"):
                if connection.status == psutil.CONN_LISTEN:
                    listening.add(connection.laddr.ip)
        (tmp_path / "go").touch()

    command = [sys.executable, "-m", "infra.torchrun", "--nproc-per-node", "2"]
    code = supervise(
        [*command, str(program), str(tmp_path)],
        stage_environment(1) | {"PYTHONPATH": os.pathsep.join(sys.path)},
        tmp_path / "log.txt",
        poll=look,
    )
    assert code == 0, (tmp_path / "log.txt").read_text()
    assert [rank[2] for rank in ranks] == ["2.0", "2.0"]
    assert listening == {"127.0.0.1"}
