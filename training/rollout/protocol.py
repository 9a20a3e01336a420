"""What every rollout engine does: sample responses to prompts, and take new weights."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeAlias

import torch

from training.model.nucleus import Truncation
from training.records import EncodedImage
from training.runtime.preemption import NEVER


@dataclass(frozen=True)
class Prompt:
    """What the model is asked; images stay encoded.

    Attributes:
        question: The user's text, with `<image>` where each image stands, or nowhere.
        images: Encoded images; shown before a text that has no marks for them.
    """

    question: str
    images: Sequence[EncodedImage] = ()

    @cached_property
    def digest(self) -> str:
        """SHA-256, in hex, of question and images."""
        digest = hashlib.sha256(self.question.encode())
        for image in self.images:
            digest.update(hashlib.sha256(image["bytes"]).digest())
        return digest.hexdigest()


@dataclass(frozen=True)
class SamplingSettings:
    """How responses are drawn.

    Attributes:
        max_response_tokens: A response that reaches it without an end token is truncated.
        temperature: 0 decodes greedily.
        top_p: Nucleus; this and the next two as in `training.model.nucleus.Truncation`.
            Log-probabilities are those of the truncated distribution, renormalised.
        samples_per_prompt: G, responses drawn for each prompt.
        top_k: 0 for all tokens.
        min_p: 0 for all tokens.
        stop: A response ends with the token that completes one of these; they stay in it.
    """

    max_response_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    samples_per_prompt: int = 1
    top_k: int = 0
    min_p: float = 0.0
    stop: tuple[str, ...] = ()

    @property
    def truncation(self) -> Truncation:
        """Which tokens can be drawn."""
        return Truncation(self.top_p, self.top_k, self.min_p)


@dataclass(frozen=True)
class Request:
    """What a sampling job asks.

    Attributes:
        id: Unique in its job.
        prompt: What the model is asked.
        settings: How its responses are drawn, and how many.
        reference: What a judge compares them with.
        judge: Name of the judge; see `training.sampling.verdicts`.
        asked: Which of the job's models is asked; a job of one model need not say so.
        first_sample: Number of the first of its samples: an endpoint, which is asked for each by
            itself, is told another than 0.
    """

    id: str
    prompt: Prompt
    settings: SamplingSettings
    reference: str
    judge: str
    asked: str = ""
    first_sample: int = 0

    @property
    def numbers(self) -> range:
        """The numbers of its samples."""
        return range(self.first_sample, self.first_sample + self.settings.samples_per_prompt)

    @cached_property
    def draw(self) -> str:
        """SHA-256, in hex, of what the model is asked: with the job's seed it decides the draws."""
        parts = (self.asked, self.prompt.digest, self.settings, self.first_sample)
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    @cached_property
    def key(self) -> str:
        """SHA-256, in hex, of all that it is: with it a response's verdict counts, too."""
        parts = (self.draw, self.id, self.reference, self.judge)
        return hashlib.sha256(repr(parts).encode()).hexdigest()


@dataclass(frozen=True)
class Sample:
    """One sampled response of which only the text is wanted.

    Attributes:
        text: The decoded response without special tokens.
        num_tokens: Its length, the end token included when one was sampled.
        truncated: True if no end token was sampled within the budget.
        failure: Why there is no response, in few words; else empty.
        num_prompt_tokens: Length of what was read before it, images and system prompt included;
            None where an endpoint does not say.
    """

    text: str
    num_tokens: int
    truncated: bool
    failure: str = ""
    num_prompt_tokens: int | None = None


# A request and its responses, `samples_per_prompt` of them.
Finished: TypeAlias = tuple[Request, list[Sample]]


@dataclass(frozen=True)
class Response:
    """One sampled response.

    Attributes:
        prompt_index: Which prompt it answers.
        token_ids: Sampled tokens [L], the end token or stop string included.
        log_probs: Log-probability of each token under the sampler, after temperature and
            truncation [L], float32.
        text: The decoded response without special tokens.
        truncated: True if neither an end token nor a stop string came within the budget.
    """

    prompt_index: int
    token_ids: torch.LongTensor
    log_probs: torch.Tensor
    text: str
    truncated: bool


class Answerer(Protocol):
    """Answers the requests of a sampling job."""

    def stream(self, lots: Iterator[Sequence[Request]], seed: int) -> Iterator[list[Finished]]:
        """Answers lots of requests, and hands on what is finished as soon as it is.

        A response's draws depend on the seed, its prompt and its number alone: not on the order in
        which lots come, nor on the process that answers them.

        Args:
            lots: Each of requests with the same settings; one is taken when there is room for it.
            seed: Of the draws.

        Returns:
            Finished requests, each once, in any order. What belongs together, so that it has to be
            computed again together, comes together.
        """
        ...


class RolloutEngine(Answerer, Protocol):
    """Samples responses from the newest weights it was given.

    The processes of a stage call it together, each with prompts of its own.

    Attributes:
        has_own_weights: Whether it samples from a copy, which `load_weights` brings up to date.
        max_length_tokens: Of a prompt and its longest response. A request for more is finished
            with samples that say so in their `failure`.
    """

    has_own_weights: bool
    max_length_tokens: int

    def generate(
        self,
        prompts: Sequence[Prompt],
        settings: SamplingSettings,
        generator: torch.Generator,
        is_told: Callable[[], bool] = NEVER.is_told,
    ) -> list[Response]:
        """Samples `samples_per_prompt` responses to each prompt, grouped by prompt, in order.

        Args:
            prompts: Those of this process.
            settings: How responses are drawn, and how many.
            generator: Of the draws.
            is_told: Asked at every token: whether this process is told to stop.

        Raises:
            Preempted: It was, or another one that has to sample together with it.
            DataError: A prompt with its longest response exceeds `max_length_tokens`.
        """
        ...

    def load_weights(self, weights: Iterable[tuple[str, torch.Tensor]]) -> None:
        """Takes new weights, by the names of `training.model.policy.Policy.weights`."""
        ...

    def close(self) -> None:
        """Gives up what is its own, memory above all; it cannot be used again.

        Only without it may a process have several engines at a time.
        """
        ...
