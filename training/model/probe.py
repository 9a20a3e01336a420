"""The start-up probe: do our paths compute what the stock processor and forward pass compute?

Models of one family share names and shapes with another only as long as nobody changes them. So
each stage asks, before it samples or learns, on three prompts (a text, an image, two images) with
two responses each: are the prompt's tokens those of the stock processor, are positions and
log-probabilities those of the stock forward pass, one sequence at a time? An engine's responses
and log-probabilities are its own; without an engine the responses are made up.
"""

import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from contracts.errors import ModelError, RevisualError
from training.images import decode_image
from training.model import attention, family
from training.model.encoding import (
    TokenSequence,
    conversation,
    encode_prompt,
    encode_response,
    messages,
)
from training.model.forward import ForwardPass, ForwardSettings
from training.model.policy import Policy
from training.records import EncodedImage
from training.rollout.protocol import Prompt, RolloutEngine, SamplingSettings
from training.runtime.failures import is_lost_rank, is_out_of_memory

# What rounding may do to log-probabilities, nats: in float32 to any token, in bfloat16 to the
# median token of a prompt. There a rounded number may choose another expert, which moves single
# tokens by a nat; a fault of the kind that the probe is for moves them all.
BOUNDS_NATS = {torch.float32: 1e-3, torch.bfloat16: 0.1}
_NUM_SAMPLES = 2
_RESPONSE_TOKENS = 8
_IMAGE_SIZES = ((84, 56), (56, 112), (70, 70))
# What a stock forward pass of an unknown family may raise.
_FAULTS = (
    *(RuntimeError, ValueError, TypeError, AttributeError, LookupError, StopIteration),
    *(ArithmeticError, AssertionError, ImportError),
)


@dataclass(frozen=True)
class Figures:
    """What the probe found, in nats from the stock forward pass; `BOUNDS_NATS` says of which token.

    Attributes:
        bound_nats: What is allowed.
        learner_nats: Of the learner's log-probabilities, on the prompt where they differ most.
        sampler_nats: Of the sampler's; None without an engine.
        num_tokens: Response tokens compared.
        num_images: Images that the prompts held.
    """

    bound_nats: float
    learner_nats: float
    sampler_nats: float | None
    num_tokens: int
    num_images: int

    def __str__(self) -> str:
        sampler = "" if self.sampler_nats is None else f", sampler {self.sampler_nats:.1e}"
        return (
            f"learner {self.learner_nats:.1e}{sampler} nats from the stock forward pass over "
            f"{self.num_tokens} tokens and {self.num_images} images (bound {self.bound_nats:.0e})"
        )


def probe(policy: Policy, engine: RolloutEngine | None = None) -> Figures:
    """Compares, and refuses a model that our code would train or sample wrongly.

    Args:
        policy: As loaded; neither wrapped by a learner nor with adapters.
        engine: The sampler that a stage opened for the policy.

    Returns:
        The figures, all within the bound.

    Raises:
        ModelError: Tokens or positions differ, or log-probabilities by more than `BOUNDS_NATS`.
    """
    model = policy.model
    was_training = model.training
    model.eval()
    try:
        with _faults_refused(policy):
            figures = _compare(policy, engine)
    finally:
        model.train(was_training)
    gaps = (figures.learner_nats, figures.sampler_nats or 0.0)
    if not all(gap <= figures.bound_nats for gap in gaps):  # NaN is no small gap
        raise _refusal(policy, f"{figures}")
    return figures


def probe_sampler(policy: Policy, engine: RolloutEngine) -> str:
    """As `probe`, of an engine that has the only weights: of tokens, not of log-probabilities.

    Args:
        policy: Without weights.
        engine: It compares its own tokens with the policy's when it generates.

    Returns:
        What was found.

    Raises:
        ModelError: A prompt's tokens are not the stock processor's, or a log-probability is no
            finite number.
    """
    with _faults_refused(policy):
        prompts = list(_prompts(policy, engine))
        for prompt in prompts:
            ours = encode_prompt(policy, prompt).token_ids
            _expect_equal(policy, "tokens", ours, _stock_inputs(policy, prompt)["input_ids"][0])
        _, responses, log_probs = _responses(policy, engine, prompts)
    if not all(one.isfinite().all() for one in log_probs or ()):
        raise _refusal(policy, "the sampler's log-probabilities are not finite")
    num_tokens = sum(map(len, responses))
    return f"the stock processor's tokens; {num_tokens} sampled, compared with no other weights"


