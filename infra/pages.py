"""The pages of runs over HTTP: the Prefect UI links to them, and a browser lets it open no file.

The server shows the reports' folder to whoever knows the credential, as its API does. A page shows
what models have written, in the origin of the UI, where the browser keeps the credential: so no
script runs in one. The browser of items has a script, which its own policy names by its digest.
"""

import base64
import hmac
from pathlib import Path
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infra.services import is_running
from infra.settings import Settings

PREFIX = "/pages"
# How paths of report.items end, whose pages name their script by digest. No name in a recipe has a
# full stop, and no comparison is written under such a name, so no other page ends so.
WITH_SCRIPT = ("/items.html", ".items.html")
POLICY = (
    "default-src 'none'; img-src data: 'self'; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; script-src "
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def page_address(settings: Settings, page: Path) -> str:
    """Where a browser on this machine finds a page of the reports' folder.

    It is the file itself where `make up` has started no server here: another one serves no pages.
    """
    if not is_running(settings, "server"):
        return page.as_uri()
    inside = page.relative_to(settings.reports).as_posix()
    return f"{settings.ui_url}{PREFIX}/{quote(inside)}"


def with_pages(app: ASGIApp, reports: Path, credential: str) -> ASGIApp:
    """An application that serves the files of `reports` below PREFIX, and else is `app`.

    Args:
        app: What answers everything else.
        reports: The folder; it may be made later.
        credential: User and password with a colon between them, asked for by basic authentication.
    """
    files = StaticFiles(directory=reports, check_dir=False)
    pages = Starlette(routes=[Mount(PREFIX, files)])
    refusal = PlainTextResponse(
        "The file REVISUAL_HOME/credential has the user and, behind a colon, the password.",
        status_code=401,
        headers={"WWW-Authenticate": 'Basic realm="revisual", charset="UTF-8"'},
    )

    async def either(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(f"{PREFIX}/"):
            await app(scope, receive, send)
        elif not _knows(Headers(scope=scope).get("Authorization", ""), credential):
            await refusal(scope, receive, send)
        else:
            scripts = "'unsafe-inline'" if scope["path"].endswith(WITH_SCRIPT) else "'none'"
            await pages(scope, receive, _bound(send, POLICY + scripts))

    return either


def _bound(send: Send, policy: str) -> Send:
    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update({**HEADERS, "Content-Security-Policy": policy})
        await send(message)

    return with_headers


def _knows(authorization: str, credential: str) -> bool:
    scheme, _, encoded = authorization.partition(" ")
    try:
        told = base64.b64decode(encoded, validate=True)
    except ValueError:  # no base64, or not even ASCII
        return False
    return scheme.lower() == "basic" and hmac.compare_digest(told, credential.encode())
