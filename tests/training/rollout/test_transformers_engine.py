import threading

import pytest
import torch

from contracts.errors import DataError
from training.model import encoding
from training.model.encoding import TokenSequence, collate, encode_prompt
from training.model.forward import ForwardPass, ForwardSettings, hidden_states
from training.model.policy import Policy
from training.rollout import transformers_engine
from training.rollout.protocol import Prompt, Request, SamplingSettings
from training.rollout.transformers_engine import TransformersEngine

TEXTS = ["2+3?", "What is the sum of 17 and 25, please?", "7*6", "Count: a b c d", "x"]


@pytest.fixture(params=["text", "images", "mixed"])
def prompts(request, images):
    if request.param == "text":
        return [Prompt(text) for text in TEXTS]
    if request.param == "images":
        return [Prompt(text, [image]) for text, image in zip(TEXTS, images, strict=True)]
    return [
        Prompt("Two images.", images[:2]),
        Prompt("No image at all, and a longer question."),
        Prompt("One.", images[3:4]),
    ]


def forward_log_probs(policy: Policy, prompt: Prompt, response, temperature, top_p=1.0):
    """Log-probabilities of a response by one plain forward pass of prompt and response."""
    sequence = TokenSequence(encode_prompt(policy, prompt), response.token_ids)
    with torch.no_grad():
        logits = policy.model.lm_head(hidden_states(policy, collate(policy, [sequence]))[0])
    start = len(sequence.prompt.token_ids) - 1
    logits = logits[start:-1].float()
    logits[:, policy.forbidden_token_ids] = -torch.inf
    probs = torch.softmax(logits.double() / temperature, dim=-1)
    decided = torch.ones(len(probs), dtype=torch.bool)
    for t, row in enumerate(probs):
        ordered, tokens = row.sort(descending=True)
        cumulative = ordered.cumsum(0)
        if top_p < 1.0:
            row[tokens[int((cumulative < top_p).sum()) + 1 :]] = 0.0
            # Where the mass is top_p up to rounding, either nucleus is right.
            decided[t] = bool(((cumulative - top_p).abs() > 1e-5).all())
    probs = probs / probs.sum(dim=-1, keepdim=True)
    return probs.log().gather(1, response.token_ids[:, None]).squeeze(1).float(), decided


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.7, 1.0), (1.0, 0.8)])
def test_log_probs_are_those_of_a_plain_forward(tiny_policy, prompts, temperature, top_p):
    settings = SamplingSettings(24, temperature, top_p, samples_per_prompt=3)
    responses = TransformersEngine(tiny_policy).generate(
        prompts, settings, torch.Generator().manual_seed(1)
    )
    assert [r.prompt_index for r in responses] == [i for i in range(len(prompts)) for _ in range(3)]
    all_decided = []
    for response in responses:
        expected, decided = forward_log_probs(
            tiny_policy, prompts[response.prompt_index], response, temperature, top_p
        )
        all_decided += decided.tolist()
        torch.testing.assert_close(
            response.log_probs[decided], expected[decided], atol=1e-4, rtol=0
        )
    assert sum(all_decided) > 0.9 * len(all_decided)


def test_truncated_log_probs_are_those_that_the_trainer_renormalises(tiny_policy, prompts):
    settings = SamplingSettings(24, 2.0, 0.9, samples_per_prompt=3, top_k=30, min_p=0.1)
    responses = TransformersEngine(tiny_policy).generate(
        prompts, settings, torch.Generator().manual_seed(1)
    )
    sequences = [
        TokenSequence(encode_prompt(tiny_policy, prompts[r.prompt_index]), r.token_ids)
        for r in responses
    ]
    scored = ForwardSettings(2.0, settings.truncation, bans_placeholders=True)
    with torch.no_grad():
        computed = ForwardPass(tiny_policy)(sequences, scored)
    renormalised = (computed.log_probs - computed.nucleus_log_mass)[computed.mask]
    gaps = (renormalised - torch.cat([r.log_probs for r in responses])).abs()
    # Where a border is met up to rounding, either nucleus is right.
    assert (gaps < 1e-4).float().mean() > 0.98
    assert computed.nucleus_log_mass[computed.mask].min() < -0.5


