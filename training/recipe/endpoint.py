"""OpenAI-compatible endpoints: how they are asked, and the judge that may be one of them."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from contracts.secrets import is_secret_variable
from training.recipe.bounds import PathText, Positive, PositiveInt, Retries, Strict, Tokens

ADDRESS_RULE = (
    "an endpoint's address is `http://host:port/v1` or `https://...`, without a user, a query or "
    "a fragment"
)
_ADDRESS = re.compile(r"https?://[A-Za-z0-9.\[\]:_-]+(/[\w.~/-]*)?", re.ASCII)


def is_address(text: str) -> bool:
    """Whether a text is the address of an endpoint."""
    return _ADDRESS.fullmatch(text) is not None


def _an_address(text: str) -> str:
    if not is_address(text):
        raise ValueError(ADDRESS_RULE)
    return text.rstrip("/")


def _a_secret_variable(name: str) -> str:
    # What it holds is then masked in logs, errors and reports.
    if not is_secret_variable(name):
        raise ValueError(
            "the variable's name has to say that it holds a secret: let it end with `_API_KEY` or "
            "`_TOKEN`"
        )
    return name


Address = Annotated[str, Field(max_length=2048), AfterValidator(_an_address)]
Variable = Annotated[
    str,
    Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=255),
    AfterValidator(_a_secret_variable),
]


class ConnectionRecipe(Strict):
    """How an endpoint is asked; none of it changes an answer."""

    # The environment variable that holds the key; None sends no key.
    key_variable: Variable | None = None
    concurrency: Annotated[int, Field(ge=1, le=4096)] = 8  # of all processes together
    timeout_seconds: Positive = 600.0  # of one attempt, from its beginning to the last byte
    retries: Retries = 4
    backoff_seconds: Positive = 1.0  # before the first retry; doubles, with jitter
    max_answer_bytes: PositiveInt = 2**20  # of one reply


class EndpointRecipe(Strict):
    """A model behind an endpoint."""

    address: Address
    model: PathText  # by the name that `/models` lists


class JudgeRecipe(EndpointRecipe):
    """A model that finds the answer in responses in which the rules find none.

    What it finds is scored by the benchmark's rule, as every other answer. Of the answers that the
    rules did find it is asked a sample, so that the report can say how often both agree.
    """

    prompt: Literal["v1"] = "v1"  # a version of `training.evaluation.judge.PROMPTS`
    max_response_tokens: Tokens = 256
    agreement_samples: Annotated[int, Field(ge=0, le=10**6)] = 50  # of a policy and benchmark
    connection: ConnectionRecipe = ConnectionRecipe()
