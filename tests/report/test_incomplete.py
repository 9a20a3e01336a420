"""A benchmark of which answers did not come: no page shows its score as one of the whole."""

import json
import re

from report.evidence import gather
from report.render import render


def test_a_score_of_a_part_of_its_benchmark_is_marked_wherever_it_stands(made_up_run) -> None:
    run, folders = made_up_run
    path = folders["evaluate"] / "scores.json"
    content = json.loads(path.read_text())
    for one in content["scores"]:
        if one["benchmark"] == "pocket_text" and one["policy"] in ("base", "text_rl"):
            one["failures"] = {"time-out": 3}
            one["measures"] = [{"metric": "pass@2", "n": 1}]
    path.write_text(json.dumps(content))
    html, markdown = render(run, gather(run, folders))
    reason = "answers that did not come: base lacks 3, text_rl lacks 3"
    # The first sentence states no gain over it, nor does a table.
    assert f"in points: pocket_text not compared ({reason}); pocket_multimodal +25.0 (" in markdown
    assert f"| pocket_text | 20.0 % \\* | 90.0 % \\* | – | – | – | not compared: {reason} |" in (
        markdown
    )
    assert "+70.0" not in html
    assert "| cold_start | not compared | " in markdown and "no interval" not in markdown
    # Nor does any score stand without its star: tables, figures and their words.
    assert "| pocket_text | text_rl | accuracy | 90.0 % \\* | " in markdown
    assert "base 20.0 % *; cold_start 70.0 %; multimodal_rl 72.0 %; text_rl 90.0 % *" in html
    assert len(re.findall(r">90 % \*</text>", html)) == 2  # its own figure, and that of all
    for table in ("pocket_text by level", "pocket_text by family", "further measures, with"):
        heads = html.split(table)[-1].split("</thead>")[0]
        assert ">base *<" in heads and ">text_rl *<" in heads, table
    assert "* text_rl on pocket_text: 3 answer(s) did not come (time-out: 3)." in html
