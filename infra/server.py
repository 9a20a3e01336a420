"""The Prefect server as `make up` starts it: `python -m infra.server PORT`.

It differs from `prefect server start` in three things. It shows the pages of runs (`infra.pages`),
to which the UI links. It answers to its own names only: a foreign
name that leads to the loopback address (DNS rebinding) gets nothing. And whoever writes to the
database waits for its turn: Prefect begins a transaction DEFERRED, and where that has read, and
wants to write after another has written, SQLite fails it at once ("database is locked"), whatever
the time-out. Begun IMMEDIATE it waits, for the minute that Prefect sets.
"""

import argparse
from typing import Any

import uvicorn
from prefect.server.api.server import create_app
from sqlalchemy import event
from sqlalchemy.engine import Engine
from starlette.middleware.trustedhost import TrustedHostMiddleware

from infra.access import credential
from infra.pages import with_pages
from infra.settings import load_settings

ADDRESS = "127.0.0.1"
NAMES = [ADDRESS, "localhost"]


@event.listens_for(Engine, "before_cursor_execute", retval=True)
def _take_turns(
    _connection: Any,  # noqa: ANN401 - SQLAlchemy's
    _cursor: Any,  # noqa: ANN401
    statement: str,
    parameters: Any,  # noqa: ANN401
    _context: Any,  # noqa: ANN401
    _many: bool,
) -> tuple[str, Any]:
    return ("BEGIN IMMEDIATE" if statement == "BEGIN DEFERRED" else statement), parameters


def main() -> None:
    """Serves until it is told to stop."""
    parser = argparse.ArgumentParser(prog="infra.server", description=__doc__)
    parser.add_argument("port", type=int)
    options = parser.parse_args()
    settings = load_settings()
    app = with_pages(create_app(final=True), settings.reports, credential(settings))
    app = TrustedHostMiddleware(app, allowed_hosts=NAMES)
    uvicorn.run(app, host=ADDRESS, port=options.port, log_level="warning")


if __name__ == "__main__":
    main()
