import gc
import resource
import socket
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from infra.inputs.wanted import Wanted
from infra.seaweed import Seaweed, seaweed_server
from infra.store import Store
from tests.endpoint import Endpoint, endpoint_server
from tests.hub import Hub, hub_server

# What takes long on a busy machine is no fault. The examples are the same in every run, so that a
# change is blamed for its own faults alone; `--hypothesis-profile search` draws others.
_CALM = [HealthCheck.too_slow]
settings.register_profile("search", deadline=None, suppress_health_check=_CALM)
settings.register_profile("revisual", deadline=None, derandomize=True, suppress_health_check=_CALM)
settings.load_profile("revisual")
# Collecting imports millions of objects that stay: looking through them again and again for garbage
# took a third of its time, and of many a test's.
gc.disable()
# Whose slow tests take longest, in this order.
_LONG = ("flows", "tasks", "drills")


@pytest.fixture
def free_port() -> Iterator[int]:
    """Nobody listens there, and nobody else can until the test ends: connections are refused."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


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


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A model hub of one's own, which the hub's client asks, without a token."""
    with hub_server() as (address, hub):
        monkeypatch.setenv("HF_ENDPOINT", address)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield hub


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """An OpenAI-compatible endpoint of one's own."""
    with endpoint_server() as server:
        yield server


@pytest.fixture
def wanted() -> Callable[..., Wanted]:
    """Makes a source that is wanted from a path."""

    def source(path: object, **settings: str) -> Wanted:
        return Wanted("The source s", "sources.s", str(path), "parquet", **settings)

    return source


@pytest.fixture(params=["local", "s3"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a new store lies: of each kind, one after the other."""
    if request.param == "local":
        return str(tmp_path / "store")
    bucket = request.getfixturevalue("seaweed").bucket
    return f"s3://{bucket}/{uuid.uuid4().hex}"


@pytest.fixture
def store(uri: str, tmp_path: Path) -> Store:
    """A new store of each kind."""
    return Store(uri, tmp_path / "cache")


@pytest.fixture
def full_disk() -> Callable[[int], AbstractContextManager[None]]:
    """Until the end of a `with`, the kernel refuses to write more than so many bytes of a file.

    By the process's limit, which every user may set; a small file system would need root. The
    error is EFBIG instead of ENOSPC, and what was written before stays, as on a full disk.
    """

    @contextmanager
    def limited(num_bytes: int) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limited


def _turn(item: pytest.Item) -> int:
    """Files are dealt out whole, and a run takes minutes: one that began last would end alone."""
    folder = item.path.relative_to(Path(__file__).parent).parts[0]
    return _LONG.index(folder) if folder in _LONG else len(_LONG)


def pytest_configure(config: pytest.Config) -> None:
    """A process that only deals tests out to workers collects none."""
    if config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        gc.enable()


def pytest_collection_finish() -> None:
    """What is there by now stays: garbage is looked for in what the tests make."""
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts long files first, and the faults that tests are marked with into the JUnit report."""
    items.sort(key=_turn)
    for item in items:
        for marker in item.iter_markers("fault"):
            item.user_properties += zip(("fault", "outcome"), marker.args, strict=True)