def test_a_stop_string_ends_a_response_and_changes_nothing_before(tiny_policy, prompts):
    def sample(**changes):
        settings = SamplingSettings(24, 2.0, samples_per_prompt=6, **changes)
        generator = torch.Generator().manual_seed(1)
        return TransformersEngine(tiny_policy).generate(prompts, settings, generator)

    assert_stopped(tiny_policy, sample(stop=("a", "e")), sample(), ("a", "e"))


def assert_stopped(policy, stopped, free, stop):
    """Each response is the free one's, up to and with the first token that completes a string."""
    num_stopped = 0
    for short, long in zip(stopped, free, strict=True):
        length = len(short.token_ids)
        assert torch.equal(short.token_ids, long.token_ids[:length])
        torch.testing.assert_close(short.log_probs, long.log_probs[:length], atol=1e-4, rtol=0)
        if any(text in short.text for text in stop):
            num_stopped += 1
            assert not short.truncated
            before = policy.tokenizer.decode(short.token_ids[:-1], skip_special_tokens=True)
            assert not any(text in before for text in stop), "at the first one"
        else:
            assert length == len(long.token_ids) and short.truncated == long.truncated
    assert 0 < num_stopped < len(free)


def test_greedy_equals_generate(tiny_policy, prompts):
    engine = TransformersEngine(tiny_policy)
    responses = engine.generate(prompts, SamplingSettings(20, temperature=0.0), torch.Generator())
    for response, prompt in zip(responses, prompts, strict=True):
        batch = collate(
            tiny_policy,
            [TokenSequence(encode_prompt(tiny_policy, prompt), torch.zeros(1, dtype=torch.long))],
        )
        prompt_ids = batch.token_ids[:, :-1]
        expected = tiny_policy.model.generate(
            input_ids=prompt_ids,
            attention_mask=torch.ones_like(prompt_ids),
            mm_token_type_ids=(prompt_ids == tiny_policy.processor.image_token_id).int(),
            **(batch.images.pixels if batch.images else {}),
            max_new_tokens=20,
            do_sample=False,
            suppress_tokens=tiny_policy.forbidden_token_ids.tolist(),
        )
        assert response.token_ids.tolist() == expected[0, prompt_ids.shape[1] :].tolist()


def test_same_seed_same_samples(tiny_policy, prompts):
    engine = TransformersEngine(tiny_policy)
    settings = SamplingSettings(16, top_p=0.95, samples_per_prompt=2)

    def sample(seed):
        responses = engine.generate(prompts, settings, torch.Generator().manual_seed(seed))
        return [response.token_ids.tolist() for response in responses]

    assert sample(3) == sample(3)
    assert sample(3) != sample(4)


def test_placeholders_are_never_sampled(tiny_policy):
    forbidden = tiny_policy.forbidden_token_ids
    head = tiny_policy.model.lm_head
    # A bias that makes the forbidden tokens all but certain.
    head.bias = torch.nn.Parameter(torch.zeros(head.weight.shape[0]))
    head.bias.data[forbidden] = 50.0
    responses = TransformersEngine(tiny_policy).generate(
        [Prompt("7*6")], SamplingSettings(32, samples_per_prompt=4), torch.Generator()
    )
    sampled = torch.cat([response.token_ids for response in responses])
    assert not torch.isin(sampled, forbidden).any()
    assert tiny_policy.model.config.image_token_id in forbidden
    assert tiny_policy.model.config.video_token_id in forbidden


