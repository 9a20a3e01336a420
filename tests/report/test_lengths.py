"""Length against correctness, with shares counted by hand."""

from dataclasses import replace

import pandas as pd
import pytest

from report.compare import Compared, compare
from report.evidence import gather
from report.items import collect
from report.lengths import length_cells
from report.numbers import figure
from report.render import render


def test_the_cells_of_four_answers() -> None:
    answers = pd.DataFrame(
        {
            "outcome": ["right", "wrong", "unparseable", "right"],
            "num_tokens": [10.0, 30.0, 64.0, 64.0],
            "truncated": [False, False, True, True],
        }
    )
    # (10 + 30 + 64 + 64) / 4, (10 + 64) / 2, (30 + 64) / 2, 2 of 4, 1 of those 2.
    assert length_cells(answers) == ("4", "42", "37", "47", "50.0 %", "50.0 %")
    assert length_cells(answers[:1]) == ("1", "10", "10", "–", "0.0 %", "–")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (2060.7, "2061"),
        (-1234.5678, "−1235"),
        (999.96, "1000.0"),
        (2e6 + 0.5, "2e+06"),
        (40.0, "40"),
    ],
)
def test_a_mean_length_is_a_number_that_people_read(value, written) -> None:
    assert figure(value) == written


def test_right_answers_are_counted_by_length(made_up_run) -> None:
    path = made_up_run.folders["evaluate"] / "predictions.parquet"
    predictions = pd.read_parquet(path)
    number = predictions["problem_id"].str.split("/").str[1].astype(int)
    # 1 to 100 tokens: a policy that got 20 of 100 right got those of the 20 shortest answers.
    predictions.assign(num_tokens=number + 1, truncated=number >= 90).to_parquet(path)
    markdown = render(made_up_run.run, gather(*made_up_run)).markdown
    assert "| pocket_text | base | 100 | 50.50 | 10.50 | 60.50 | 10.0 % | 0.0 % |" in markdown
    rows = [line for line in markdown.splitlines() if line.startswith("| to ")][:5]
    assert [row.split(" | ")[1] for row in rows] == ["100.0 % of 20", *["0.0 % of 20"] * 4]
    assert [row.split(" | ")[4].strip(" |") for row in rows][3:] == [
        "100.0 % of 20",
        "50.0 % of 20",
    ]


def test_an_answer_that_did_not_come_has_no_length(made_up_run) -> None:
    """20 right ones of 100 to 119 tokens, and 80 that did not come: nothing rises with length."""
    path = made_up_run.folders["evaluate"] / "predictions.parquet"
    predictions = pd.read_parquet(path)
    number = predictions["problem_id"].str.split("/").str[1].astype(int)
    came = number < 20
    rows = predictions.assign(
        num_tokens=(number + 100).where(came, 0),
        outcome=predictions["outcome"].where(~came, "right"),
        failure=predictions["outcome"].where(~came, None),
    )
    rows.to_parquet(path)
    evidence = gather(*made_up_run)
    markdown = render(made_up_run.run, evidence).markdown
    assert "| pocket_text | base | 20 | 109.5 | 109.5 | – | 0.0 % | – |" in markdown
    bins = [line for line in markdown.splitlines() if line.startswith("| to ")][:5]
    assert len(bins) == 5 and all("| 100.0 % of 4 | 100.0 % of 4 |" in row for row in bins)
    run = Compared("one", made_up_run.run, evidence)
    html = compare([run, replace(run, name="two")])
    assert '<td class="number plain">20</td><td class="number plain">109.5</td>' in html
    (item,) = collect(evidence.predictions[-1:], evidence.policies, 1)
    assert [one["tokens"] for one in item["answers"][-1]["shown"]] == [None]


def test_lengths_that_nobody_wrote_are_told(made_up_run) -> None:
    path = made_up_run.folders["evaluate"] / "predictions.parquet"
    pd.read_parquet(path).assign(num_tokens="many", truncated="?").to_parquet(path)
    assert not gather(*made_up_run).predictions["truncated"].any()
    assert (
        "No predictions tell the length of their answers."
        in render(made_up_run.run, gather(*made_up_run)).markdown
    )
