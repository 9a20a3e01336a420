"""How requests are parted, and the file from which processes take them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.rollout.protocol import Prompt, Request, SamplingSettings
from training.sampling.lots import (
    MAX_LOT_RESPONSES,
    MAX_LOT_TOKENS,
    LotFile,
    plan_lots,
    write_lots,
)

SETTINGS = [
    SamplingSettings(64),
    SamplingSettings(8192, temperature=0.6, top_p=0.9),
    SamplingSettings(200_000, samples_per_prompt=300),
    SamplingSettings(16, samples_per_prompt=48),
]


def request(number, settings, question="2+3?", images=()):
    return Request(str(number), Prompt(question, images), settings, "5", "reference")


requests = st.lists(st.tuples(st.sampled_from(SETTINGS), st.text(max_size=40)), max_size=400).map(
    lambda rows: [request(n, settings, text) for n, (settings, text) in enumerate(rows)]
)


@given(requests)
def test_every_request_is_in_one_lot_of_its_settings_that_is_small_enough(asked):
    lots = plan_lots(asked)
    assert sorted(one.id for lot in lots for one in lot) == sorted(one.id for one in asked)
    for lot in lots:
        (settings,) = {one.settings for one in lot}
        num_responses = len(lot) * settings.samples_per_prompt
        assert len(lot) == 1 or num_responses <= MAX_LOT_RESPONSES
        assert len(lot) == 1 or num_responses * settings.max_response_tokens <= MAX_LOT_TOKENS


@given(requests, st.randoms())
def test_the_order_of_equally_long_requests_alone_decides_between_them(asked, random):
    lengths = [[len(one.prompt.question) for one in lot] for lot in plan_lots(asked)]
    random.shuffle(asked)
    assert [[len(one.prompt.question) for one in lot] for lot in plan_lots(asked)] == lengths


@pytest.mark.parametrize("answered", [set(), {0, 5, 6, 7}, set(range(300))])
def test_what_is_answered_leaves_its_lot_and_changes_no_other(answered, images, tmp_path):
    asked = [
        replace(
            request(n, SETTINGS[0], "?" * (n % 50), images[: n % 3]), asked="a", first_sample=n % 2
        )
        for n in range(300)
    ]
    whole = plan_lots(asked)
    keys = {asked[number].key for number in answered}
    write_lots(asked, keys, tmp_path / "lots.parquet")
    read = list(LotFile(tmp_path / "lots.parquet"))
    expected = [[one for one in lot if one.key not in keys] for lot in whole]
    assert read == [lot for lot in expected if lot]
    assert [one.key for lot in read for one in lot] == [one.key for lot in expected for one in lot]
    assert [path.name for path in tmp_path.iterdir()] == ["lots.parquet"]


def test_a_requests_key_is_all_of_it(images):
    same = request(1, SETTINGS[0], "2+3?", images[:1])
    others = [
        request(2, SETTINGS[0], "2+3?", images[:1]),
        request(1, SETTINGS[1], "2+3?", images[:1]),
        request(1, SETTINGS[0], "2+4?", images[:1]),
        request(1, SETTINGS[0], "2+3?", images[:2]),
        Request("1", same.prompt, SETTINGS[0], "6", "reference"),
        Request("1", same.prompt, SETTINGS[0], "5", "another"),
        replace(same, asked="another"),
        replace(same, first_sample=1),
    ]
    assert request(1, SETTINGS[0], "2+3?", images[:1]).key == same.key
    assert len({same.key, *(one.key for one in others)}) == 1 + len(others)
    # What the model is asked is neither the id nor what is right.
    alike = [one for one in others if one.draw == same.draw]
    assert alike == [others[0], others[4], others[5]]