@contextmanager
def _faults_refused(policy: Policy) -> Iterator[None]:
    """Refuses a model that cannot be computed; a machine that fails says nothing of it."""
    try:
        yield
    except RevisualError:
        raise
    except _FAULTS as error:
        if is_out_of_memory(error) or is_lost_rank(error):
            raise
        raise _refusal(policy, f"{type(error).__name__}: {error}") from error


@torch.no_grad()
def _compare(policy: Policy, engine: RolloutEngine | None) -> Figures:
    prompts = list(_prompts(policy, engine))
    rows, responses, sampled = _responses(policy, engine, prompts)
    encoded = [encode_prompt(policy, prompt) for prompt in prompts]
    sequences = [TokenSequence(encoded[row], ids) for row, ids in zip(rows, responses, strict=True)]
    with _positions(policy) as packed_positions:
        computed = ForwardPass(policy)(sequences, ForwardSettings(bans_placeholders=True))
    learner_gaps: list[list[torch.Tensor]] = [[] for _ in prompts]
    sampler_gaps: list[list[torch.Tensor]] = [[] for _ in prompts]
    for i, sequence in enumerate(sequences):
        inputs = _stock_inputs(policy, prompts[rows[i]])
        _expect_equal(policy, "tokens", sequence.prompt.token_ids, inputs["input_ids"][0])
        with _positions(policy) as stock_positions:
            expected = _stock_log_probs(policy, inputs, sequence.response_ids)
        for packed, stock in zip(packed_positions, stock_positions, strict=True):
            row = packed[..., i if packed.shape[-2] > 1 else 0, : sequence.num_tokens]
            _expect_equal(policy, "positions", row, stock[..., 0, :].expand_as(row))
        learner_gaps[rows[i]].append((computed.log_probs[i][computed.mask[i]] - expected).abs())
        if sampled is not None:
            sampler_gaps[rows[i]].append((sampled[i].to(expected.device) - expected).abs())
    return Figures(
        bound_nats=BOUNDS_NATS[policy.model.dtype],
        learner_nats=_largest(learner_gaps, policy.model.dtype),
        sampler_nats=None if sampled is None else _largest(sampler_gaps, policy.model.dtype),
        num_tokens=sum(len(gaps) for prompt in learner_gaps for gaps in prompt),
        num_images=sum(len(prompt.images) for prompt in prompts),
    )


def _largest(gaps: Sequence[Sequence[torch.Tensor]], dtype: torch.dtype) -> float:
    """The largest over prompts of what `BOUNDS_NATS` bounds; NaN is larger than all numbers."""
    prompts = [torch.cat(list(responses)) for responses in gaps]
    typical = [each.max() if dtype == torch.float32 else each.median() for each in prompts]
    return float(torch.stack(typical).max())


def _prompts(policy: Policy, engine: RolloutEngine | None) -> Iterator[Prompt]:
    """A text, an image and two images; those with images only if they fit the engine's length.

    Where the engine's layers attend to a window, the text is longer than that, if it may be.
    """
    longest = (engine.max_length_tokens if engine else 10**9) - _RESPONSE_TOKENS

    def fits(prompt: Prompt) -> bool:
        return len(encode_prompt(policy, prompt).token_ids) <= longest

    def text(num_terms: int) -> Prompt:
        return Prompt("+".join(str(i % 10) for i in range(num_terms)) + "?")

    window = family.sliding_window(policy.model) if engine is not None else None
    num_terms = 8
    while window and len(encode_prompt(policy, text(num_terms)).token_ids) <= window:
        if not fits(text(2 * num_terms)):
            break
        num_terms *= 2
    yield text(num_terms)
    images = [_image(*size, seed) for seed, size in enumerate(_IMAGE_SIZES)]
    yield from filter(fits, [Prompt("What is shown?", images[:1]), Prompt("And?", images[1:])])


