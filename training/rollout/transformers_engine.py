"""Rollout in process, with the very model that the learner trains.

A decode loop of our own and not `generate`, for four reasons. It draws from an explicit
`torch.Generator`, so that a seed fixes the samples. The log-probabilities come for free. The
responses of a group share one prefill of their prompt, vision tower included. And rows that have
ended leave the batch at once, where `generate` computes padding until the longest response ends:
on two cores that is most of a rollout's time.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer

from training.model import family
from training.model.encoding import (
    EncodedPrompt,
    ImageInputs,
    encode_prompts,
    image_inputs,
    pad_right,
    padding_id,
)
from training.model.forward import image_arguments
from training.model.policy import Policy
from training.recipe.model import TransformersRollout
from training.rollout.draw import Uniforms, draw_tokens, uniforms_of_prompts, until_told
from training.rollout.protocol import Finished, Prompt, Request, Response, Sample, SamplingSettings
from training.rollout.room import check_room, parted, room_tokens
from training.runtime import device
from training.runtime.ahead import ahead
from training.runtime.failures import phase
from training.runtime.preemption import NEVER


class TransformersEngine:
    """Samples with the KV cache, in batches of prompts of similar length.

    Args:
        policy: What it samples from; if a learner trains it, an update is sampled from at once.
        cache_bytes: Memory for the KV cache; it bounds how many responses are decoded together.
        has_own_weights: Whether the policy is a copy that no learner trains.

    Raises:
        ModelError: The language model keeps something between tokens that the cache cannot hold.
    """

    def __init__(
        self, policy: Policy, cache_bytes: int | None = None, *, has_own_weights: bool = False
    ) -> None:
        self._policy, self.has_own_weights = policy, has_own_weights
        self.max_length_tokens = room_tokens(policy, TransformersRollout())
        self._windows = family.attention_windows(policy.model)
        self._cache_bytes = device.kv_cache_bytes() if cache_bytes is None else cache_bytes

    def generate(
        self,
        prompts: Sequence[Prompt],
        settings: SamplingSettings,
        generator: torch.Generator,
        is_told: Callable[[], bool] = NEVER.is_told,
    ) -> list[Response]:
        """See `RolloutEngine.generate`."""
        named = (("a prompt", prompt) for prompt in prompts)
        check_room(self._policy, named, settings.max_response_tokens, self.max_length_tokens)

        def uniforms(batch: Sequence[int]) -> Uniforms:
            # One number for every response, ended or not: a draw does not depend on who is left.
            num_rows = len(batch) * settings.samples_per_prompt
            draw = partial(torch.rand, num_rows, generator=generator, dtype=torch.float64)
            return until_told(lambda _: draw(), is_told)

        return self._respond([*encode_prompts(self._policy, prompts)], settings, uniforms)

    def stream(self, lots: Iterator[Sequence[Request]], seed: int) -> Iterator[list[Finished]]:
        """See `RolloutEngine.stream`; a lot comes as a whole, since its rows are rounded together.

        Within a lot nobody waits for the longest response: rows that have ended leave the batch.
        """
        for taken in lots:
            lot, refused = parted(self._policy, taken, self.max_length_tokens)
            settings, encoded = taken[0].settings, [prompt for _, prompt in lot]
            count, width = settings.samples_per_prompt, settings.max_response_tokens

            def uniforms(batch: Sequence[int]) -> Uniforms:
                chosen = [lot[i][0].prompt for i in batch]  # noqa: B023 - called within this turn
                return uniforms_of_prompts(chosen, seed, count, width)  # noqa: B023

            samples = [
                Sample(
                    text=response.text,
                    num_tokens=len(response.token_ids),
                    truncated=response.truncated,
                    num_prompt_tokens=len(encoded[response.prompt_index].token_ids),
                )
                for response in self._respond(encoded, settings, uniforms)
            ]
            groups = [samples[start : start + count] for start in range(0, len(samples), count)]
            yield [*zip((request for request, _ in lot), groups, strict=True), *refused]

    @phase("sampling")
    def _respond(
        self,
        encoded: Sequence[EncodedPrompt],
        settings: SamplingSettings,
        uniforms_of: Callable[[Sequence[int]], Uniforms],
    ) -> list[Response]:
        """Responses grouped by prompt, in order; `uniforms_of` gives a batch of them its draws."""
        responses: list[Response] = []
        was_training = self._policy.model.training
        self._policy.model.eval()
        batches = [
            (batch, [encoded[i] for i in batch]) for batch in self._batches(encoded, settings)
        ]
        images = ahead(self._images, (prompts for _, prompts in batches))
        for (batch, prompts), shown in zip(batches, images, strict=True):
            uniforms = uniforms_of(batch)
            responses += self._generate_batch(batch, prompts, shown, settings, uniforms)
        self._policy.model.train(was_training)
        # A batch holds whole groups, so a stable sort by prompt restores the caller's order.
        return sorted(responses, key=lambda response: response.prompt_index)

    def _images(self, prompts: Sequence[EncodedPrompt]) -> ImageInputs | None:
        """A batch's images, joined while the batch before is sampled."""
        if not any(prompt.images for prompt in prompts):
            return None
        width = max(len(prompt.token_ids) for prompt in prompts)
        return image_inputs(self._policy, prompts, width)

    @phase("refreshing the sampler")
    @torch.no_grad()
    def load_weights(self, weights: Iterable[tuple[str, torch.Tensor]]) -> None:
        """Copies new weights into the policy; needless where a learner trains that very policy."""
        own = dict(self._policy.weights())
        for name, weight in weights:
            own[name].copy_(weight)

    def close(self) -> None:
        """See `RolloutEngine.close`; the policy is whoever loaded it's."""

    def _batches(
        self, encoded: Sequence[EncodedPrompt], settings: SamplingSettings
    ) -> list[list[int]]:
        """Cuts the prompts, longest first, into batches whose KV cache fits."""
        order = sorted(range(len(encoded)), key=lambda i: -len(encoded[i].token_ids))
        model = self._policy.model
        slot_bytes = family.cache_values_per_token(model) * model.dtype.itemsize
        batches: list[list[int]] = []
        while order:
            slots = len(encoded[order[0]].token_ids) + settings.max_response_tokens
            group_bytes = slots * settings.samples_per_prompt * slot_bytes
            num_prompts = max(1, self._cache_bytes // group_bytes)
            batches.append(order[:num_prompts])
            order = order[num_prompts:]
        return batches

    @torch.no_grad()
    def _generate_batch(
        self,
        batch: list[int],
        prompts: Sequence[EncodedPrompt],
        images: ImageInputs | None,
        settings: SamplingSettings,
        uniforms: Uniforms,
    ) -> list[Response]:
        rows = _prefill(self._policy, prompts, images, settings)
        token_ids, log_probs, lengths = _decode(
            self._policy, rows, self._windows, settings, uniforms
        )
        ended = (lengths > 0).tolist()
        lengths = lengths.where(lengths > 0, token_ids.shape[1])
        kept = [ids[:length] for ids, length in zip(token_ids, lengths.tolist(), strict=True)]
        texts = self._policy.tokenizer.batch_decode(kept, skip_special_tokens=True)
        return [
            Response(
                prompt_index=batch[row // settings.samples_per_prompt],
                token_ids=kept[row].clone(),
                log_probs=log_probs[row, : len(kept[row])].clone(),
                text=texts[row],
                truncated=not ended[row],
            )
            for row in range(len(kept))
        ]


class _RowCache(DynamicLayer):  # type: ignore[misc]
    """One layer's keys and values [rows, heads, slots, D], allocated once.

    `DynamicCache` copies all it holds for every new token; this writes the one new slot and hands
    out views. Rows that ended are overwritten by live rows from the end, so that a row costs
    nothing after its last token and at most one copy.
    """

    def __init__(self, prefilled: DynamicLayer, num_samples: int, num_new_slots: int) -> None:
        super().__init__()
        self.is_initialized = True
        self.dtype, self.device = prefilled.keys.dtype, prefilled.keys.device
        self._num_slots = prefilled.keys.shape[2]
        self._num_rows = prefilled.keys.shape[0] * num_samples
        self._buffers = [
            _widened(states, num_samples, num_new_slots)
            for states in (prefilled.keys, prefilled.values)
        ]
        self._take_views()

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: object, **__: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Appends one slot to every live row."""
        for buffer, states in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[: self._num_rows, :, self._num_slots] = states[:, :, 0]
        self._num_slots += 1
        self._take_views()
        return self.keys, self.values

    def keep(self, num_rows: int, holes: torch.Tensor, fillers: torch.Tensor) -> None:
        """Moves rows `fillers` into rows `holes`, then forgets all but the first `num_rows`."""
        for buffer in self._buffers:
            buffer[holes, :, : self._num_slots] = buffer[fillers, :, : self._num_slots]
        self._num_rows = num_rows
        self._take_views()

    def _take_views(self) -> None:
        self.keys, self.values = (
            buffer[: self._num_rows, :, : self._num_slots] for buffer in self._buffers
        )


def _widened(states: torch.Tensor, num_samples: int, num_new_slots: int) -> torch.Tensor:
    """Copies a prompt's states [N, H, P, D] for each of its samples, with room to grow."""
    num_prompts, heads, slots, width = states.shape
    buffer = states.new_empty(num_prompts, num_samples, heads, slots + num_new_slots, width)
    buffer[:, :, :, :slots] = states[:, None]
    return buffer.flatten(0, 1)


@dataclass
class _Rows:
    """The live responses of a batch, one a row.

    Attributes:
        hidden: Last hidden state of each row [R, D], from which the next token is drawn.
        ids: Which response of the batch each row is [R].
        positions: Position of each row's next token [R].
        mask: 0 for the cache slots that a row may attend to, else -inf [R, 1, 1, slots].
        ages: How many tokens before its row's first sampled token each slot's token is
            [R, 1, 1, slots]; negative for sampled tokens.
        cache: Keys and values.
    """

    hidden: torch.Tensor
    ids: torch.Tensor
    positions: torch.Tensor
    mask: torch.Tensor
    ages: torch.Tensor
    cache: DynamicCache

    def drop(self, ended: torch.Tensor) -> None:
        """Removes the rows where `ended` [R] is True; the order of the others may change."""
        num_live = int((~ended).sum())
        holes = ended[:num_live].nonzero().squeeze(1)
        fillers = num_live + (~ended[num_live:]).nonzero().squeeze(1)
        for tensor in (self.ids, self.positions, self.mask, self.ages):
            tensor[holes] = tensor[fillers]
        self.ids, self.positions = self.ids[:num_live], self.positions[:num_live]
        self.mask, self.ages = self.mask[:num_live], self.ages[:num_live]
        for layer in self.cache.layers:
            layer.keep(num_live, holes, fillers)

    def masks(
        self, step: int, num_slots: int, windows: Sequence[int | None]
    ) -> torch.Tensor | dict[str, torch.Tensor]:
        """What the layers may attend to from the token of a decoding step."""
        full = self.mask[..., :num_slots]
        window = min((width for width in windows if width is not None), default=None)
        if window is None:
            return full
        # A window counts the token itself.
        is_outside = self.ages[..., :num_slots] + step >= window
        return family.masks_by_layer(windows, full, full.masked_fill(is_outside, -torch.inf))


def _prefill(
    policy: Policy,
    prompts: Sequence[EncodedPrompt],
    images: ImageInputs | None,
    settings: SamplingSettings,
) -> _Rows:
    """Runs each prompt once and repeats its state for all its samples."""
    base, samples = policy.model.base_model, settings.samples_per_prompt
    ids = [prompt.token_ids for prompt in prompts]
    token_ids = pad_right(ids, padding_id(policy)).to(policy.device)
    lengths = torch.tensor([len(row) for row in ids], device=policy.device)
    on_device = None if images is None else images.to(policy.device)
    inputs = image_arguments(policy, token_ids, on_device)
    last = (torch.arange(len(ids), device=policy.device), lengths - 1)
    next_positions = lengths
    if "position_ids" in inputs:
        # The prompt ends in text, whose last token has the prompt's highest position.
        next_positions = inputs["position_ids"][0][last] + 1
    # Also layers with a window keep the whole prompt: it slides over each row's own tokens, and
    # what a cache of the window's size would keep of short rows is padding.
    cache = DynamicCache()
    hidden = base(
        input_ids=token_ids, use_cache=True, past_key_values=cache, **inputs
    ).last_hidden_state[last]
    cache.layers = [
        _RowCache(layer, samples, settings.max_response_tokens - 1) for layer in cache.layers
    ]
    num_slots = token_ids.shape[1] + settings.max_response_tokens
    slots = torch.arange(num_slots, device=policy.device)
    is_sampled = slots >= token_ids.shape[1]
    is_padding = (slots >= lengths[:, None]) & ~is_sampled
    ages = torch.where(is_sampled, token_ids.shape[1], lengths[:, None]) - slots
    mask = torch.zeros(is_padding.shape, dtype=hidden.dtype, device=policy.device)
    mask.masked_fill_(is_padding, -torch.inf)
    return _Rows(
        hidden=hidden.repeat_interleave(samples, dim=0),
        ids=torch.arange(len(ids) * samples, device=policy.device),
        positions=next_positions.repeat_interleave(samples),
        mask=mask[:, None, None].repeat_interleave(samples, dim=0),
        ages=ages[:, None, None].repeat_interleave(samples, dim=0),
        cache=cache,
    )


def _decode(
    policy: Policy,
    rows: _Rows,
    windows: Sequence[int | None],
    settings: SamplingSettings,
    uniforms: Uniforms,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Draws tokens until every row has ended or spent its budget.

    Returns:
        Token ids [R, L] and their log-probabilities [R, L], on the CPU, and where each row ended,
        in tokens [R]: after an end token or what completed a stop string, 0 if it did not. What
        follows means nothing.
    """
    model, num_rows, width = policy.model, len(rows.ids), settings.max_response_tokens
    head = model.get_output_embeddings()
    token_ids = torch.full((num_rows, width), padding_id(policy), device=policy.device)
    log_probs = torch.zeros((num_rows, width), device=policy.device)
    end_ids = policy.end_token_ids.to(policy.device)
    forbidden = policy.forbidden_token_ids.to(policy.device)
    num_prompt_slots = rows.mask.shape[-1] - width
    lengths = torch.zeros(num_rows, dtype=torch.long, device=policy.device)
    for step in range(width):
        logits = head(rows.hidden).float().index_fill_(1, forbidden, -torch.inf)
        drawn, drawn_log_probs = draw_tokens(
            logits,
            uniforms(step).to(policy.device)[rows.ids],
            settings.temperature,
            settings.truncation,
        )
        token_ids[rows.ids, step] = drawn
        log_probs[rows.ids, step] = drawn_log_probs
        ended = torch.isin(drawn, end_ids)
        if settings.stop:
            ended |= _stopped(policy, token_ids[rows.ids, : step + 1], settings.stop)
        lengths[rows.ids[ended]] = step + 1
        if step == width - 1 or bool(ended.all()):
            break
        if bool(ended.any()):
            rows.drop(ended)
            drawn = token_ids[rows.ids, step]
        rows.hidden = model.base_model(
            input_ids=drawn[:, None],
            attention_mask=rows.masks(step, num_prompt_slots + step + 1, windows),
            position_ids=rows.positions[:, None],
            past_key_values=rows.cache,
            use_cache=True,
        ).last_hidden_state[:, 0]
        rows.positions = rows.positions + 1
    return token_ids[:, : step + 1].cpu(), log_probs[:, : step + 1].cpu(), lengths.cpu()


def _stopped(policy: Policy, token_ids: torch.Tensor, stop: Sequence[str]) -> torch.Tensor:
    """Which rows [R, L] have just completed a stop string; one that is older has ended its row."""
    # A token is at least a byte, but for one that is a part of a character.
    longest = max(len(text.encode()) for text in stop) + 4
    tails = policy.tokenizer.batch_decode(token_ids[:, -longest:], skip_special_tokens=True)
    found = [any(text in tail for text in stop) for tail in tails]
    return torch.tensor(found, device=token_ids.device)
