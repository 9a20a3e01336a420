import os
import stat
import urllib.request
from pathlib import Path
from unittest.mock import patch

import pytest

from contracts.errors import ServiceError
from infra.access import (
    USER,
    credential,
    credential_path,
    make_credential,
    make_private,
    temporary_folder,
    without_proxy,
    write_private,
)
from infra.settings import Settings


def of_home(home: Path) -> Settings:
    return Settings(home=home, store_uri=str(home / "store"), port=4200)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_credential_is_random_made_once_and_its_owners_alone(tmp_path):
    settings = of_home(tmp_path)
    with pytest.raises(ServiceError, match="no credential"):
        credential(settings)
    before = os.umask(0)
    try:
        make_credential(settings)
    finally:
        os.umask(before)
    made = credential(settings)
    user, _, password = made.partition(":")
    assert (user, len(password)) == (USER, 43)
    assert mode(credential_path(settings)) == 0o600
    make_credential(settings)
    assert credential(settings) == made
    (tmp_path / "other").mkdir()
    make_credential(of_home(tmp_path / "other"))
    assert credential(of_home(tmp_path / "other")) != made


def test_what_was_open_to_all_is_so_no_longer(tmp_path):
    home, file = tmp_path / "home", tmp_path / "home" / "file"
    home.mkdir(mode=0o755)
    file.write_text("a longer text")
    file.chmod(0o644)
    make_private(home)
    write_private(file, "text")
    assert (mode(home), mode(file), file.read_text()) == (0o700, 0o600, "text")
    make_private(tmp_path / "new" / "one")
    assert mode(tmp_path / "new" / "one") == 0o700


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_folder_or_link_of_another_user_is_refused(tmp_path):
    theirs, link = tmp_path / "theirs", tmp_path / "link"
    theirs.mkdir()
    link.symlink_to(tmp_path)
    for path in (theirs, link):
        os.chown(path, 65534, 65534, follow_symlinks=False)
        with pytest.raises(ServiceError, match="belongs to another user"):
            make_private(path)


@pytest.mark.parametrize("length", [20, 40, 55, 56, 200])
def test_temporary_files_lie_in_the_home_unless_sockets_would_have_no_room(length):
    home = Path("/" + "h" * (length - 1))
    folder = temporary_folder(of_home(home))
    inside = folder == home / "tmp"
    assert inside == (length <= 55)
    assert inside or folder == Path(f"/tmp/revisual-{os.getuid()}")
    assert len(os.fsencode(folder)) + 48 <= 107


def test_no_proxy_is_asked_for_the_way_to_this_machine():
    assert without_proxy({"no_proxy": ".example"})["NO_PROXY"] == ".example,127.0.0.1,localhost"
    proxies = {"http_proxy": "http://proxy:1", "HTTP_PROXY": "http://proxy:1"}
    with patch.dict(os.environ, proxies | without_proxy(proxies), clear=True):
        assert urllib.request.proxy_bypass("127.0.0.1:4200")
        assert not urllib.request.proxy_bypass("example.org")
