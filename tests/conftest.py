from collections.abc import Iterator

import pytest

from benchmarks.seaweed import Seaweed, free_ports, seaweed_server


@pytest.fixture
def free_port() -> int:
    return free_ports(1)[0]


@pytest.fixture(scope="session", name="seaweed_server")
def seaweed_for_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    with seaweed_server(tmp_path_factory.mktemp("seaweed")) as server:
        yield server


@pytest.fixture
def seaweed(seaweed_server: Seaweed, monkeypatch: pytest.MonkeyPatch) -> Seaweed:
    """The S3 server, with its address and credentials in the environment."""
    for name, value in seaweed_server.environment.items():
        monkeypatch.setenv(name, value)
    return seaweed_server


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the faults that tests are marked with into the JUnit report, for `make faults`."""
    for item in items:
        for marker in item.iter_markers("fault"):
            item.user_properties += zip(("fault", "outcome"), marker.args, strict=True)
