"""What a file of responses looks like: the code that reads one reads no other."""

import pyarrow as pa

CHUNK = "chunk-"  # how their names begin
UNVERIFIED = "unverified"  # a folder in which they lie whose verdicts do not count any more
SCHEMA = pa.schema(
    {
        "request": pa.string(),
        "draw": pa.string(),
        "sample": pa.int32(),
        "text": pa.string(),
        "num_tokens": pa.int32(),
        "truncated": pa.bool_(),
        "outcome": pa.string(),  # null: not verified yet
        "failure": pa.string(),
        "num_prompt_tokens": pa.int32(),
    }
)
# Of an evaluation's answers to one benchmark, which other evaluations take.
PART_SCHEMA = pa.schema(
    {
        "prompt": pa.string(),
        "repeat": pa.int32(),
        "sample": pa.int32(),
        "text": pa.string(),
        "num_tokens": pa.int32(),
        "truncated": pa.bool_(),
        "failure": pa.string(),
        "num_prompt_tokens": pa.int32(),
    }
)
