"""Endpoints over real sockets: asked right, and every way in which they may go wrong."""

import base64
import gzip
import json
import threading
import time
from contextlib import suppress
from email.utils import formatdate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import InputError, RecipeError, SettingsError
from contracts.failures import is_final
from tests.endpoint import MODEL, Raw, completion, question_of
from training.endpoint.wire import (
    GarbledError,
    chat,
    data_url,
    is_same_model,
    read_models,
    read_reply,
)
from training.recipe.endpoint import ConnectionRecipe, EndpointRecipe
from training.rollout.http_engine import (
    MAX_FAILURES_IN_A_ROW,
    MAX_REFUSED,
    SHORT_QUESTION,
    HttpEngine,
)
from training.rollout.protocol import Prompt, Request, Sample, SamplingSettings

SETTINGS = SamplingSettings(16, temperature=0.7, top_p=0.9, samples_per_prompt=2)
QUICK = {"backoff_seconds": 0.001, "timeout_seconds": 60.0, "retries": 2, "concurrency": 4}


@pytest.fixture
def engine(endpoint):
    def new(model=MODEL, **connection):
        return HttpEngine(
            EndpointRecipe(address=endpoint.address, model=model),
            ConnectionRecipe(**QUICK | connection),
            system_prompt="Be brief.",
        )

    return new


def requests(number=6, settings=SETTINGS):
    return [Request(str(n), Prompt(f"{n} + 1?"), settings, "5", "rule") for n in range(number)]


def answered(engine, asked, seed=0):
    """The samples of each request, by its id."""
    finished = [one for some in engine.stream(iter([asked[:4], asked[4:]]), seed) for one in some]
    found = {request.id: samples for request, samples in finished}
    assert len(finished) == len(found) == len(asked)
    return found


def test_every_question_is_asked_as_often_as_is_wanted_and_gets_its_own_answers(endpoint, engine):
    endpoint.answer = lambda body: completion(f"so: {question_of(body)}")
    found = answered(engine(), requests())
    assert {n: [one.text for one in samples] for n, samples in found.items()} == {
        str(n): [f"so: {n} + 1?"] * 2 for n in range(6)
    }
    assert {(one.num_tokens, one.truncated, one.failure) for one in found["0"]} == {(4, False, "")}
    assert {one.num_prompt_tokens for one in found["0"]} == {None}  # this endpoint does not say
    body = endpoint.asked[0]
    assert (body["model"], body["max_tokens"]) == (MODEL, 16)
    assert (body["temperature"], body["top_p"]) == (0.7, 0.9)
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    seeds = [one["seed"] for one in endpoint.asked]
    assert len(set(seeds)) == 12  # each answer its own


def test_an_endpoint_that_says_how_long_a_prompt_was_is_believed(endpoint, engine):
    usage = {"completion_tokens": 1, "prompt_tokens": 17}
    endpoint.answer = lambda body: completion("1", usage=usage)
    found = answered(engine(), requests(1))
    assert [one.num_prompt_tokens for one in found["0"]] == [17, 17]


def test_seeds_belong_to_the_job_the_prompt_and_the_number_of_the_answer(endpoint, engine):
    def seeds(asked, seed):
        endpoint.asked.clear()
        answered(engine(), asked, seed)
        return {(question_of(one), one["seed"]) for one in endpoint.asked}

    whole = seeds(requests(), 0)
    assert seeds(requests()[::-1], 0) == whole
    assert not whole & seeds(requests(), 1)


def test_images_are_sent_whole_and_stand_where_the_question_has_them(images):
    first, second = images[:2]
    marked = chat(MODEL, None, "Is <image> larger than <image>?", [first, second])
    content = marked["messages"][0]["content"]
    assert [part["type"] for part in content] == [
        *("text", "image_url", "text", "image_url", "text")
    ]
    unmarked = chat(MODEL, None, "Which is larger?", [first, second])["messages"][0]["content"]
    assert [part["type"] for part in unmarked] == ["image_url", "image_url", "text"]
    url = content[1]["image_url"]["url"]
    assert url.startswith("data:image/png;base64,")
    assert base64.b64decode(url.partition(",")[2]) == first["bytes"]
    assert data_url({"bytes": b"\xff\xd8..", "path": None}).startswith("data:image/jpeg;")


