"""The types of a recipe's numbers and texts, each with its bounds.

The bounds are far from what anybody wants: they keep out what no machine could run and what no
later arithmetic could hold.
"""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from contracts.graces import LONGEST_GRACE_SECONDS
from contracts.paths import MAX_PART_BYTES


class Strict(BaseModel):
    """Base of every section: unknown keys, infinities and NaN fail, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


PositiveInt = Annotated[int, Field(ge=1, lt=2**31)]
Processes = Annotated[int, Field(ge=1, le=65_536)]
Nodes = Annotated[int, Field(ge=1, le=4096)]
Threads = Annotated[int, Field(ge=1, le=1024)]
Retries = Annotated[int, Field(ge=0, le=100)]
Samples = Annotated[int, Field(ge=1, le=65_536)]  # of one prompt
Tokens = Annotated[int, Field(ge=1, le=2**24)]  # of one sequence
Problems = Annotated[int, Field(ge=1, le=10**8)]
Epochs = Annotated[float, Field(gt=0.0, le=10_000.0)]
Level = Annotated[int, Field(ge=1, le=10)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Nucleus = Annotated[float, Field(gt=0.0, le=1.0)]  # the least mass that is drawn from; 1 is all
Positive = Annotated[float, Field(gt=0.0, le=1e9)]
GraceSeconds = Annotated[float, Field(gt=0.0, le=LONGEST_GRACE_SECONDS)]
Minutes = Annotated[float, Field(gt=0.0, le=525_600.0)]  # a year
NonNegative = Annotated[float, Field(ge=0.0, le=1e9)]
Real = Annotated[float, Field(ge=-1e9, le=1e9)]
Revision = Annotated[str, Field(min_length=1, max_length=255)]
# A function of the user's own, `package.module:name`.
Function = Annotated[
    str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$", max_length=255)
]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]


def _with_a_port(text: str) -> str:
    if int(text.rpartition(":")[2]) >= 2**16:
        raise ValueError("a port is a whole number from 1 to 65535")
    return text


# Of a service: a host's name or IPv4 address, and a port. No user, no password.
Address = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?:[1-9][0-9]{0,4}$"),
    AfterValidator(_with_a_port),
]


def _names_that_a_disk_can_hold(text: str) -> str:
    if any(len(part.encode()) > MAX_PART_BYTES for part in text.split("/")):
        raise ValueError(f"no part of a path may have more than {MAX_PART_BYTES} bytes")
    return text


# A file, a folder, a pattern, a bucket's prefix or a hub's id.
PathText = Annotated[
    str, Field(min_length=1, max_length=4096), AfterValidator(_names_that_a_disk_can_hold)
]
