"""Brings docker-compose.yml up and disturbs it: `python -m drills.compose [--prepare | --gpu]`.

On a Docker engine of its own, with stand-ins for the published images: the whole file comes up,
the API refuses who has no credential, nothing runs as root, a run goes through PostgreSQL, Redis
and S3 while every service is restarted in its middle, and ends with the weights of an undisturbed
one; another is cancelled; and it all goes down. What stand-ins can't prove: that the published
images hold what the file expects. With --gpu the worker's image for GPUs is built instead, and what
needs none is tried in it.
"""

import argparse
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from drills.compose.engine import Engine, build_stand_ins, engine
from infra.settings import PROJECT_ROOT
from infra.write_env import write_env

IMAGE = "revisual-worker:0.1.0"  # docker-compose.yml's
GPU_FILE, GPU_IMAGE = "infra/images/gpu.yml", "revisual-worker:0.1.0-gpu"
RECIPE = Path(__file__).with_name("short.toml")
PATH = "/var/lib/revisual/short.toml"  # the recipe's, in the worker's volume
# In the order in which they are restarted, each in the middle of a stage.
RESTARTED = ("services", "messaging", "server", "store", "database")
RUN_SECONDS, CANCEL_SECONDS, ANSWER_SECONDS = 900, 300, 300
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
TRAINING = "training.stage"


@dataclass
class Drill:
    """The project in containers, and what was seen of it.

    Attributes:
        project: The checkout whose file is up.
        docker: The engine.
        api: A client of the Prefect API that sends the credential.
        lines: What was seen, one line each.
    """

    project: Path
    docker: Engine
    api: httpx.Client
    lines: list[str] = field(default_factory=list)

    def compose(self, *arguments: str, stdin: str | None = None) -> str:
        return self.docker.compose(*arguments, project=self.project, stdin=stdin)

    def say(self, line: str) -> None:
        self.lines.append(line)
        print(line, flush=True)

    def start(self, **parameters: str) -> str:
        """Starts the deployment; the run's id."""
        found = self.api.get("deployments/name/revisual/full").raise_for_status().json()
        body = {"parameters": {"recipe": PATH, **parameters}}
        run = self.api.post(f"deployments/{found['id']}/create_flow_run", json=body)
        return str(run.raise_for_status().json()["id"])

    def run(self, run_id: str) -> dict[str, Any]:
        """A run as the API knows it; while the API restarts it is asked again."""
        for _ in range(ANSWER_SECONDS):
            try:
                answer = self.api.get(f"flow_runs/{run_id}").raise_for_status().json()
            except httpx.HTTPError:
                time.sleep(1)
            else:
                return dict(answer)
        raise RuntimeError("the API has not answered for minutes")

    def wait(self, run_id: str, until: Callable[[str], bool], seconds: float) -> str:
        """The state of a run once `until` holds of it, or it has ended, or time is up."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            state = str(self.run(run_id)["state_type"])
            if until(state) or state in ENDED:
                return state
            time.sleep(1)
        raise RuntimeError(f"run {run_id} is {state} after {seconds:.0f} s")

    def wait_for_training(self, run_id: str, seconds: float = RUN_SECONDS) -> None:
        """Until a stage of the run is at work.

        Raises:
            RuntimeError: The run ended before.
        """
        state = self.wait(run_id, lambda _: self.is_training(), seconds)
        if state in ENDED:
            raise RuntimeError(f"the run is {state} already: nothing is left to be disturbed")

    def is_training(self) -> bool:
        return TRAINING in self.compose("top", "worker")

    def in_worker(self, module: str, *arguments: str) -> dict[str, Any]:
        """What a module prints in the worker's container."""
        command = ["exec", "-T", "worker", "python", "-m", module]
        return dict(json.loads(self.compose(*command, *arguments)))

    def progress(self) -> dict[str, int]:
        return self.in_worker("drills.compose.progress")

    def wait_for_step(self, run_id: str) -> str:
        """Until the run has stored another step; its id.

        One that has completed before, as on a fast machine, gives way to another, anew.

        Raises:
            RuntimeError: It ended otherwise, or stores nothing.
        """
        before, deadline = self.progress()["stored"], time.monotonic() + RUN_SECONDS
        while self.progress()["stored"] in (0, before):
            state = self.run(run_id)["state_type"]
            if state == "COMPLETED":
                run_id = self.start(reuse="none")
            elif state in ENDED or time.monotonic() > deadline:
                raise RuntimeError(f"the run is {state}, and has stored no other step")
            time.sleep(1)
        return run_id

    def weights(self, run_id: str) -> dict[str, str]:
        return self.in_worker("drills.compose.weights", str(self.run(run_id)["name"]))


