"""Why a row cannot be mapped to a record."""


class Refused(Exception):
    """A row is rejected, in words that are the same for all rows with that fault."""
