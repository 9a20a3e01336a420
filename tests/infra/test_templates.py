"""The job templates for Kubernetes and Slurm, as far as that goes without either.

The frame of the Kubernetes template is compared with the one that Prefect's server ships; what
Kubernetes would get, with a strict schema of the fields in use (kubernetes-job.json), written
from the documentation of `batch/v1`.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema
import prefect
import pytest
from prefect.utilities.templating import apply_values

from infra.services import HEARTBEAT_SECONDS

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "infra" / "templates"
KUBERNETES = json.loads((TEMPLATES / "kubernetes.json").read_text(encoding="utf-8"))
SLURM = (TEMPLATES / "revisual.sbatch").read_text(encoding="utf-8")
SHIPPED = Path(prefect.__file__).parent / "server/api/collections_data/views"


def prefects_own() -> dict[str, Any]:
    shipped = json.loads((SHIPPED / "aggregate-worker-metadata.json").read_text())
    return dict(shipped["prefect-kubernetes"]["kubernetes"]["default_base_job_configuration"])


def rendered(**values: Any) -> dict[str, Any]:
    """The job as Prefect's Kubernetes worker would fill it in."""
    variables = KUBERNETES["variables"]["properties"]
    defaults = {name: one["default"] for name, one in variables.items() if "default" in one}
    worker = {"name": "able-ant", "labels": {"a": "b"}, "command": ["prefect", "flow-run"]}
    given = defaults | worker | {"image": "registry/revisual-worker:0.1.0"} | values
    job = apply_values(KUBERNETES["job_configuration"], given)["job_manifest"]
    for container in job["spec"]["template"]["spec"]["containers"]:
        container["env"] = [{"name": k, "value": v} for k, v in container["env"].items()]
    return dict(job)


def test_the_frame_is_the_one_that_prefects_worker_reads() -> None:
    own = prefects_own()
    assert set(KUBERNETES) == set(own)
    assert set(KUBERNETES["job_configuration"]) <= set(own["job_configuration"])
    for name in ("name", "env", "labels", "command"):  # what the worker itself fills in
        assert KUBERNETES["job_configuration"][name] == own["job_configuration"][name]
        mine = KUBERNETES["variables"]["properties"][name]
        assert mine["type"] == own["variables"]["properties"][name]["type"]


def test_every_placeholder_is_a_variable_and_every_variable_has_a_place() -> None:
    text = json.dumps(KUBERNETES["job_configuration"])
    used = set(re.findall(r"\{\{ (\w+) \}\}", text))
    assert used == set(KUBERNETES["variables"]["properties"])
    jsonschema.Draft202012Validator.check_schema(KUBERNETES["variables"])


