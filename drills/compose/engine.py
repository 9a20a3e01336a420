"""A Docker engine of its own, and stand-ins for images that only a registry has.

Base images are made from the packages of Debian and PyPI, and tagged with the published names, so
that docker-compose.yml is brought up unchanged where no registry can be reached. The tags live in
this engine alone and go with it.
"""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.settings import PROJECT_ROOT

STAND_INS = Path(__file__).parent / "stand_ins"
# In the order they are built: some are made from others. The tags are those of docker-compose.yml.
TAGS = {
    "python": "python:3.11.14-slim-bookworm",
    "postgres": "postgres:17.6-bookworm",
    "redis": "redis:8.2.1-bookworm",
    "seaweedfs": "chrislusf/seaweedfs:4.48",
    "prefect": "prefecthq/prefect:3.7.7-python3.11",
}
BASE_TAG = "revisual-check/debian:bookworm"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
DEBIAN_SOURCES = Path("/etc/apt/sources.list.d/debian.sources")
START_SECONDS, STOP_SECONDS = 120, 300
NEEDED = ("dockerd", "docker", "debootstrap", "dpkg", "apt-get")
# Builds reach the package indexes as this machine does, without the engine's bridge.
BUILD_NETWORK = (
    "services:\n  deploy: {build: {network: host}}\n  worker: {build: {network: host}}\n"
)


@dataclass(frozen=True)
class Engine:
    """A running engine, and Compose 2 for it.

    Attributes:
        folder: Where the engine and its images are kept.
        compose_program: The Compose that speaks to it.
    """

    folder: Path
    compose_program: Path

    @property
    def environment(self) -> dict[str, str]:
        """What its clients need: its socket, and the builder that it has."""
        socket = {"DOCKER_HOST": f"unix://{self.folder}/docker.sock", "DOCKER_BUILDKIT": "0"}
        return os.environ | socket

    def docker(self, *arguments: str) -> str:
        """Runs one `docker` command and returns what it prints."""
        return _run(["docker", *arguments], self.environment)

    def compose(
        self, *arguments: str, project: Path, over: Sequence[str] = (), stdin: str | None = None
    ) -> str:
        """Runs one `docker compose` command for a project, with the files `over` its own."""
        network = self.folder / "network.yml"
        network.write_text(BUILD_NETWORK)
        files = [project / name for name in ("docker-compose.yml", *over)] + [network]
        named = [part for file in files for part in ("-f", str(file))]
        return _run([str(self.compose_program), *named, *arguments], self.environment, stdin)


@contextmanager
def engine(folder: Path) -> Iterator[Engine]:
    """An engine whose images stay in `folder`, stopped at the end.

    Raises:
        SystemExit: A program is missing, or the user is not root.
    """
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        raise SystemExit(
            "A Docker engine of its own needs root, and: apt-get install docker.io debootstrap"
            + (f" (missing: {', '.join(missing)})" if missing else "")
        )
    folder.mkdir(parents=True, exist_ok=True)
    command = ["dockerd", "--data-root", str(folder / "data"), "--exec-root", str(folder / "exec")]
    command += ["--host", f"unix://{folder}/docker.sock", "--pidfile", str(folder / "docker.pid")]
    with (folder / "dockerd.log").open("ab") as log:
        daemon = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        made = Engine(folder, _compose_program(folder))
        _wait(made, daemon)
        yield made
    finally:
        daemon.terminate()
        try:
            daemon.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()


def _wait(made: Engine, daemon: subprocess.Popen[bytes]) -> None:
    """Until it answers; its socket may be there before, left by one that was killed."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            made.docker("info")
        except RuntimeError:
            if daemon.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.5)
        else:
            return


def build_stand_ins(made: Engine) -> None:
    """Makes every image of TAGS from packages, under its published name."""
    base = made.folder / "debian"
    if not base.is_dir():
        unfinished = made.folder / "debian.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        _run(["debootstrap", "--variant=minbase", "bookworm", str(unfinished)], os.environ)
        unfinished.rename(base)
    if not made.docker("images", "--quiet", BASE_TAG):  # once: what is built on it stays cached
        pipe = f"tar -C '{base}' -c . | docker import - {BASE_TAG}"
        _run(["bash", "-o", "pipefail", "-c", pipe], made.environment)
    context = made.folder / "context"
    shutil.copytree(STAND_INS, context, dirs_exist_ok=True)
    shutil.copy(CERTIFICATES, context / "certificates.crt")
    lock = (PROJECT_ROOT / "infra" / "requirements" / "cpu.txt").read_text()
    pins = re.findall(r"^[\w.-]+==[^ \\\n]+", lock, re.MULTILINE)
    (context / "constraints.txt").write_text("\n".join(pins) + "\n")
    for name, tag in TAGS.items():
        file = context / f"{name}.Dockerfile"
        made.docker("build", "--network=host", "-q", "-t", tag, "-f", str(file), str(context))


def _compose_program(folder: Path) -> Path:
    """Compose 2, out of the package of the next Debian: the machine's own may be too old."""
    program = folder / "compose/usr/libexec/docker/cli-plugins/docker-compose"
    if program.is_file():
        return program
    apt = folder / "apt"
    for part in ("lists/partial", "cache/archives/partial"):
        (apt / part).mkdir(parents=True, exist_ok=True)
    sources = apt / "trixie.sources"
    sources.write_text(DEBIAN_SOURCES.read_text().replace("bookworm", "trixie"))
    options = [f"Dir::Etc::sourcelist={sources}", "Dir::Etc::sourceparts=/dev/null"]
    options += [f"Dir::State::lists={apt}/lists", f"Dir::Cache={apt}/cache"]
    get = ["apt-get", "-qq", *(word for option in options for word in ("-o", option))]
    _run([*get, "update"], os.environ, folder=apt)
    _run([*get, "download", "docker-compose"], os.environ, folder=apt)
    (package,) = apt.glob("docker-compose_*.deb")
    _run(["dpkg", "-x", str(package), str(folder / "compose")], os.environ)
    return program


def _run(
    command: list[str],
    environment: Mapping[str, str],
    stdin: str | None = None,
    folder: Path | None = None,
) -> str:
    """What a command prints.

    Raises:
        RuntimeError: It failed; with the end of what it said.
    """
    done = subprocess.run(
        command,
        env=environment,
        input=stdin,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = (done.stdout + done.stderr)[-4000:]
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{said}")
    return done.stdout