def refuses_strangers(drill: Drill) -> None:
    """Without the credential, and from another origin, the API does nothing."""
    address = f"{drill.api.base_url}flows/filter"
    bare = httpx.post(address, json={}).status_code
    wrong = httpx.post(address, json={}, auth=("revisual", "guess")).status_code
    asked = {"Origin": "http://other.example", "Access-Control-Request-Method": "POST"}
    allowed = httpx.options(address, headers=asked).headers.get("access-control-allow-origin")
    known = drill.api.post("flows/filter", json={}).status_code
    drill.say(f"no credential: {bare}; a wrong one: {wrong}; the right one: {known}")
    drill.say(f"origin that another page may claim: {allowed}")
    if (bare, wrong, known, allowed) != (401, 401, 200, None):
        raise RuntimeError("the API does not refuse strangers")


def runs_without_root(drill: Drill) -> None:
    """The first process of no container is root's."""
    of_first = ["stat", "-c", "%u", "/proc/1"]
    services = ("worker", *RESTARTED)
    users = {one: drill.compose("exec", "-T", one, *of_first).strip() for one in services}
    drill.say(f"users: {', '.join(f'{name} {user}' for name, user in users.items())}")
    if "0" in users.values():
        raise RuntimeError("a service runs as root")


def stores_before_it_ends(drill: Drill) -> None:
    """A worker that restarts has the last step of its stage saved and stored first."""
    run_id, deadline = drill.start(), time.monotonic() + RUN_SECONDS
    while not drill.progress()["done"]:
        if time.monotonic() > deadline:
            raise RuntimeError("no stage has done a step")
        time.sleep(1)
    drill.compose("restart", "worker")
    state = drill.wait(run_id, lambda _: False, CANCEL_SECONDS)
    progress = drill.progress()
    done, stored = progress["done"], progress["stored"]
    drill.say(f"worker restarted: the run ends as {state}, step {done} done, step {stored} stored")
    if state != "CRASHED" or not done == stored > 0:
        raise RuntimeError("the last step was not stored")


def survives_restarts(drill: Drill) -> str:
    """A run goes on while all but the worker restart; the worker is killed, and it is resumed."""
    run_id = drill.start()
    for service in RESTARTED:
        run_id = drill.wait_for_step(run_id)
        drill.compose("restart", service)
        drill.say(f"{service} restarted: the run is {drill.run(run_id)['state_name']}")
    run_id = drill.wait_for_step(run_id)
    drill.compose("kill", "--signal", "KILL", "worker")
    # Another container, as with a new image: it must know what the one before it left behind.
    drill.compose("up", "--detach", "--no-build", "--no-deps", "--force-recreate", "worker")
    state = drill.wait(run_id, lambda _: False, RUN_SECONDS)
    drill.say(f"worker killed and started again: the run ends as {state}")
    if state != "CRASHED":
        raise RuntimeError("a run without its worker must end as CRASHED")
    again = drill.start()
    state = drill.wait(again, lambda _: False, RUN_SECONDS)
    drill.say(f"started again, what was done is reused: {state}")
    if state != "COMPLETED":
        raise RuntimeError("the run did not go on")
    return again


def ends_with_the_same_weights(drill: Drill, disturbed: str) -> None:
    """Everything anew, undisturbed, gives the same bytes."""
    run_id = drill.start(reuse="none")
    state = drill.wait(run_id, lambda _: False, RUN_SECONDS)
    one, other = drill.weights(disturbed), drill.weights(run_id)
    drill.say(f"anew and undisturbed: {state}, {len(other)} stages with the same weights")
    if state != "COMPLETED" or len(other) != 3 or one != other:
        raise RuntimeError(f"the weights differ: {one} {other}")


def cancels(drill: Drill) -> None:
    """A cancelled run leaves no process."""
    run_id = drill.start(reuse="none")
    drill.wait_for_training(run_id)
    start = time.monotonic()
    drill.api.post(
        f"flow_runs/{run_id}/set_state", json={"state": {"type": "CANCELLING"}}
    ).raise_for_status()
    state = drill.wait(run_id, lambda _: False, CANCEL_SECONDS)
    while drill.is_training() and time.monotonic() - start < CANCEL_SECONDS:
        time.sleep(1)
    drill.say(f"cancelled: {state}, no process left after {time.monotonic() - start:.0f} s")
    if state != "CANCELLED" or drill.is_training():
        raise RuntimeError("the run was not cancelled")


