"""The pages as a person has them: laptop and phone, light and dark, by the keyboard alone."""

from pathlib import Path

import pytest

from report.compare import Compared, compare
from report.evidence import gather
from report.items import PAGE, write_browser, write_items
from report.paired_items import paired_items
from report.render import render
from tests.browser import Browser, chromium, needs_chromium
from tests.report.test_items import opened

pytestmark = [needs_chromium, pytest.mark.slow]
WIDTHS = {"laptop": (1366, 768), "phone": (390, 844)}
KEYS = {"Tab": 9, "ArrowDown": 40}
PAGES = ("report.html", "compare.html", PAGE, "compare.items.html")


@pytest.fixture
def pages(made_up_run, tmp_path) -> Path:
    run, folders = made_up_run
    evidence = gather(run, folders)
    assert write_items(run, evidence, tmp_path)
    (tmp_path / "report.html").write_text(render(run, evidence).html)
    runs = [Compared(name, run, evidence) for name in ("first", "second")]
    (tmp_path / "compare.html").write_text(compare(runs, "compare.items.html"))
    assert write_browser(paired_items(runs, "compare.html"), tmp_path, "compare.")
    return tmp_path


def press(browser: Browser, key: str) -> None:
    for kind in ("keyDown", "keyUp"):
        code = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS[key]}
        browser.call("Input.dispatchKeyEvent", type=kind, **code)


def shown(browser: Browser, page: Path) -> None:
    browser.open(page.as_uri())
    browser.wait_for(
        f"location.href.endsWith('{page.name}') && document.readyState === 'complete'"
        " && document.body.innerText.length > 100"
    )


def test_no_page_is_wider_than_its_screen_and_each_has_a_dark_side(pages):
    with chromium(pages) as browser:
        for name in PAGES:
            shown(browser, pages / name)
            for screen, (width, height) in WIDTHS.items():
                size = {"width": width, "height": height, "deviceScaleFactor": 1}
                browser.call("Emulation.setDeviceMetricsOverride", mobile=screen == "phone", **size)
                tones = []
                for scheme in ("light", "dark"):
                    scheme_is = {"name": "prefers-color-scheme", "value": scheme}
                    browser.call("Emulation.setEmulatedMedia", features=[scheme_is])
                    wide = browser.evaluate("document.documentElement.scrollWidth")
                    assert wide <= width, (name, screen, scheme)
                    tones.append(browser.evaluate("getComputedStyle(document.body).color"))
                assert len(set(tones)) == 2, (name, screen)


def test_no_page_has_anything_in_its_console(pages):
    for name in PAGES:
        assert "</html>" in opened(pages / name)


def test_items_are_reached_and_turned_by_the_keyboard(pages):
    with chromium(pages) as browser:
        shown(browser, pages / PAGE)
        titles = [browser.evaluate("document.querySelector('#item h2').innerText")]
        for _ in range(30):
            press(browser, "Tab")
            if browser.evaluate("document.activeElement.closest('#list') !== null"):
                break
        for _ in range(2):
            press(browser, "ArrowDown")
            titles.append(browser.evaluate("document.querySelector('#item h2').innerText"))
        assert titles == ["pocket_text/0", "pocket_text/1", "pocket_text/2"]
        ring = "getComputedStyle(document.activeElement).outlineStyle"
        assert browser.evaluate(ring) == "solid"


def test_an_address_with_fewer_filters_clears_the_others(pages):
    with chromium(pages) as browser:
        shown(browser, pages / PAGE)
        told = []
        for address in ("benchmark=pocket_text&level=3&search=what&from=1", "level=3", "from=2"):
            browser.evaluate(f"location.hash = '{address}'")
            # The page has heard of it, and drawn, before the next frame but one.
            browser.evaluate(
                "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
            )
            told.append(browser.evaluate("document.getElementById('count').textContent"))
        assert told == ["10 of 200 items", "20 of 200 items", "200 of 200 items"]
        assert browser.evaluate("document.getElementById('to').value") == "3"


def test_answers_of_two_runs_stand_side_by_side(pages):
    with chromium(pages) as browser:
        shown(browser, pages / "compare.html")
        browser.evaluate("document.querySelector('a[href=\"compare.items.html\"]').click()")
        browser.wait_for("document.querySelectorAll('#item .response h3').length === 2")
        names = "[...document.querySelectorAll('#item h3')].map((one) => one.innerText.trim())"
        assert browser.evaluate(names) == ["first", "second"]
        assert browser.evaluate("document.querySelector('header a').href").endswith("compare.html")
