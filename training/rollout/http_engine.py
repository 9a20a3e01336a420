"""Answers from a model behind an OpenAI-compatible endpoint, which is none of ours to change."""

import asyncio
import hashlib
import io
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from PIL import Image

from contracts.errors import InputError, RecipeError
from training.endpoint.client import EndpointClient, Refused, Unanswered
from training.endpoint.wire import chat
from training.recipe.endpoint import ConnectionRecipe, EndpointRecipe
from training.records import EncodedImage
from training.rollout.draw import prompt_seed
from training.rollout.protocol import Finished, Prompt, Request, Sample, SamplingSettings
from training.runtime import device

# So many questions in a row without an answer, each tried several times, are no accident.
MAX_FAILURES_IN_A_ROW = 16
# So many refusals with nothing answered in between may be of every question: a short one tells.
MAX_REFUSED = 16
SHORT_QUESTION = "What is 1 + 1?"
POLL_SECONDS = 1.0  # in which a job hears that it was told to stop
PROBE_SIDE = 32  # pixels


class HttpEngine:
    """An `Answerer` that asks an endpoint, several questions at a time.

    A question that stays without an answer is a sample with its `failure`; the job goes on. That it
    was refused is handed on when another question with the same settings is answered: only then is
    it known to be the question's own affair, for which nobody asks it again.

    Args:
        endpoint: Where, and which model.
        connection: How; its concurrency is shared by all processes of the stage.
        system_prompt: None for none.
    """

    def __init__(
        self, endpoint: EndpointRecipe, connection: ConnectionRecipe, *, system_prompt: str | None
    ) -> None:
        share = max(1, connection.concurrency // device.world_size())
        self._endpoint = endpoint
        self._connection = connection.model_copy(update={"concurrency": share})
        self._system_prompt = system_prompt
        self._num_failed_in_a_row = 0

    def check(self, *, sees: bool) -> None:
        """Checks the endpoint before anything is asked.

        Args:
            sees: Whether it has to take images; a small one is sent.

        Raises:
            InputError: It cannot be reached, does not list the model, or takes no image.
            SettingsError: The variable of its key is not set.
        """
        asyncio.run(self._check(sees))

    async def _check(self, sees: bool) -> None:
        async with EndpointClient(self._endpoint, self._connection, seed=0) as client:
            await client.check()
            if not sees:
                return
            question = Prompt("What is shown?", [_white_square()])
            try:
                await client.ask(self._body(question, SamplingSettings(1, temperature=0.0), 0))
            except Unanswered as error:
                raise InputError(
                    f"The model {self._endpoint.model} does not answer a question with an image: "
                    f"{error}",
                    where=f"{self._endpoint.address}, model {self._endpoint.model}",
                    rule="a benchmark with images is asked of a model that sees",
                    fix="serve a vision-language model, or name benchmarks without images",
                ) from error

    def stream(
        self, lots: Iterator[Sequence[Request]], seed: int
    ) -> Generator[list[Finished], None, None]:
        """See `training.rollout.protocol.Answerer.stream`.

        The endpoint is told a seed for each answer. Whether it heeds it is its affair.

        Raises:
            InputError: The endpoint itself will not do, or has stopped answering.
            RecipeError: A request's settings cannot be sent.
        """
        client = EndpointClient(self._endpoint, self._connection, seed)
        waiting = (request for lot in lots for request in lot)
        running: list[asyncio.Task[tuple[Finished, bool]]] = []  # as they were asked
        held: dict[SamplingSettings, list[Finished]] = {}  # what was refused
        with asyncio.Runner() as runner:
            loop = runner.get_loop()
            try:
                while True:
                    room = self._connection.concurrency - len(running)
                    running += [
                        loop.create_task(self._answer(client, request, seed))
                        for request in islice(waiting, room)
                    ]
                    if not running:
                        for settings in [*held]:
                            yield runner.run(self._decided(client, settings, held.pop(settings)))
                        return
                    runner.run(
                        asyncio.wait(
                            running, timeout=POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED
                        )
                    )
                    done = [task for task in running if task.done()]
                    running = [task for task in running if not task.done()]
                    # Of each, or asyncio complains of those that nobody looked at.
                    errors = {task: error for task in done if (error := task.exception())}
                    # First what was answered, which is kept.
                    yield _known([task.result() for task in done if task not in errors], held)
                    if errors:
                        raise next(iter(errors.values()))
                    for settings in [one for one, own in held.items() if len(own) >= MAX_REFUSED]:
                        yield runner.run(self._decided(client, settings, held.pop(settings)))
            finally:
                for task in running:
                    task.cancel()
                runner.run(client.close())

    async def _answer(
        self, client: EndpointClient, request: Request, seed: int
    ) -> tuple[Finished, bool]:
        """One request's samples, one after the other, and whether one of them was refused."""
        samples, is_refused = list[Sample](), False
        for number in request.numbers:
            body = self._body(request.prompt, request.settings, _sample_seed(seed, request, number))
            try:
                samples.append(await self._sample(client, body))
            except Refused as error:
                samples.append(Sample("", 0, truncated=False, failure=str(error)))
                is_refused = True
        return (request, samples), is_refused

    async def _decided(
        self, client: EndpointClient, settings: SamplingSettings, refused: list[Finished]
    ) -> list[Finished]:
        """Asks a short question: if it is answered, the others were refused for their own sake.

        Also where these settings were answered before: an endpoint may begin to refuse everything,
        as one does whose account is empty.

        Returns:
            What was refused; to be asked again, if the short question has no answer for now.

        Raises:
            InputError: It is refused, too.
        """
        try:
            await client.ask(self._body(Prompt(SHORT_QUESTION), settings, seed=0))
        except Refused as error:
            raise InputError(
                f"The endpoint {self._endpoint.address} refuses every question, a short one too: "
                f"{error}",
                where=f"{self._endpoint.address}, model {self._endpoint.model}",
                rule="an endpoint takes `max_tokens`, `temperature`, `top_p` and `seed`, and has "
                f"room for answers of {settings.max_response_tokens} tokens",
                fix="do as it says: lower `max_response_tokens`, say, or ask a server that takes "
                "these; the next run asks for what is missing",
            ) from error
        except Unanswered as error:
            return [
                (request, [_undecided(sample, error) for sample in samples])
                for request, samples in refused
            ]
        return refused

    async def _sample(self, client: EndpointClient, body: dict[str, object]) -> Sample:
        try:
            reply = await client.ask(body)
        except Refused:
            raise
        except Unanswered as error:
            self._num_failed_in_a_row += 1
            if self._num_failed_in_a_row >= MAX_FAILURES_IN_A_ROW:
                raise InputError(
                    f"The endpoint {self._endpoint.address} has left "
                    f"{self._num_failed_in_a_row} questions in a row without an answer; the "
                    f"last: {error}",
                    where=f"{self._endpoint.address}, model {self._endpoint.model}",
                    rule="an endpoint answers, however slowly",
                    fix="look at its log, or lower `concurrency` and raise `timeout_seconds`; the "
                    "next run asks for what is missing",
                ) from error
            return Sample("", 0, truncated=False, failure=str(error))
        self._num_failed_in_a_row = 0
        return Sample(
            text=reply.text,
            num_tokens=reply.num_tokens,
            truncated=reply.truncated,
            num_prompt_tokens=reply.num_prompt_tokens,
        )

    def _body(self, prompt: Prompt, settings: SamplingSettings, seed: int) -> dict[str, object]:
        if settings.stop or settings.top_k or settings.min_p:
            raise RecipeError(
                "An endpoint cannot be told `stop`, `top_k` or `min_p`.",
                where=f"settings {settings}",
                rule="an OpenAI-compatible endpoint takes temperature, top_p and a seed",
                fix="leave them out",
            )
        return chat(
            self._endpoint.model,
            self._system_prompt,
            prompt.question,
            prompt.images,
            max_tokens=settings.max_response_tokens,
            temperature=settings.temperature,
            top_p=settings.top_p,
            seed=seed,
        )


def _known(
    answered: Sequence[tuple[Finished, bool]], held: dict[SamplingSettings, list[Finished]]
) -> list[Finished]:
    """What can be handed on; what was refused waits in `held` for an answer with its settings."""
    known: list[Finished] = []
    for finished, is_refused in answered:
        request, samples = finished
        if is_refused:
            held.setdefault(request.settings, []).append(finished)
            continue
        known.append(finished)
        if not any(sample.failure for sample in samples):
            known += held.pop(request.settings, [])
    return known


def _undecided(sample: Sample, why: Unanswered) -> Sample:
    """A sample whose failure, if it has one, is not final: see `contracts.failures`."""
    if not sample.failure:
        return sample
    failure = f"refused when a short question had no answer either ({why}): {sample.failure}"
    return replace(sample, failure=failure)


def _white_square() -> EncodedImage:
    buffer = io.BytesIO()
    Image.new("RGB", (PROBE_SIDE, PROBE_SIDE), "white").save(buffer, format="PNG")
    return {"bytes": buffer.getvalue(), "path": None}


def _sample_seed(seed: int, request: Request, number: int) -> int:
    """31 bits that belong to the job's seed, the prompt and the sample's number."""
    text = f"{prompt_seed(seed, request.prompt)}/{number}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
