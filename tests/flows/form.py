"""The form that asks about a gate, filled in by a person in a browser."""

from pathlib import Path
from uuid import UUID

from tests.browser import chromium
from tests.flows.conftest import Services

DIALOG = '[role="dialog"]'
# What is typed as soon as a form is there may be lost (Prefect 3.7.7): it was asked for again.
SETTLED = f"""(() => {{
  const field = document.querySelector('{DIALOG} textarea');
  if (field !== window.lastField) {{ window.lastField = field; window.since = Date.now(); }}
  return field && Date.now() - window.since > 3000;
}})()"""


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
        browser.wait_for(SETTLED)
        browser.type(f"{DIALOG} textarea", reason)
        browser.choose(f"{DIALOG} select", decision)
        said = str(browser.evaluate(f"document.querySelector('{DIALOG}').innerText"))
        browser.click("Submit")
        browser.wait_for(f"!document.querySelector('{DIALOG}')")
    return said