def _image(width: int, height: int, seed: int) -> EncodedImage:
    """An image of noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return {"bytes": buffer.getvalue(), "path": None}


def _responses(
    policy: Policy, engine: RolloutEngine | None, prompts: Sequence[Prompt]
) -> tuple[list[int], list[torch.Tensor], list[torch.Tensor] | None]:
    """Two responses to each prompt: the prompt's row, tokens, and log-probabilities if sampled."""
    if engine is None:
        rows = [row for row in range(len(prompts)) for _ in range(_NUM_SAMPLES)]
        made_up = [encode_response(policy, "7*6, so 42."), encode_response(policy, "No")]
        return rows, made_up * len(prompts), None
    settings = SamplingSettings(_RESPONSE_TOKENS, samples_per_prompt=_NUM_SAMPLES)
    responses = engine.generate(prompts, settings, torch.Generator().manual_seed(0))
    return (
        [response.prompt_index for response in responses],
        [response.token_ids for response in responses],
        [response.log_probs for response in responses],
    )


def _stock_inputs(policy: Policy, prompt: Prompt) -> dict[str, Any]:
    """What the stock processor makes of a conversation, as its documentation shows it.

    Its template is the text itself: the model's own is a program and rendered within limits only.
    """
    images = [decode_image(image) for image in prompt.images]
    text = json.dumps(conversation(policy, prompt), ensure_ascii=False)
    inputs: dict[str, Any] = policy.processor.apply_chat_template(
        messages(policy, prompt, images),
        chat_template=f"{{{{ {text} }}}}",
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )
    return inputs


def _stock_log_probs(
    policy: Policy, inputs: dict[str, Any], response_ids: torch.Tensor
) -> torch.Tensor:
    """Log-probabilities of a response [L] by the stock forward pass, with its plain attention."""
    num_tokens = len(response_ids)
    continued = {
        "input_ids": torch.cat([inputs["input_ids"], response_ids[None]], dim=1),
        "attention_mask": torch.nn.functional.pad(
            inputs["attention_mask"], (0, num_tokens), value=1
        ),
    }
    for name in family.TOKEN_TYPES:
        if name in inputs:
            continued[name] = torch.nn.functional.pad(inputs[name], (0, num_tokens))
    inputs = {k: v.to(policy.device) for k, v in {**inputs, **continued}.items()}
    with _plain_attention(policy):
        logits = policy.model(**inputs).logits[0, -num_tokens - 1 : -1].float()
    logits[:, policy.forbidden_token_ids] = -torch.inf
    targets = response_ids.to(policy.device)[:, None]
    log_probs: torch.Tensor = logits.log_softmax(-1).gather(1, targets).squeeze(1)
    return log_probs


@contextmanager
def _plain_attention(policy: Policy) -> Iterator[None]:
    """The model with the attention that its own module spells out, and none of ours."""
    policy.model.set_attn_implementation("eager")
    try:
        yield
    finally:
        attention.use(policy.model)


@contextmanager
def _positions(policy: Policy) -> Iterator[list[torch.Tensor]]:
    """Collects the positions [..., S, T] that the language model's rotary embeddings are given."""
    seen: list[torch.Tensor] = []

    def record(_: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        seen.append(kwargs["position_ids"] if "position_ids" in kwargs else args[1])

    hooks = [
        module.register_forward_pre_hook(record, with_kwargs=True)
        for module in family.rotary_embeddings(policy.model)
    ]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def _expect_equal(policy: Policy, what: str, ours: torch.Tensor, stock: torch.Tensor) -> None:
    ours, stock = ours.cpu(), stock.cpu()
    if ours.shape == stock.shape and torch.equal(ours, stock):
        return
    num_different = (
        f"{int((ours != stock).sum())} of {ours.numel()}"
        if ours.shape == stock.shape
        else f"{list(ours.shape)} instead of {list(stock.shape)}"
    )
    raise _refusal(policy, f"prompt {what} differ from the stock processor's: {num_different}")


def _refusal(policy: Policy, figures: str) -> ModelError:
    return ModelError(
        f"{type(policy.model).__name__} is not computed as transformers computes it: {figures}.",
        where=f"{policy.model.name_or_path!r}, model type {policy.model.config.model_type!r}",
        rule="tokens and positions are the stock ones, log-probabilities are within the bound",
        fix="choose a family of docs/models.md that is proven with this engine",
    )