@pytest.mark.parametrize("concurrency", [1, 3])
def test_no_more_questions_are_asked_at_once_than_the_recipe_says(endpoint, engine, concurrency):
    together = threading.Barrier(concurrency, timeout=60)
    endpoint.answer = lambda _: (together.wait(), completion("1"))[1]
    answered(engine(concurrency=concurrency), requests(6))
    assert endpoint.most_at_once == concurrency


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_fails_for_a_while_is_tried_again(endpoint, engine, status):
    left = [Raw(b"busy", status), Raw(b"busy", status)]
    endpoint.answer = lambda body: left.pop() if left else completion("1")
    found = answered(engine(concurrency=1), requests(2))
    assert {one.text for samples in found.values() for one in samples} == {"1"}
    assert len(endpoint.asked) == 4 + 2


@pytest.mark.parametrize("is_date", [False, True])
def test_an_endpoint_that_asks_for_patience_gets_it(endpoint, engine, is_date):
    """A date has whole seconds: of two, at least one is left when it is read."""
    times = []

    def answer(body):
        times.append(time.monotonic())
        wait = formatdate(time.time() + 2, usegmt=True) if is_date else "1"
        return completion("1") if len(times) > 1 else Raw(b"", 429, {"Retry-After": wait})

    endpoint.answer = answer
    answered(engine(), requests(1, SamplingSettings(16)))
    assert times[1] - times[0] > 0.9


@pytest.mark.parametrize(
    "garbage",
    [
        "1 Jan 99999999999999999999 00:00:00 GMT",
        "1 Jan 2030 00:00:00 +999999999999999999999",
        "1 Jan 2030 99999999999999999999:00:00 GMT",
        "-1",
        "soon",
    ],
)
def test_a_retry_after_that_says_nothing_is_none(endpoint, engine, garbage):
    left = [Raw(b"busy", 503, {"Retry-After": garbage})]
    endpoint.answer = lambda body: left.pop() if left else completion("1")
    ((sample,),) = answered(engine(), requests(1, SamplingSettings(16))).values()
    assert (sample.text, sample.failure) == ("1", "")


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (Raw(b"x" * 20_000), "reply of more than 10000 bytes"),
        (completion("word " * 4000), "reply of more than 10000 bytes"),
        (Raw(b"<html>", 200), "garbled reply: the reply: Invalid JSON"),
        (Raw(b"\xff\xfe\x00", 200), "garbled reply"),
        (Raw(b"[" * 9_000), "garbled reply"),
        (completion("1", choices=[]), "garbled reply: choices"),
        (completion("1", usage=None), "garbled reply: usage"),
        (completion("1", usage={"completion_tokens": -1}), "garbled reply: usage"),
        (
            completion("1", usage={"completion_tokens": 1, "prompt_tokens": 2**40}),
            "garbled reply: usage",
        ),
        (Raw(gzip.compress(b"{}"), 200, {"Content-Encoding": "gzip"}), "garbled reply: packed"),
        (Raw(b"the prompt is too long", 400), "status 400: the prompt is too long"),
        (Raw(b"", 429), "status 429"),
        (Raw(b"", 502), "status 502"),
    ],
)
def test_a_question_without_an_answer_says_why_and_the_others_go_on(endpoint, engine, reply, why):
    endpoint.answer = lambda body: reply if question_of(body).startswith("3") else completion("1")
    found = answered(engine(max_answer_bytes=10_000), requests())
    failed = {n for n, samples in found.items() if any(one.failure for one in samples)}
    assert failed == {"3"}
    assert all(why in one.failure and one.text == "" for one in found["3"])


def test_a_slow_endpoint_is_a_time_out(endpoint, engine):
    endpoint.seconds = 0.3
    found = answered(engine(timeout_seconds=0.05, retries=0), requests(1))
    assert [one.failure for one in found["0"]] == ["time-out"] * 2


def test_an_endpoint_that_hangs_is_heard_of_before_the_run_and_soon(endpoint, engine, monkeypatch):
    """An answer may take long; a list of models may not."""
    endpoint.seconds = 0.3
    monkeypatch.setattr("training.endpoint.client.LIST_SECONDS", 0.05)
    with pytest.raises(InputError, match="does not say which models it has: time-out"):
        engine(timeout_seconds=600.0, retries=1).check(sees=False)


def test_an_answer_that_only_drips_is_a_time_out(endpoint, engine):
    """Each byte comes soon; all of them never do."""
    endpoint.answer = lambda body: Raw(b"{", 200, {"Content-Length": "1000"})
    (sample,) = answered(engine(timeout_seconds=0.1, retries=0), requests(1, SamplingSettings(16)))[
        "0"
    ]
    assert sample.failure == "time-out"


