import pytest

from contracts.errors import PreflightError, SettingsError
from infra.preflight import check_disk, check_run_name, needed_bytes
from infra.settings import PROJECT_ROOT, load_settings


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch):
    for name in ("REVISUAL_HOME", "REVISUAL_STORE", "REVISUAL_PORT"):
        monkeypatch.delenv(name, raising=False)


def test_nothing_needs_to_be_set():
    settings = load_settings()
    assert settings.home == PROJECT_ROOT / ".revisual"
    assert settings.store_uri == str(PROJECT_ROOT / ".revisual" / "store")
    assert settings.api_url == "http://127.0.0.1:4200/api"


def test_the_environment_decides(monkeypatch, tmp_path):
    monkeypatch.setenv("REVISUAL_HOME", str(tmp_path))
    monkeypatch.setenv("REVISUAL_STORE", "s3://bucket/prefix")
    monkeypatch.setenv("REVISUAL_PORT", "4321")
    settings = load_settings()
    assert (settings.home, settings.store_uri) == (tmp_path, "s3://bucket/prefix")
    assert settings.ui_url == "http://127.0.0.1:4321"


def test_a_relative_store_means_the_same_to_the_worker(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REVISUAL_STORE", "my/store")
    assert load_settings().store_uri == str(tmp_path / "my" / "store")


@pytest.mark.parametrize("port", ["x", "0", "65536", "-1", "4200.0", "٤٢"])
def test_a_port_that_is_none_is_refused(monkeypatch, port):
    monkeypatch.setenv("REVISUAL_PORT", port)
    with pytest.raises(SettingsError, match="whole number from 1 to 65535"):
        load_settings()


def test_a_full_disk_is_one_clear_error(tmp_path):
    check_disk(tmp_path / "not" / "there" / "yet", 1)
    with pytest.raises(PreflightError) as caught:
        check_disk(tmp_path / "not" / "there" / "yet", 2**62)
    assert "this run needs" in caught.value.what
    assert "REVISUAL_HOME" in caught.value.fix


def test_a_run_needs_room_for_every_checkpoint_twice():
    assert needed_bytes(1000, num_stages=3) == 2 * 1000 * 4 + 2**29


def test_a_run_is_called_what_its_folders_can_be_called():
    for name in ("able-ant", "Läufe 3 (zweiter)", "a" * 200):
        check_run_name(name)
    for name in ("../../../ESCAPED/x", "a/b", ".", "..", ".x", "", "a\nb", "a\0", "a" * 201, "*"):
        with pytest.raises(PreflightError, match="A run cannot be called"):
            check_run_name(name)
