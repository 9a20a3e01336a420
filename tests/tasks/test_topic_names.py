"""Names of topics in the store: asked for once, and told where there are none."""

import shutil
from pathlib import Path

import pytest

from contracts.provenance import Provenance
from infra.store import Store
from tasks.topic_names import FILE, _key, kept_names, make_names
from tests.endpoint import MODEL, Raw, completion, question_of
from training.recipe.curation import TopicNamesRecipe

ASKED = {"hens": ["How many legs?"], "trains": ["How fast?"]}


@pytest.fixture
def naming(endpoint):
    values = {"retries": 0, "backoff_seconds": 0.01}
    return TopicNamesRecipe(address=endpoint.address, model=MODEL, connection=values)


@pytest.fixture
def kept(tmp_path):
    """A store with a curation in it."""
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "rl.parquet").write_text("rows")
    store = Store(str(tmp_path / "store"), tmp_path / "cache")
    return store, store.publish(tmp_path / "made", "dataset", Provenance())


def test_a_name_is_asked_for_once_and_what_failed_again(kept, naming, endpoint, tmp_path):
    store, curated = kept
    recipe = {"curation": {"topics": {"names": naming.model_dump(mode="json")}}}
    for nobody in ({}, {"curation": []}, {"curation": {"topics": {"names": None}}}):
        assert kept_names(store, curated, nobody) is None
    assert kept_names(store, curated, recipe).names == {}  # asked for, and not there

    def first(body):
        is_train = "trains" in question_of(body)
        return Raw(b"", 503) if is_train else completion("TOPIC: Farm")

    endpoint.answer, warned = first, []
    found = make_names(store, curated, naming, ASKED, 0, warned.append)
    assert found.names == {"hens": "Farm"}
    assert warned == [f"{MODEL} gave 1 topics no name: status 503"]
    assert kept_names(store, curated, recipe) == found

    endpoint.answer = lambda body: completion("TOPIC: Motion")
    endpoint.asked.clear()
    found = make_names(store, curated, naming, ASKED, 0, warned.append)
    assert found.names == {"hens": "Farm", "trains": "Motion"} and found.faults == {}
    assert len(endpoint.asked) == 1
    assert make_names(store, curated, naming, ASKED, 0, warned.append) == found
    assert len(endpoint.asked) == 1 and len(warned) == 1

    # A damaged record ends no run: the names are asked for again.
    newest = next(store.history(_key(curated, naming)))
    path = Path(newest.uri.removeprefix("file://")) / "files" / FILE
    path.write_bytes(b" " * path.stat().st_size)  # another size would be passed over
    shutil.rmtree(tmp_path / "cache")
    assert kept_names(store, curated, recipe).names == {}
    assert make_names(store, curated, naming, ASKED, 0, warned.append).names == dict.fromkeys(
        ASKED, "Motion"
    )


def test_an_endpoint_that_is_gone_ends_nothing_and_is_told(kept, naming, endpoint):
    endpoint.answer = lambda body: Raw(b"", 404)
    warned = []
    found = make_names(*kept, naming, ASKED, 0, warned.append)
    assert found.names == {} and found.faults.keys() == ASKED.keys()
    assert "has nothing at this address" in warned[0]