def test_an_endpoint_that_answers_nothing_ends_the_job(endpoint, engine):
    endpoint.answer = lambda body: Raw(b"", 503)
    with pytest.raises(InputError, match=r"questions in a row without an answer.*status 503"):
        answered(engine(retries=0), requests(40))
    assert len(endpoint.asked) <= MAX_FAILURES_IN_A_ROW + QUICK["concurrency"]


@pytest.mark.parametrize("number", [1, 3, 60])
def test_an_endpoint_that_refuses_every_question_ends_the_job(number, endpoint, engine):
    """As one that takes no `max_tokens`: nothing of it may count as an answer."""
    endpoint.answer = lambda body: Raw(b"unsupported parameter: max_tokens", 400)
    handed_on = []
    with pytest.raises(InputError, match="a short one too: status 400: unsupported") as refused:
        asked = requests(number, SamplingSettings(4000))
        handed_on += [one for some in engine().stream(iter([asked]), 0) for one in some]
    assert handed_on == []
    assert len(endpoint.asked) <= MAX_REFUSED + 2 * QUICK["concurrency"]
    assert "4000 tokens" in refused.value.rule


def test_settings_that_are_refused_end_the_job_though_others_are_taken(endpoint, engine):
    endpoint.answer = lambda body: (
        Raw(b"no temperature", 400) if body["temperature"] else completion("1")
    )
    taken, refused = requests(2, SamplingSettings(16, temperature=0.0)), requests(2)
    with pytest.raises(InputError, match="no temperature"):
        list(engine(concurrency=1).stream(iter([[refused[0], *taken, refused[1]]]), 0))


def test_many_questions_that_are_too_long_are_each_refused_for_good(endpoint, engine):
    """They come first, since the longest do."""

    def answer(body):
        question = question_of(body)
        is_long = question != SHORT_QUESTION and int(question.split()[0]) < 2 * MAX_REFUSED
        return Raw(b"too long", 400) if is_long else completion("1")

    endpoint.answer = answer
    found = answered(engine(), requests(2 * MAX_REFUSED + 3, SamplingSettings(16)))
    failed = {int(n) for n, (sample,) in found.items() if sample.failure}
    assert failed == set(range(2 * MAX_REFUSED))
    assert all(is_final(sample.failure) for n in failed for sample in found[str(n)])


@pytest.mark.parametrize("num_refused", [1, MAX_REFUSED + 1])
def test_a_refusal_is_not_final_while_a_short_question_has_no_answer(num_refused, endpoint, engine):
    """Nobody knows whether it was the question's own affair, and a 503 refuses nothing."""

    def answer(body):
        question = question_of(body)
        if question == SHORT_QUESTION:
            return Raw(b"busy", 503)
        return completion("1") if int(question.split()[0]) < 3 else Raw(b"too long", 400)

    endpoint.answer = answer
    asked = requests(3 + num_refused, SamplingSettings(16))
    found = answered(engine(concurrency=1), asked)
    failures = {int(n): sample.failure for n, (sample,) in found.items() if sample.failure}
    assert failures.keys() == set(range(3, 3 + num_refused))
    for failure in failures.values():
        assert "status 503" in failure and "status 400: too long" in failure
        assert not is_final(failure)


def test_a_limit_of_so_much_a_minute_is_waited_out(endpoint):
    """By default, at a hundredth of the time: without a word of how long, 0.6 s of refusals."""
    times = []

    def answer(body):
        times.append(time.monotonic())
        return Raw(b"", 429) if times[-1] - times[0] < 0.6 else completion("1")

    endpoint.answer = answer
    hurried = ConnectionRecipe(backoff_seconds=ConnectionRecipe().backoff_seconds / 100)
    place = EndpointRecipe(address=endpoint.address, model=MODEL)
    limited = HttpEngine(place, hurried, system_prompt=None)
    ((sample,),) = answered(limited, requests(1, SamplingSettings(16))).values()
    assert sample.text == "1"


@pytest.mark.parametrize("name", ["other", "tiny-chat", ""])
def test_another_model_that_answers_ends_the_job(endpoint, engine, name):
    endpoint.answer = lambda body: completion("1", model=name)
    with pytest.raises(InputError, match="was asked for the model 'tiny'"):
        answered(engine(), requests())


@pytest.mark.parametrize("status", [401, 403, 404, 302])
def test_what_every_question_would_meet_ends_the_job(endpoint, engine, status):
    endpoint.answer = lambda body: Raw(b"no", status, {"Location": "http://127.0.0.1:1/"})
    with pytest.raises(InputError) as refused:
        answered(engine(), requests())
    assert endpoint.address in refused.value.what and str(status) in refused.value.what


