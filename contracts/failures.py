"""Which answers that did not come never will, however often they are asked for."""

TOO_LONG = "prompt too long"  # what stands before the colon in such an answer's `failure`
# Of a question that an endpoint refuses for what it is: bad request, too large, unprocessable.
REFUSED_STATUSES = (400, 413, 422)
_FINAL = frozenset({TOO_LONG, *(f"status {code}" for code in REFUSED_STATUSES)})


def is_final(failure: str) -> bool:
    """Whether a failure is decided by the model, the question and the recipe alone."""
    return failure.partition(":")[0] in _FINAL
