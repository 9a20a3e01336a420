"""What is remembered of prompts: the newest, within a size; each read once."""

import threading

import torch
from hypothesis import given
from hypothesis import strategies as st

from training.model import encoding
from training.model.encoding import encode_prompt, image_inputs
from training.model.memory import Newest
from training.rollout.protocol import Prompt

CAPACITY = 10


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 12))))
def test_the_newest_are_kept_within_the_capacity(asked):
    """Against a list, the oldest first; in a loop without steps."""
    newest, kept = Newest[int](CAPACITY), list[tuple[int, int]]()
    for puts, key, size in asked:
        known = [one for one in kept if one[0] == key]
        if not puts:
            assert newest.get((key,)) == (known[0][1] if known else None)
            kept = [one for one in kept if one[0] != key] + known
            continue
        newest.keep((key,), size, size)
        kept = [one for one in kept if one[0] != key]
        if size <= CAPACITY:
            kept.append((key, size))
            while sum(one[1] for one in kept) > CAPACITY:
                kept.pop(0)
    assert [newest.get((key,)) for key in range(6)] == [dict(kept).get(key) for key in range(6)]


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(1, CAPACITY))),
    st.lists(st.integers(0, 5)),
    st.lists(st.tuples(st.integers(6, 12), st.integers(1, CAPACITY))),
)
def test_what_a_step_has_asked_for_makes_no_room(before, wanted, more):
    """What it finds it keeps, and what it adds: only what was there before gives way."""
    newest = Newest[int](CAPACITY)
    newest.begin_step()
    for key, size in before:
        newest.keep((key,), size, size)
    newest.begin_step()
    found = {key: size for key in wanted if (size := newest.get((key,))) is not None}
    for key, size in more:
        if newest.get((key,)) is None:
            newest.keep((key,), size, size)
            # Refused only where it and what the step has would be too much.
            is_kept = newest.get((key,)) is not None
            assert is_kept == (sum(found.values()) + size <= CAPACITY)
            found |= {key: size} if is_kept else {}
    assert {key: newest.get((key,)) for key in found} == found


def test_what_is_remembered_waits_for_nobody_who_reads(tiny_policy, images):
    prompt, found = Prompt("What is seen?", images[:1]), []
    encode_prompt(tiny_policy, prompt)

    def ask():
        encoded = encode_prompt(tiny_policy, prompt)
        found.append(image_inputs(tiny_policy, [encoded], len(encoded.token_ids)))

    thread = threading.Thread(target=ask)
    with tiny_policy.memory.turn:
        thread.start()
        thread.join(30)
        assert found
    thread.join()


def test_two_threads_that_want_a_prompt_read_its_image_once(tiny_policy, images, monkeypatch):
    """The first one is held up while it decodes; what the second one gets is what it has read."""
    decode, decoded = encoding.decode_image, []
    is_reading, goes_on = threading.Event(), threading.Event()

    def held_up(image):
        decoded.append(image["bytes"])
        is_reading.set()
        assert goes_on.wait(60)
        return decode(image)

    monkeypatch.setattr(encoding, "decode_image", held_up)
    prompt, found = Prompt("What is it?", images[:1]), []
    threads = [
        threading.Thread(target=lambda: found.append(encode_prompt(tiny_policy, prompt)))
        for _ in range(2)
    ]
    threads[0].start()
    assert is_reading.wait(60)
    threads[1].start()
    goes_on.set()
    for thread in threads:
        thread.join(60)
    assert len(found) == 2 and found[0].token_ids is found[1].token_ids
    # A question of its own with the same picture has other tokens; the learner's pixels are there.
    shown = image_inputs(tiny_policy, [found[0]], len(found[0].token_ids))
    assert decoded == [images[0]["bytes"]] and shown is not None


def test_what_is_forgotten_is_read_again_to_the_same_bytes(tiny_policy, images):
    prompts = [encode_prompt(tiny_policy, Prompt("What?", images[i : i + 2])) for i in (0, 2)]
    remembered = image_inputs(tiny_policy, prompts, 100)
    tiny_policy.memory.pixels.clear()
    again = image_inputs(tiny_policy, prompts, 100)
    assert remembered is not None and again is not None
    assert remembered.pixels.keys() == again.pixels.keys()
    assert all(torch.equal(remembered.pixels[name], again.pixels[name]) for name in again.pixels)
