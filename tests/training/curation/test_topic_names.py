"""A model that names topics: what it is asked, what counts as a name, and how it fails."""

import pytest

from tests.endpoint import MODEL, Raw, completion, question_of
from training.curation import naming
from training.curation.naming import Namer
from training.curation.topic_names import NoNameError, naming_prompt, read_name
from training.recipe.curation import TopicNamesRecipe
from training.rollout.protocol import SamplingSettings
from training.rollout.transformers_engine import TransformersEngine
from training.runtime import device

ASKED = {"hens, cows": ["How many {legs}?", "Cows\nand hens"], "trains": ["How fast?"]}


@pytest.fixture(scope="module", autouse=True)
def _started():
    device.start(1)


def namer(endpoint, **connection):
    values = {"retries": 0, "backoff_seconds": 0.01} | connection
    asked = {"address": endpoint.address, "model": MODEL}
    section = TopicNamesRecipe.model_validate({"endpoint": asked, "connection": values})
    return Namer(section, nobody, digest="d", seed=3, save=None, resume=None)


def nobody():
    raise AssertionError("no engine is wanted")


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
        ("<think>\nHens, so\nTOPIC: birds?\n</think>\n\nTOPIC: Farm", "Farm"),
    ],
)
def test_one_short_line_behind_all_thoughts_is_a_name(reply, name):
    assert read_name(reply) == name


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        ("Farm animals", "no `TOPIC:` in the reply"),
        ("TOPIC:", "an empty name"),
        ("TOPIC: one\nTOPIC: two", "several lines"),
        ("TOPIC: " + "a" * 81, "a name of more than 80 characters"),
        ("", "an empty reply"),
        ("<think>TOPIC: Farm</think> ", "an empty reply"),
    ],
)
def test_anything_else_is_none_and_says_why(reply, fault):
    with pytest.raises(NoNameError) as caught:
        read_name(reply)
    assert str(caught.value) == fault


def test_an_engines_replies_are_kept_by_the_model_and_the_prompt(
    tiny_policy, tmp_path, monkeypatch, capsys
):
    """The tiny model names nothing; what it says instead, nobody asks a second time."""
    monkeypatch.setattr(naming, "SETTINGS", SamplingSettings(8, temperature=0.0))
    section = TopicNamesRecipe.model_validate({"model": {"path": "./tiny"}})
    opened = []

    def engine():
        opened.append("an engine")
        return TransformersEngine(tiny_policy)

    def named(digest, open_model, questions=ASKED, **save):
        places = {"save": None, "resume": tmp_path / "saved"} | save
        return Namer(section, open_model, digest=digest, seed=0, **places).name(questions)

    found = named("one", engine, save=tmp_path / "saved")
    assert found.model == "./tiny" and found.names == {} and found.faults.keys() == ASKED.keys()
    assert "0 of 2 topics have a name of the model's; 2 keep their keywords" in (
        capsys.readouterr().out
    )
    assert named("one", nobody) == found and len(opened) == 1
    named("another model", engine)
    named("one", engine, ASKED | {"trains": ["How slow?"]})
    assert len(opened) == 3


def test_each_topic_has_its_name_or_why_it_has_none(endpoint):
    def answer(body):
        if "trains" in question_of(body):
            return Raw(b"busy", 503)
        return completion("TOPIC: Farm animals")

    endpoint.answer = answer
    found = namer(endpoint).name(ASKED)
    assert found.names == {"hens, cows": "Farm animals"}
    assert found.faults == {"trains": "status 503"} and found.model == MODEL
    assert {body["temperature"] for body in endpoint.asked} == {0.0}
    endpoint.answer = lambda body: completion("I cannot.")
    found = namer(endpoint).name(ASKED)
    assert found.names == {} and found.faults["trains"] == "no `TOPIC:` in the reply"


def test_an_endpoint_that_hangs_costs_a_limited_time(endpoint, monkeypatch):
    monkeypatch.setattr(naming, "LIMIT_SECONDS", 0.2)
    endpoint.answer = lambda body: completion("TOPIC: late")
    monkeypatch.setattr(naming.HttpEngine, "check", lambda engine, sees: None)
    endpoint.seconds = 2.0
    found = namer(endpoint).name(ASKED)
    assert found.names == {}
    assert found.faults == dict.fromkeys(ASKED, "not within 0.2 s for all topics")


def test_a_key_that_a_reply_repeats_is_not_kept(endpoint, monkeypatch, tmp_path):
    monkeypatch.setenv("NAMES_API_KEY", "Qz7Wm3Xv9Rt")
    endpoint.answer = lambda body: completion("TOPIC: Bearer Qz7Wm3Xv9Rt")
    found = namer(endpoint, key_variable="NAMES_API_KEY").name(ASKED)
    assert found.names and "Qz7Wm3Xv9Rt" not in found.model_dump_json()


def test_no_more_are_asked_at_once_than_the_connection_allows(endpoint):
    endpoint.answer, endpoint.seconds = lambda body: completion("TOPIC: a"), 0.05
    many = {f"topic {number}": ["?"] for number in range(8)}
    assert len(namer(endpoint, concurrency=2).name(many).names) == 8
    assert endpoint.most_at_once <= 2


def test_an_endpoint_that_will_not_do_ends_nothing_and_is_told(endpoint, monkeypatch):
    endpoint.key = "right"
    monkeypatch.setenv("NAMES_API_KEY", "Qz7Wm3Xv9Rt")
    found = namer(endpoint, key_variable="NAMES_API_KEY").name(ASKED)
    assert found.names == {} and found.faults.keys() == ASKED.keys()
    told = "; ".join(found.faults.values())
    assert "refuses the key" in told and "Qz7Wm3Xv9Rt" not in told
    monkeypatch.delenv("NAMES_API_KEY")
    found = namer(endpoint, key_variable="NAMES_API_KEY").name(ASKED)
    assert "NAMES_API_KEY is not set" in found.faults["trains"]


def test_one_of_a_model_and_an_endpoint_is_named():
    endpoint = {"address": "http://localhost:1/v1", "model": "m"}
    for wrong, why in (
        ({}, "set `model` or `endpoint`"),
        ({"model": {"path": "./m"}, "endpoint": endpoint}, "set `model` or `endpoint`"),
        ({"endpoint": endpoint, "rollout": {"engine": "transformers"}}, "an endpoint needs none"),
    ):
        with pytest.raises(ValueError, match=why):
            TopicNamesRecipe.model_validate(wrong)
