"""A model that names topics: what it is asked, what counts as a name, and how it fails."""

import pytest

from contracts.errors import InputError, SettingsError
from tests.endpoint import MODEL, Raw, completion, question_of
from training.curation import topic_names
from training.curation.topic_names import name_topics, naming_prompt, read_name
from training.recipe.curation import TopicNamesRecipe

ASKED = {"hens, cows": ["How many {legs}?", "Cows\nand hens"], "trains": ["How fast?"]}


def naming(endpoint, **connection):
    values = {"retries": 0, "backoff_seconds": 0.01} | connection
    return TopicNamesRecipe(address=endpoint.address, model=MODEL, connection=values)


def test_a_model_sees_the_keywords_and_the_questions_each_on_a_line():
    text = naming_prompt("v1", "hens, cows", ASKED["hens, cows"])
    assert "<keywords>\nhens, cows\n</keywords>" in text
    assert "<questions>\nHow many {legs}?\nCows\\nand hens\n</questions>" in text


@pytest.mark.parametrize(
    ("reply", "name"),
    [
        ("TOPIC: Farm animals", "Farm animals"),
        ("  topic:\tFarm  \n", "Farm"),
        ("TOPIC: a\u202eb", "a\\u202eb"),  # shown, not obeyed
        ("Farm animals", None),
        ("TOPIC:", None),
        ("TOPIC: one\nTOPIC: two", None),
        ("TOPIC: " + "a" * 81, None),
        ("", None),
    ],
)
def test_only_one_short_line_is_a_name(reply, name):
    assert read_name(reply) == name


def test_each_topic_has_its_name_or_why_it_has_none(endpoint):
    def answer(body):
        if "trains" in question_of(body):
            return Raw(b"busy", 503)
        return completion("TOPIC: Farm animals")

    endpoint.answer = answer
    found = name_topics(naming(endpoint), ASKED, seed=3)
    assert found.names == {"hens, cows": "Farm animals"}
    assert found.faults == {"trains": "status 503"} and found.model == MODEL
    assert {(body["temperature"], body["seed"]) for body in endpoint.asked} == {(0.0, 3)}
    endpoint.answer = lambda body: completion("I cannot.")
    found = name_topics(naming(endpoint), ASKED, seed=3)
    assert found.names == {} and found.faults["trains"] == "its reply is no name: 'I cannot.'"


def test_an_endpoint_that_hangs_costs_a_limited_time(endpoint, monkeypatch):
    monkeypatch.setattr(topic_names, "LIMIT_SECONDS", 0.2)
    endpoint.answer, endpoint.seconds = lambda body: completion("TOPIC: late"), 2.0
    found = name_topics(naming(endpoint), ASKED, seed=0)
    assert found.names == {}
    assert found.faults == dict.fromkeys(ASKED, "not within 0.2 s for all topics")


def test_a_key_that_a_reply_repeats_is_not_kept(endpoint, monkeypatch):
    monkeypatch.setenv("NAMES_API_KEY", "Qz7Wm3Xv9Rt")
    asked = naming(endpoint, key_variable="NAMES_API_KEY")
    for reply in ("TOPIC: Bearer Qz7Wm3Xv9Rt", "no, Qz7Wm3Xv9Rt"):
        endpoint.answer = lambda body, reply=reply: completion(reply)
        assert "Qz7Wm3Xv9Rt" not in name_topics(asked, ASKED, seed=0).model_dump_json()


def test_no_more_are_asked_at_once_than_the_connection_allows(endpoint):
    endpoint.answer, endpoint.seconds = lambda body: completion("TOPIC: a"), 0.05
    many = {f"topic {number}": ["?"] for number in range(8)}
    assert len(name_topics(naming(endpoint, concurrency=2), many, seed=0).names) == 8
    assert endpoint.most_at_once <= 2


def test_an_endpoint_that_will_not_do_is_one_error_without_its_key(endpoint, monkeypatch):
    endpoint.key = "right"
    asked = naming(endpoint, key_variable="NAMES_API_KEY")
    with pytest.raises(SettingsError, match="NAMES_API_KEY is not set"):
        name_topics(asked, ASKED, seed=0)
    monkeypatch.setenv("NAMES_API_KEY", "Qz7Wm3Xv9Rt")
    with pytest.raises(InputError, match="refuses the key") as caught:
        name_topics(asked, ASKED, seed=0)
    assert "Qz7Wm3Xv9Rt" not in str(caught.value)
