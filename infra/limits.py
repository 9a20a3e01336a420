"""How large the store's own files may be, which are read as a whole and may be anybody's."""

from contracts.errors import DamagedError

# A manifest lists some 80,000 files in it; entries and probes have less than a kilobyte.
MAX_METADATA_BYTES = 16 * 2**20


def too_large(name: str, root: str, max_bytes: int = MAX_METADATA_BYTES) -> DamagedError:
    """What is said about a manifest or an entry that is none, going by its size alone."""
    return DamagedError(
        f"{name} in the store {root} has more than {max_bytes} bytes.",
        where=root,
        rule="manifests and entries are small; what is larger is not read",
        fix="somebody else wrote this into the store: find out who, and remove it",
    )
