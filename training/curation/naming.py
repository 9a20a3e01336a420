"""Asks a language model for the names of topics, through the sampling job.

The replies lie with the stage's other responses, and are found again by the model, how it is asked,
and the prompt: a curation with other thresholds and the same topics asks nobody.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from contracts.errors import InputError, SettingsError
from contracts.secrets import without_secrets
from training.curation import progress
from training.curation.topic_names import NoNameError, TopicNames, naming_prompt, read_name
from training.recipe.curation import MAX_NAME_TOKENS, NAMER, TopicNamesRecipe
from training.recipe.endpoint import ConnectionRecipe, EndpointRecipe
from training.rollout.http_engine import HttpEngine
from training.rollout.protocol import (
    Answerer,
    Finished,
    Prompt,
    Request,
    Sample,
    SamplingSettings,
)
from training.runtime.metrics import MetricsLog
from training.sampling.chunks import Drawn
from training.sampling.job import SamplingJob

SYSTEM_PROMPT = "You are a helpful assistant."  # the run's asks for thoughts and a box
SETTINGS = SamplingSettings(MAX_NAME_TOKENS, temperature=0.0)  # names are no draws
LIMIT_SECONDS = 600.0  # of an endpoint, for all topics: GPUs wait meanwhile


class Namer:
    """Has topics named, by all processes of a stage; each makes one, and all at the same time.

    Args:
        naming: The recipe's section.
        open_model: Opens the engine of its model, if it names one.
        digest: What decides the model's answers, see `tasks.keys.namer_digest`.
        seed: Of the job.
        save: Where replies are left for whoever uploads them; None saves none.
        resume: A folder with what earlier attempts have left.
    """

    def __init__(
        self,
        naming: TopicNamesRecipe,
        open_model: Callable[[], Answerer],
        *,
        digest: str,
        seed: int,
        save: Path | None,
        resume: Path | None,
    ) -> None:
        self._naming, self._open_model, self._digest = naming, open_model, digest
        self._job = SamplingJob(
            seed=seed, judges=None, log=MetricsLog(None), save=save, resume=resume, name="names"
        )

    def help(self) -> None:
        """On every process but the first: answers what that one asks, once it knows the topics.

        Raises:
            Preempted: The stage was told to stop.
        """
        with self._job as job:
            job.ask([], self._open)

    def name(self, questions: Mapping[str, Sequence[str]]) -> TopicNames:
        """On the first process: what the model calls the topics.

        Args:
            questions: Topic -> a few of its questions.

        Raises:
            Preempted: The stage was told to stop; what is answered is saved.
        """
        requests = [self._request(topic, some) for topic, some in questions.items()]
        with progress.step(progress.NAMES) as told, self._job as job:
            job.start(requests)
            job.ask(requests, self._open)
            named = self._read(dict(zip(questions, job.answers(requests), strict=True)))
            told.append(f"{len(named.names)} of {len(questions)} topics have a name of the model's")
            told.append(f"{len(named.faults)} keep their keywords")
            told += [f"{count}: {why}" for why, count in Counter(named.faults.values()).items()]
        return named

    def _read(self, answers: Mapping[str, Sequence[Drawn]]) -> TopicNames:
        names, faults = dict[str, str](), dict[str, str]()
        for topic, (answer,) in answers.items():
            if answer["failure"]:
                faults[topic] = answer["failure"]
                continue
            try:
                names[topic] = read_name(answer["text"])
            except NoNameError as error:
                faults[topic] = str(error)
        return TopicNames(model=self._naming.asked, names=names, faults=faults)

    def _open(self) -> Answerer:
        if self._naming.endpoint is None:
            return self._open_model()
        return Forgiving(self._naming.endpoint, self._naming.connection)

    def _request(self, topic: str, questions: Sequence[str]) -> Request:
        return Request(
            id=f"{NAMER}/{topic}",
            prompt=Prompt(naming_prompt(self._naming.prompt, topic, questions)),
            settings=SETTINGS,
            reference="",  # the reply is read, not compared
            judge="",
            asked=f"{NAMER}/{self._digest}",
        )


class Forgiving:
    """An `Answerer` that asks an endpoint whose faults cost names and end no run.

    Args:
        endpoint: Where, and which model.
        connection: How.
    """

    def __init__(self, endpoint: EndpointRecipe, connection: ConnectionRecipe) -> None:
        self._endpoint, self._connection = endpoint, connection

    def stream(self, lots: Iterator[Sequence[Request]], seed: int) -> Iterator[list[Finished]]:
        """See `training.rollout.protocol.Answerer.stream`; what has no answer says why."""
        waiting = {request.key: request for lot in lots for request in lot}  # one for each topic
        why = f"not within {LIMIT_SECONDS:g} s for all topics"
        end = time.monotonic() + LIMIT_SECONDS
        try:
            engine = HttpEngine(self._endpoint, self._connection, system_prompt=None)
            engine.check(sees=False)
            with closing(engine.stream(iter([list(waiting.values())]), seed)) as stream:
                for finished in stream:
                    for request, _ in finished:
                        del waiting[request.key]
                    yield [(request, _masked(samples)) for request, samples in finished]
                    if time.monotonic() > end:
                        break
        except (InputError, SettingsError) as error:
            why = error.what
        left = Sample("", 0, truncated=False, failure=why)
        yield [(request, [left]) for request in waiting.values()]


def _masked(samples: Sequence[Sample]) -> list[Sample]:
    """Samples that may be kept in files: an endpoint may repeat the key that it was given."""
    return [replace(sample, text=without_secrets(sample.text)) for sample in samples]