def check_out(folder: Path, port: int) -> None:
    """A clone with passwords of its own."""
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run(["git", "clone", "--quiet", str(PROJECT_ROOT), str(folder)], check=True)
    write_env(folder / ".env", port)


def is_built_again(drill: Drill, folder: Path, port: int) -> None:
    """Another clone, with other passwords, builds the same layers, and no password is in them."""

    def layers() -> str:
        return drill.docker.docker("image", "inspect", "--format", "{{json .RootFS.Layers}}", IMAGE)

    before = layers()
    check_out(folder, port)
    drill.docker.compose("build", "worker", project=folder)
    inside = drill.docker.docker("run", "--rm", "--entrypoint", "ls", IMAGE, "-A").split()
    left_out = {".env", ".git"}.isdisjoint(inside)
    if layers() != before:
        raise RuntimeError("another clone builds another image")
    if not left_out:
        raise RuntimeError(f"the image holds what belongs to the machine: {inside}")
    drill.say(f"built again from another clone: the same {len(json.loads(before))} layers")


def builds_for_gpus(docker: Engine, project: Path) -> None:
    """The image for GPUs is built; its libraries load, and it plans, as nobody's root."""

    def inside(*command: str) -> str:
        return docker.docker("run", "--rm", "--network", "none", GPU_IMAGE, *command).strip()

    check_out(project, port=4200)  # nothing comes up
    start = time.monotonic()
    docker.compose("build", "worker", project=project, over=[GPU_FILE])
    size = int(docker.docker("image", "inspect", "--format", "{{.Size}}", GPU_IMAGE))
    print(f"image built in {time.monotonic() - start:.0f} s, {size / 1e9:.1f} GB", flush=True)
    loaded = "import torch, vllm, training.learner.learner, training.rollout.vllm_engine"
    told = "torch.__version__, torch.version.cuda, vllm.__version__"
    torch, cuda, vllm = inside("python", "-c", f"{loaded}; print({told})").splitlines()[-1].split()
    print(f"torch {torch} for CUDA {cuda}, vLLM {vllm}")
    if cuda == "None":
        raise RuntimeError("its torch is one without CUDA")
    user = inside("id", "-u")
    inside("python", "-m", "flows.cli", "plan", "revisual-7b")
    print(f"user {user}; `revisual plan revisual-7b` says that it fits")
    if user == "0":
        raise RuntimeError("it runs as root")


def main() -> int:
    """Goes through it all; 1 if something is not as it should be."""
    parser = argparse.ArgumentParser(prog="drills.compose", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp/revisual-compose"))
    help_text = "only start the engine and make the stand-ins: what depends on the machine alone"
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--prepare", action="store_true", help=help_text)
    help_text = "only build the worker's image for GPUs (11 GB) and look into it; none is needed"
    instead.add_argument("--gpu", action="store_true", help=help_text)
    options = parser.parse_args()
    folder = options.folder
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what is up comes down
    project = folder / "project"
    with engine(folder) as docker:
        build_stand_ins(docker)
        if options.prepare:
            return 0
        if options.gpu:
            builds_for_gpus(docker, project)
            return 0
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        check_out(project, port)
        values = dict(
            line.split("=", 1)
            for line in (project / ".env").read_text().splitlines()
            if "=" in line and not line.startswith("#")
        )
        api = httpx.Client(
            base_url=f"http://127.0.0.1:{port}/api",
            auth=("revisual", values["PREFECT_PASSWORD"]),
            timeout=60,
        )
        drill = Drill(project, docker, api)
        try:
            start = time.monotonic()
            drill.compose("build", "worker")
            drill.say(f"image built in {time.monotonic() - start:.0f} s")
            is_built_again(drill, folder / "again", port)
            start = time.monotonic()
            drill.compose("up", "--detach", "--no-build", "--wait")
            drill.say(f"all services are healthy after {time.monotonic() - start:.0f} s")
            refuses_strangers(drill)
            runs_without_root(drill)
            copy = ["exec", "-T", "worker", "sh", "-c", f"cat > {PATH}"]
            drill.compose(*copy, stdin=RECIPE.read_text())
            stores_before_it_ends(drill)
            ends_with_the_same_weights(drill, survives_restarts(drill))
            cancels(drill)
        except BaseException:
            print(drill.compose("logs", "--tail", "40"), file=sys.stderr)
            raise
        finally:
            drill.compose("down", "--volumes", "--timeout", "30")
        drill.say(f"down: {len(docker.docker('ps', '--quiet').split())} containers left")
    return 0


if __name__ == "__main__":
    sys.exit(main())