def test_a_dated_name_of_the_same_model_is_no_other_model():
    assert is_same_model("tiny", "tiny") and is_same_model("tiny", "tiny-2026-11-28")
    for date in ("20261128", "261128", "1128", "2611"):
        assert is_same_model("tiny", f"tiny-{date}")
    others = ("tiny-chat", "tiny2", "my-tiny", "", "tiny-", "tiny-2026-11-28-chat")
    # Sizes and versions are no dates, nor is what only looks like one.
    others += ("tiny-1024", "tiny-7212")
    others += ("tiny-4", "tiny-72", "tiny-3-70", "tiny-1.5", "tiny-128", "tiny-2026-13-01")
    others += ("tiny-4096", "tiny-20261340", "tiny-1-1", "tiny-2026-11-28-1", "tiny-١١٢٨")
    for other in others:
        assert not is_same_model("tiny", other), other


def test_before_anything_is_asked(endpoint, engine):
    engine().check(sees=False)
    engine().check(sees=True)
    assert endpoint.asked[-1]["max_tokens"] == 1
    with pytest.raises(InputError, match="does not have the model 'larger'; it lists tiny"):
        engine("larger").check(sees=False)
    endpoint.answer = lambda body: Raw(b"tiny is blind", 400)
    with pytest.raises(InputError, match="with an image: status 400: tiny is blind"):
        engine().check(sees=True)


def test_an_endpoint_that_is_down(free_port):
    nowhere = EndpointRecipe(address=f"http://127.0.0.1:{free_port}/v1", model=MODEL)
    engine = HttpEngine(nowhere, ConnectionRecipe(**QUICK), system_prompt=None)
    with pytest.raises(InputError, match=r"no connection \(ConnectError\)"):
        engine.check(sees=False)


def test_a_key_comes_from_the_variable_that_the_recipe_names(endpoint, engine, monkeypatch):
    endpoint.key = "correct-horse-battery"
    with pytest.raises(InputError, match="refuses the key"):
        engine().check(sees=False)
    monkeypatch.delenv("TINY_API_KEY", raising=False)
    with pytest.raises(SettingsError, match="TINY_API_KEY is not set"):
        engine(key_variable="TINY_API_KEY").check(sees=False)
    monkeypatch.setenv("TINY_API_KEY", endpoint.key)
    engine(key_variable="TINY_API_KEY").check(sees=False)
    # Whatever an endpoint says of the key is shown to nobody.
    refusal = Raw(f"{endpoint.key} is too long".encode(), 400)
    endpoint.answer = lambda body: refusal if question_of(body)[0] == "0" else completion("1")
    found = answered(engine(key_variable="TINY_API_KEY"), requests(2))
    assert "too long" in found["0"][0].failure and endpoint.key not in found["0"][0].failure


@pytest.mark.parametrize("key", ["ключ", "two\nlines", "bell\a"])
def test_a_key_that_cannot_be_sent_is_refused_by_its_variable(engine, monkeypatch, key):
    monkeypatch.setenv("TINY_API_KEY", key)
    with pytest.raises(SettingsError, match="TINY_API_KEY holds what cannot be sent") as refused:
        engine(key_variable="TINY_API_KEY").check(sees=False)
    assert key not in str(refused.value)


def test_what_was_answered_is_handed_on_before_an_error_ends_the_job(engine, monkeypatch):
    """Both end in one turn of the loop, which no server can be made to do."""

    async def answer(_, __, request, ___):
        if request.id == "0":
            raise InputError("gone", where="there", rule="it stays", fix="start it")
        return (request, [Sample("1", 1, truncated=False)]), False

    monkeypatch.setattr(HttpEngine, "_answer", answer)
    handed_on = []
    with pytest.raises(InputError, match="gone"):
        for some in engine().stream(iter([requests(3)]), 0):
            handed_on += some
    assert [request.id for request, _ in handed_on] == ["1", "2"]


def test_what_an_endpoint_cannot_be_told_is_refused(engine):
    with pytest.raises(RecipeError, match="cannot be told"):
        answered(engine(), requests(1, SamplingSettings(16, stop=("\n",))))


INNER = st.none() | st.booleans() | st.floats() | st.text(max_size=5)
FIELDS = st.sampled_from(["model", "choices", "message", "content", "usage", "data", "id"])
REPLIES = st.recursive(
    INNER,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner),
    max_leaves=8,
)


@settings(max_examples=40)
@given(st.binary(max_size=300) | REPLIES.map(lambda value: json.dumps(value).encode()))
def test_whatever_comes_back_is_an_answer_or_garbled(data):
    for read in (read_reply, read_models):
        with suppress(GarbledError):
            read(data)
