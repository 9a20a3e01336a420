"""What a benchmark reports beside its score: every figure of it, in both formats."""

import json
import re

import pytest

from report.evidence import gather
from report.render import render

MEASURES = {
    "base": [
        {"metric": "pass@2", "value": 0.25, "low": 0.125, "high": 0.5, "n": 8},
        {"metric": "RM rate, strict", "value": None, "n": 0},
    ],
    "text_rl": [
        {"metric": "pass@2", "value": 0.5, "low": 0.25, "high": 0.75, "n": 8},
        {"metric": "RM rate, strict", "value": 0.4, "low": 0.1, "high": 0.9, "n": 5},
    ],
}
PARTS = {"Vision Only": {"value": 0.375, "n": 8}}
ROWS = [
    ["pass@2", "8", "25.0 % (12.5 to 50.0)", "–", "–", "50.0 % (25.0 to 75.0)"],
    ["RM rate, strict", "0 / 5", "–", "–", "–", "40.0 % (10.0 to 90.0)"],
    ["accuracy, part Vision Only", "8", "37.5 %", "–", "–", "–"],
]


@pytest.fixture
def measured(made_up_run):
    path = made_up_run.folders["evaluate"] / "scores.json"
    content = json.loads(path.read_text())
    for score in content["scores"]:
        if score["benchmark"] == "pocket_text":
            score["measures"] = MEASURES.get(score["policy"], [])
            score["by_part"] = PARTS if score["policy"] == "base" else {}
    path.write_text(json.dumps(content))
    return made_up_run


def test_every_measure_and_part_is_in_both_formats(measured) -> None:
    report = render(measured.run, gather(*measured))
    table = report.html.split("n is what each is a mean over</caption>")[1].split("</table>")[0]
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in table.split("<tr>")]
    assert [row for row in cells if row] == ROWS
    for row in ROWS:
        assert f"| {' | '.join(row)} |" in report.markdown
    assert "pocket_multimodal: further measures" not in report.html


def test_without_measures_there_is_no_table(made_up_run) -> None:
    report = render(made_up_run.run, gather(*made_up_run))
    assert "further measures" not in report.html + report.markdown
