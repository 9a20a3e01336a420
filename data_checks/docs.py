"""Data Docs: Great Expectations' own page of what a gate saw, as one file that loads nothing.

The library's pages fetch styles, scripts and pictures from addresses of others. None of them is
needed to read one: they are left out, and the page forbids a browser to load anything.
"""

import re
from collections.abc import Sequence
from functools import cache
from html import escape
from typing import Any

# Elements that load something, or carry the library's own news, with what is inside them.
_LOADING = re.compile(
    r"<(script|footer|nav|svg|button|style)\b.*?</\1\s*>|<(?:link|img|meta|base|source|input)\b[^>]*>",
    re.S | re.I,
)
_HANDLERS = re.compile(r"\son\w+\s*=\s*(\"[^\"]*\"|'[^']*')", re.I)
_BODY = re.compile(r"<body[^>]*>(.*)</body>", re.S | re.I)
_HEAD = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
  body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 75rem; margin: 0 auto; padding: 1rem }}
  table {{ border-collapse: collapse }} .collapse {{ display: block }} .sticky {{ display: none }}
  th, td {{ border: 1px solid #9aa; padding: .3rem .6rem; text-align: left; vertical-align: top }}
  .fa-check-circle::before {{ content: "met" }} .fa-times::before {{ content: "broken" }}
  .fa-exclamation-triangle::before {{ content: "not checked" }}
  .text-success {{ color: #14713d }} .text-danger, .text-warning {{ color: #b3261e }}
</style>
<h1>{title}</h1>
"""


def docs_page(gate: str, results: Sequence[Any]) -> str:
    """The page of one gate.

    Args:
        gate: Its name.
        results: Great Expectations' result of each suite.
    """
    renderer, view = _tools()
    pages = [view.render(renderer.render(result)) for result in results]
    head = _HEAD.format(title=escape(f"Data Docs of the gate {gate}"))
    return head + "\n<hr>\n".join(map(_content, pages)) + "\n</html>\n"


@cache
def _tools() -> tuple[Any, Any]:
    """The library's renderer and view, whose templates take a second to be compiled."""
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
    from great_expectations.render.view import DefaultJinjaPageView

    return ValidationResultsPageRenderer(), DefaultJinjaPageView()


def _content(page: str) -> str:
    """What a page says, without what it loads."""
    found = _BODY.search(page)
    return _HANDLERS.sub("", _LOADING.sub("", found[1] if found else page))