def test_what_kubernetes_would_get_is_a_job() -> None:
    schema = json.loads((Path(__file__).parent / "kubernetes-job.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    job = rendered()
    assert [error.message for error in validator.iter_errors(job)] == []
    assert "{{" not in json.dumps(job)
    spec = job["spec"]["template"]["spec"]
    for broken in (
        {"restartPolicy": "Always"},  # of no job
        {"terminationGracePeriodSecond": 1},
        {"terminationGracePeriodSeconds": "90"},
        {"containers": [spec["containers"][0] | {"resources": {"limit": {}}}]},
    ):
        template = {"spec": spec | broken}
        other = job | {"spec": job["spec"] | {"template": template}}
        assert not validator.is_valid(other), broken


def test_a_job_has_gpus_shared_memory_and_time_to_save() -> None:
    job = rendered(gpus=4, shared_memory="32Gi", termination_grace_seconds=600)
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 4
    volumes = {volume["name"]: volume["emptyDir"] for volume in pod["volumes"]}
    mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in container["volumeMounts"]}
    assert mounts["/dev/shm"] == {"medium": "Memory", "sizeLimit": "32Gi"}
    home = {one["name"]: one["value"] for one in container["env"]}["REVISUAL_HOME"]
    assert home in mounts
    assert pod["terminationGracePeriodSeconds"] == 600
    # A pod that is preempted is not started again by Kubernetes: the run asks for a new one.
    assert (job["spec"]["backoffLimit"], pod["restartPolicy"]) == (0, "Never")


def test_the_docs_name_the_secret_by_which_the_api_s_credential_stays_out_of_the_manifest() -> None:
    """The worker's settings decide that, not the template: prefect_kubernetes/worker.py."""
    docs = (ROOT / "docs" / "placement.md").read_text(encoding="utf-8")
    setting = "export PREFECT_INTEGRATIONS_KUBERNETES_WORKER_API_AUTH_STRING_SECRET_"
    told = dict(re.findall(rf"^\$ {setting}(NAME|KEY)=(\w+)$", docs, re.M))
    (container,) = rendered()["spec"]["template"]["spec"]["containers"]
    (source,) = container["envFrom"]
    assert told == {"NAME": source["secretRef"]["name"], "KEY": "PREFECT_API_AUTH_STRING"}
    # In the manifest by name it would hide what the secret holds.
    assert told["KEY"] not in {one["name"] for one in container["env"]}


def test_the_job_fits_the_worker_s_image() -> None:
    dockerfile = (ROOT / "infra/images/worker.Dockerfile").read_text()
    pod = rendered()["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert f"WORKDIR {container['workingDir']}\n" in dockerfile
    assert f"--uid {pod['securityContext']['runAsUser']} " in dockerfile
    assert "ENTRYPOINT" not in dockerfile
    assert container["args"] == ["prefect", "flow-run"]  # Prefect's command, after ours
    beats = {one["name"]: one["value"] for one in container["env"]}
    assert beats["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] == str(HEARTBEAT_SECONDS)


# In the place of `prefect flow-run execute`, which ends at once when it is told, and of the flow's
# process, which saves. Told to ask for the run again, it would do that before the flow has saved.
EXECUTE = """
import os, pathlib, subprocess, sys
folder, flow = sys.argv[1:]
(pathlib.Path(folder) / "behavior").write_text(str(os.environ.get(%r)))
subprocess.run([sys.executable, "-c", flow, folder])
"""
FLOW = """
import pathlib, signal, sys, time
folder = pathlib.Path(sys.argv[1])
def save(*_):
    time.sleep(1)
    (folder / "saved").touch()
    sys.exit(1)
signal.signal(signal.SIGTERM, save)
(folder / "up").touch()
time.sleep(600)
"""


def test_a_pod_that_is_told_waits_for_what_its_flow_saves(tmp_path: Path) -> None:
    behavior = "PREFECT_FLOW_RUN_EXECUTE_SIGTERM_BEHAVIOR"
    (container,) = rendered()["spec"]["template"]["spec"]["containers"]
    at = container["command"].index("python")
    ours = [*container["command"][:at], sys.executable, *container["command"][at + 1 :]]
    execute = [sys.executable, "-c", EXECUTE % behavior, str(tmp_path), FLOW]
    environment = os.environ | {behavior: "reschedule"}  # as Prefect's worker has it in the pod
    with subprocess.Popen([*ours, *execute], cwd=ROOT, env=environment) as pod:
        while not (tmp_path / "up").exists():
            assert pod.poll() is None
            time.sleep(0.02)
        pod.send_signal(signal.SIGTERM)
        assert pod.wait(timeout=60) == 128 + signal.SIGTERM
    assert (tmp_path / "saved").exists()
    assert (tmp_path / "behavior").read_text() == "None"


def directives() -> dict[str, str]:
    lines = re.findall(r"^#SBATCH --([\w-]+)(?:=(\S+))?$", SLURM, re.M)
    assert len(lines) == SLURM.count("\n#SBATCH")
    return dict(lines)


def test_the_slurm_script_is_one_and_its_options_come_before_its_commands() -> None:
    checked = subprocess.run(
        ["bash", "-n", str(TEMPLATES / "revisual.sbatch")], capture_output=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, b"")
    head, _, body = SLURM.partition("\nset -euo pipefail\n")
    assert all(line.startswith("#") or not line for line in head.splitlines())
    assert "#SBATCH" not in body  # Slurm reads no option after the first command
    # As sbatch(1) names them.
    assert set(directives()) == {
        *("job-name", "nodes", "ntasks", "gpus-per-node", "cpus-per-task", "mem", "time"),
        *("signal", "requeue", "open-mode", "output"),
    }


def test_a_job_of_slurms_is_one_worker_on_one_node() -> None:
    assert directives()["nodes"] == directives()["ntasks"] == "1"  # a stage is on one node


@pytest.fixture
def slurm(tmp_path: Path) -> dict[str, str]:
    """A machine without Slurm: `scontrol` writes down what it was asked."""
    for name in ("scontrol", ".venv/bin/revisual"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # The worker's place is taken by a process that ends on SIGTERM, and says so.
        waits = 'trap "echo told >> asked; exit 0" TERM; touch up; while :; do sleep 0.05; done'
        path.write_text(
            f'#!/bin/bash\necho "{path.name} $*" >> asked\n{waits if "revisual" in name else ""}\n'
        )
        path.chmod(0o755)
    bash = shutil.which("bash") or ""
    path = f"{tmp_path}:{Path(bash).parent}"
    end = {"SLURM_JOB_END_TIME": str(int(time.time()) + 24 * 3600)}
    return {"PATH": path, "SLURM_JOB_ID": "7", "REVISUAL_HOME": str(tmp_path / "home"), **end}


GIVEN = {
    "POOL": "gpu",
    "PREFECT_API_URL": "http://127.0.0.1:4200/api",
    "PREFECT_API_AUTH_STRING": "revisual:x",
    "REVISUAL_STORE": "s3://bucket/store",
}


# The end of its time and a preemption are told by USR1 (`--signal`), and scancel by TERM.
ENDS = [(signal.SIGUSR1, ["scontrol requeue 7"], 0), (signal.SIGTERM, [], 143)]


@pytest.mark.parametrize(("number", "then", "code"), ENDS)
def test_a_worker_that_is_told_ends_and_only_slurms_end_of_time_queues_its_job_again(
    number: signal.Signals, then: list[str], code: int, slurm: dict[str, str], tmp_path: Path
) -> None:
    script = ["bash", str(TEMPLATES / "revisual.sbatch")]
    with subprocess.Popen(script, cwd=tmp_path, env=slurm | GIVEN) as job:
        while not (tmp_path / "up").exists():
            assert job.poll() is None
        job.send_signal(number)
        assert job.wait(timeout=60) == code
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked == ["revisual worker gpu", "told", *then]


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM, None])
@pytest.mark.parametrize("given", [False, True])
def test_scratch_of_the_jobs_own_goes_with_it_and_a_folder_of_the_users_stays(
    given: bool, number: signal.Signals | None, slurm: dict[str, str], tmp_path: Path
) -> None:
    """Also of a job whose worker ends by itself; before Slurm is asked to queue it again."""
    home = tmp_path / "home" if given else tmp_path / "revisual-7"
    environment = slurm | GIVEN | {"TMPDIR": str(tmp_path)}
    if not given:
        del environment["REVISUAL_HOME"]
    worker = tmp_path / ".venv/bin/revisual"
    saves = 'mkdir "$REVISUAL_HOME"; touch "$REVISUAL_HOME/checkpoint"; touch up'
    then = "exit 1" if number is None else "exec sleep 600"
    worker.write_text(f"#!/bin/bash\n{saves}; {then}\n")
    (tmp_path / "scontrol").write_text(f'#!/bin/bash\n[ ! -e "{home}" ] && touch gone\n:\n')
    script = ["bash", str(TEMPLATES / "revisual.sbatch")]
    with subprocess.Popen(script, cwd=tmp_path, env=environment) as job:
        if number is not None:
            while not (tmp_path / "up").exists():
                assert job.poll() is None
                time.sleep(0.02)
            job.send_signal(number)
        assert job.wait(timeout=60) == {signal.SIGUSR1: 0, signal.SIGTERM: 143, None: 1}[number]
    assert (home / "checkpoint").exists() is given
    assert (tmp_path / "gone").exists() is (number is signal.SIGUSR1 and not given)


def test_scratch_that_cannot_be_removed_does_not_keep_a_job_from_being_queued_again(
    slurm: dict[str, str], tmp_path: Path
) -> None:
    """As a file that another process of an NFS client has open."""
    (tmp_path / "rm").write_text("#!/bin/bash\nexit 1\n")
    (tmp_path / "rm").chmod(0o755)
    environment = slurm | GIVEN | {"TMPDIR": str(tmp_path)}
    del environment["REVISUAL_HOME"]
    script = tmp_path / "told.sbatch"
    script.write_text(SLURM.replace('.venv/bin/revisual worker "$POOL" &', "kill -USR1 $$"))
    subprocess.run(["bash", str(script)], cwd=tmp_path, env=environment, check=True)
    assert (tmp_path / "asked").read_text().splitlines() == ["scontrol requeue 7"]


@pytest.mark.parametrize(("number", "then", "code"), ENDS)
def test_a_job_may_be_told_before_its_worker_has_started(
    number: signal.Signals, then: list[str], code: int, slurm: dict[str, str], tmp_path: Path
) -> None:
    """The signal comes at the line that would start it."""
    head, start, tail = SLURM.partition('.venv/bin/revisual worker "$POOL" &')
    script = tmp_path / "told.sbatch"
    script.write_text(f"{head}kill -{number} $$\n{start}{tail}")
    done = subprocess.run(
        ["bash", str(script)], cwd=tmp_path, env=slurm | GIVEN, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (code, b"")
    asked = tmp_path / "asked"
    assert (asked.read_text().splitlines() if asked.exists() else []) == then


# What bash counts from, and what is left of the job's time; None where Slurm does not say.
TIMES = [
    *((0, 5400, False), (500, 4900, False), (0, None, False)),
    *((0, 86400, True), (600, 5400, True), (600, None, True)),
]


@pytest.mark.parametrize(("ran", "left", "again"), TIMES)
def test_a_job_whose_time_limit_ends_it_at_its_start_is_not_queued_for_ever(
    ran: int, left: int | None, again: bool, slurm: dict[str, str], tmp_path: Path
) -> None:
    del slurm["SLURM_JOB_END_TIME"]
    if left is not None:
        slurm["SLURM_JOB_END_TIME"] = str(int(time.time()) + left)
    script = ["bash", str(TEMPLATES / "revisual.sbatch")]
    given = slurm | GIVEN | {"SECONDS": str(ran)}
    with subprocess.Popen(script, cwd=tmp_path, env=given, stderr=subprocess.PIPE) as job:
        while not (tmp_path / "up").exists():
            assert job.poll() is None
        job.send_signal(signal.SIGUSR1)
        _, said = job.communicate(timeout=60)
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked == ["revisual worker gpu", "told", *(["scontrol requeue 7"] if again else [])]
    assert (job.returncode, b"--time" in said) == ((0, False) if again else (1, True))


@pytest.mark.parametrize("missing", GIVEN)
def test_a_job_without_what_it_needs_says_what(missing, slurm, tmp_path) -> None:
    given = {name: value for name, value in GIVEN.items() if name != missing}
    script = ["bash", str(TEMPLATES / "revisual.sbatch")]
    done = subprocess.run(
        script, cwd=tmp_path, env=slurm | given, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0 and missing in done.stderr
    assert not (tmp_path / "asked").exists()
