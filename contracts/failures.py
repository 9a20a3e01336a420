"""Which answers that did not come never will, however often they are asked for."""

TOO_LONG = "prompt too long"  # what stands before the colon in such an answer's `failure`


def is_final(failure: str) -> bool:
    """Whether a failure is decided by the model, the question and the recipe alone."""
    return failure.partition(":")[0] == TOO_LONG
