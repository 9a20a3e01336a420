"""A run's pages over HTTP, beside the Prefect UI: for whom, which, and with which rights."""

import socket
import threading
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from starlette.responses import PlainTextResponse

from infra.pages import page_address, with_pages
from infra.settings import Settings
from tests.browser import chromium, needs_chromium

USER, PASSWORD = "revisual", "a long one"
PAGE = (
    "<title>asleep</title><img src=a.png onerror='document.title = 1'>"
    "<script>document.title = 'a script ran'</script>"
)
ONE_PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc0"
    "0000030101003b3af6d80000000049454e44ae426082"
)


@contextmanager
def served(reports: Path):
    """The address of a real server of `reports`, beside another application."""
    app = with_pages(PlainTextResponse("another"), reports, f"{USER}:{PASSWORD}")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


WITH_SCRIPT = ("items.html", "1-mathvista.items.html", "compare.items.html")


@pytest.fixture
def reports(tmp_path) -> Path:
    folder = tmp_path / "reports" / "bold-fox-cs+mrl" / "gates"
    folder.mkdir(parents=True)
    (folder / "curation.html").write_text(PAGE)
    for name in (*WITH_SCRIPT, "checkpoint-items.html"):
        (folder / name).write_text(PAGE)
    (folder / "a.png").write_bytes(ONE_PIXEL)
    (tmp_path / "credential").write_text("nobody's business")
    (tmp_path / "reports" / "out").symlink_to(tmp_path / "credential")
    return tmp_path / "reports"


def test_pages_are_for_those_who_know_the_credential_and_nothing_else_is_served(reports) -> None:
    name = "/pages/bold-fox-cs%2Bmrl/gates/curation.html"
    with served(reports) as address, httpx.Client(base_url=f"http://{address}") as client:
        assert client.get("/pages").text == client.get("/api/health").text == "another"
        known = (USER, PASSWORD)
        page = client.get(name, auth=known)
        assert (page.status_code, page.text) == (200, PAGE)
        assert page.headers["Content-Security-Policy"].endswith("script-src 'none'")
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        for wrong in (None, (USER, "a long on"), (USER, ""), ("", PASSWORD)):
            refused = client.get(name, auth=wrong)
            assert refused.status_code == 401 and PAGE not in refused.text
            assert refused.headers["WWW-Authenticate"].startswith("Basic ")
        for header in ("", "Basic", "Basic %%%", "Bearer cmV2aXN1YWw6YSBsb25nIG9uZQ=="):
            assert client.get(name, headers={"Authorization": header}).status_code == 401
        assert client.get(name, headers=[(b"Authorization", b"Basic \xe9")]).status_code == 401
        for outside in (
            "/pages/../credential",
            "/pages/%2e%2e/credential",
            "/pages/..%2fcredential",
            "/pages//etc/passwd",
            "/pages/out",
            "/pages/",
            "/pages/bold-fox-cs%2Bmrl",
        ):
            request = client.build_request("GET", name)
            request.url = request.url.copy_with(raw_path=outside.encode())
            answer = client.send(request, auth=known)
            # A client or server may have resolved the dots: then it is the other application's.
            assert answer.status_code == 404 or answer.text == "another", outside
        assert client.post(name, auth=known).status_code == 405


def test_links_lead_to_the_server_only_where_one_was_started_here(tmp_path) -> None:
    settings = Settings(home=tmp_path, store_uri=str(tmp_path / "store"), port=4321)
    page = settings.reports / "a run" / "report.html"
    assert page_address(settings, page) == page.as_uri()


@needs_chromium
@pytest.mark.slow
def test_only_the_browser_of_items_runs_a_script_and_images_are_loaded(reports, tmp_path) -> None:
    with served(reports) as address, chromium(tmp_path) as browser:
        folder = f"{address}/pages/bold-fox-cs%2Bmrl/gates"
        # As if typed when it asks: from then on the browser knows both.
        known = f"http://{USER}:{PASSWORD.replace(' ', '%20')}@{folder}/curation.html"
        pages = dict.fromkeys(("curation.html", "checkpoint-items.html"), "asleep")
        for page, title in (pages | dict.fromkeys(WITH_SCRIPT, "a script ran")).items():
            browser.open(known)
            browser.wait_for("document.title")
            browser.open(f"http://{folder}/{page}")
            browser.wait_for(
                f"location.href.endsWith('/{page}') && document.images[0].naturalWidth"
            )
            assert browser.evaluate("document.title") == title
