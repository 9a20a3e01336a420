"""Length against correctness, with shares counted by hand."""

import pandas as pd
import pytest

from report.evidence import gather
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
    assert length_cells(answers) == ("42", "37", "47", "50.0 %", "50.0 %")
    assert length_cells(answers[:1]) == ("10", "10", "–", "0.0 %", "–")


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
    assert "| pocket_text | base | 50.50 | 10.50 | 60.50 | 10.0 % | 0.0 % |" in markdown
    rows = [line for line in markdown.splitlines() if line.startswith("| to ")][:5]
    assert [row.split(" | ")[1] for row in rows] == ["100.0 % of 20", *["0.0 % of 20"] * 4]
    assert [row.split(" | ")[4].strip(" |") for row in rows][3:] == [
        "100.0 % of 20",
        "50.0 % of 20",
    ]


def test_lengths_that_nobody_wrote_are_told(made_up_run) -> None:
    path = made_up_run.folders["evaluate"] / "predictions.parquet"
    pd.read_parquet(path).assign(num_tokens="many", truncated="?").to_parquet(path)
    assert not gather(*made_up_run).predictions["truncated"].any()
    assert (
        "No predictions tell the length of their answers."
        in render(made_up_run.run, gather(*made_up_run)).markdown
    )
