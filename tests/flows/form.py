"""The form that asks about a gate, filled in by a person in a browser."""

from pathlib import Path
from uuid import UUID

from tests.browser import chromium
from tests.flows.conftest import Services

DIALOG = '[role="dialog"]'


def answer_in_the_browser(
    services: Services, run_id: UUID, decision: str, reason: str, folder: Path
) -> str:
    """Logs in, resumes a run on its page, and sends the form.

    Returns:
        What the form said.
    """
    address = services.settings.ui_url
    with chromium(folder) as browser:
        browser.open(f"{address}/login")
        browser.type('input[type="password"]', ":".join(services.credential))
        browser.click("Login")
        browser.wait_for('location.pathname === "/dashboard"')
        browser.open(f"{address}/runs/flow-run/{run_id}")
        browser.click("Resume")
        browser.type(f"{DIALOG} textarea", reason)
        browser.choose(f"{DIALOG} select", decision)
        said = str(browser.evaluate(f"document.querySelector('{DIALOG}').innerText"))
        browser.click("Submit")
        browser.wait_for(f"!document.querySelector('{DIALOG}')")
    return said