def test_a_response_ends_at_its_end_token_or_is_truncated(tiny_policy):
    responses = TransformersEngine(tiny_policy).generate(
        [Prompt(text) for text in TEXTS],
        SamplingSettings(40, temperature=3.0, samples_per_prompt=16),
        torch.Generator().manual_seed(0),
    )
    ends = set(tiny_policy.end_token_ids.tolist())
    assert any(not response.truncated for response in responses)
    assert any(response.truncated for response in responses)
    for response in responses:
        *body, last = response.token_ids.tolist()
        assert not ends & set(body)
        assert (last in ends) == (not response.truncated)
        assert len(response.token_ids) == 40 or not response.truncated
        assert len(response.log_probs) == len(response.token_ids)


def test_small_batches_give_whole_groups_in_order(tiny_policy, prompts):
    # Room for less than one group: each prompt becomes a batch of its own.
    engine = TransformersEngine(tiny_policy, cache_bytes=1)
    settings = SamplingSettings(12, temperature=0.0, samples_per_prompt=2)
    one_by_one = engine.generate(prompts, settings, torch.Generator())
    together = TransformersEngine(tiny_policy).generate(prompts, settings, torch.Generator())
    assert [r.token_ids.tolist() for r in one_by_one] == [r.token_ids.tolist() for r in together]
    assert [r.prompt_index for r in one_by_one] == [r.prompt_index for r in together]


def test_images_are_read_in_a_thread_of_their_own_and_change_no_byte(
    tiny_policy, images, monkeypatch
):
    readers, decode = [], encoding.decode_image

    def noting(image):
        readers.append(threading.current_thread().name.partition("_")[0])
        return decode(image)

    # Three batches of a prompt each; stop strings have texts decoded meanwhile.
    prompts = [Prompt(f"Image {i}?", [image]) for i, image in enumerate(images[:3])]
    settings = SamplingSettings(12, samples_per_prompt=2, stop=("never said",))

    def sample(*, remembers=False):
        for prompt in prompts:
            encode_prompt(tiny_policy, prompt)  # which reads them to count their tokens
        if not remembers:
            tiny_policy.memory.pixels.clear()
        readers.clear()
        engine = TransformersEngine(tiny_policy, cache_bytes=1)
        responses = engine.generate(prompts, settings, torch.Generator().manual_seed(0))
        return [(r.token_ids.tolist(), r.log_probs.tolist()) for r in responses]

    monkeypatch.setattr(encoding, "decode_image", noting)
    ahead = sample()
    assert readers == ["ahead"] * 3
    monkeypatch.setattr(transformers_engine, "ahead", map)
    assert sample() == ahead
    assert readers == ["MainThread"] * 3
    assert sample(remembers=True) == ahead
    assert readers == []


def test_a_prompt_without_room_is_refused_or_counted(tiny_policy, images):
    """The model has 64 positions: the images' tokens count, and others of the lot are answered."""
    tiny_policy.model.config.get_text_config().max_position_embeddings = 64
    engine, settings = TransformersEngine(tiny_policy), SamplingSettings(8, samples_per_prompt=2)
    prompts = [Prompt("2+3?"), Prompt("How many?", images * 4), Prompt("7*6")]
    short, long, _ = (len(encode_prompt(tiny_policy, prompt).token_ids) for prompt in prompts)
    assert short + 8 <= 64 < long
    with pytest.raises(DataError, match=f"{long} tokens leave no room for a response of 8 in 64"):
        engine.generate(prompts, settings, torch.Generator())
    lot = [Request(str(n), prompt, settings, "", "b") for n, prompt in enumerate(prompts)]
    (finished,) = engine.stream(iter([lot]), 0)
    failures = {request.id: {sample.failure for sample in samples} for request, samples in finished}
    assert failures["0"] == failures["2"] == {""}
    (told,) = failures["1"]
    assert told.startswith(f"prompt too long: {long} tokens leave no room")
    assert {len(samples) for _, samples in finished} == {2}
    # Those that are answered have the draws that they have without it.
    (alone,) = engine.stream(iter([[lot[0], lot[2]]]), 0)
    assert {r.id: s for r, s in finished if r.id != "1"} == {r.id: s for r, s in alone}
    (none,) = engine.stream(iter([[lot[1]]]), 0)
    assert [request.id for request, _ in none] == ["1"]
