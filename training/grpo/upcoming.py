"""The problems of a stage's steps, read a step ahead."""

from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from types import TracebackType

from datasets import Dataset

from training.model.encoding import encode_prompts
from training.model.policy import Policy
from training.records import Problem
from training.rollout.protocol import Prompt
from training.runtime import device
from training.runtime.seeds import rows_at


class Upcoming:
    """Takes problems in the stage's order; the next step's are read while this one's are learned.

    What is read is remembered by the policy, and is the same whoever reads it when. Pixels for
    which there is no room beside this step's are read again. A context manager: when it is left,
    also by an error, reading ends with the prompt that it is at.

    Args:
        policy: Its processor makes tokens of prompts and pixels of images.
        problems: The stage's.
        seed: The run's.
        label: The stage's name.
    """

    def __init__(self, policy: Policy, problems: Dataset, seed: int, label: str) -> None:
        self._policy, self._problems = policy, problems
        self._seed, self._label = seed, label
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="ahead")
        self._reading: Future[None] | None = None
        self._has_left = Event()
        policy.memory.pixels.begin_step()

    def __enter__(self) -> "Upcoming":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._has_left.set()
        self._reader.shutdown()

    def take(self, position: int, count: int) -> list[Problem]:
        """The problems at a position of the stage's endless order.

        A step begins with those that were read ahead; what is taken otherwise refills it.

        Raises:
            DataError: One of those that were read ahead has no prompt.
        """
        if self._reading is not None:
            self._reading.result()
            self._reading = None
            self._policy.memory.pixels.begin_step()
        return self._at(position, count)

    def read(self, position: int, count: int) -> None:
        """Has a thread make tokens and pixels of those that this rank will sample from."""
        self._reading = self._reader.submit(self._read, position, count)

    def _read(self, position: int, count: int) -> None:
        prompts = map(prompt_of, own(self._at(position, count)))
        for _ in encode_prompts(self._policy, [*prompts]):
            if self._has_left.is_set():
                return

    def _at(self, position: int, count: int) -> list[Problem]:
        rows = rows_at(
            position, count, num_rows=len(self._problems), seed=self._seed, label=self._label
        )
        return [self._problems[row] for row in rows]


def own(problems: list[Problem]) -> list[Problem]:
    """Those that this rank samples from."""
    return problems[device.rank() :: device.world_size()]


def prompt_of(problem: Problem) -> Prompt:
    """What the model is asked."""
    return Prompt(problem["question"], problem["images"])
