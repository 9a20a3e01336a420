"""What a finished run leaves: assets in Prefect, and a report."""

import re

ROLE = "prefect.resource.role"


def upstream(event: dict) -> list[str]:
    related = event["related"]
    return [one["prefect.resource.id"] for one in related if one.get(ROLE) == "asset"]


def require_assets(services, event: str, record: dict) -> None:
    """Every stage of the run is an asset with its inputs upstream, and with its digests."""
    stages = record["stages"]
    found = services.assets(event, [stage["artifact"]["uri"] for stage in stages])
    for stage in stages:
        one = found[stage["artifact"]["uri"]]
        assert upstream(one) == [given["uri"] for given in stage["inputs"]]
        assert one["payload"]["kind"] == stage["artifact"]["kind"]
        assert one["payload"]["sha256"] == stage["artifact"]["sha256"]
        assert re.fullmatch("[0-9a-f]{64}", one["payload"]["recipe_digest"])
        assert any(related.get(ROLE) == "flow-run" for related in one["related"])


def require_whole_report(page, record):
    """What was made, from what, and the pictures of the problems that were answered."""
    assert "<html" in page and "What is missing" in page and "every file was found" in page
    for stage in record["stages"]:
        assert stage["artifact"]["sha256"] in page
    assert page.count('src="data:image/png;base64,') == 4  # of the benchmark's four problems
    assert page.count("pocket_multimodal") >= 3  # the accuracies of three policies
