"""The .env that docker-compose.yml asks for, with random passwords."""

import secrets
from pathlib import Path

from contracts.errors import ServiceError
from infra.access import NUM_RANDOM_BYTES, write_private
from infra.settings import PROJECT_ROOT

ENV_PATH = PROJECT_ROOT / ".env"
DEFAULT_PORT = 4200


def write_env(path: Path = ENV_PATH, port: int = DEFAULT_PORT) -> None:
    """Writes a .env that only its owner may read.

    Args:
        path: Where; beside docker-compose.yml it is found.
        port: Of the Prefect UI on this machine's loopback address.

    Raises:
        ServiceError: There is one already; its passwords may be those of volumes that are in use.
    """
    if path.exists():
        raise ServiceError(
            "There is a .env already; it stays as it is.",
            where=str(path),
            rule="the database and the store keep the passwords that they were first started with",
            fix="to start with new ones: docker compose down --volumes, then remove the file",
        )
    lines = [
        "# The Prefect UI asks once for a password: revisual:, and then PREFECT_PASSWORD.",
        f"POSTGRES_PASSWORD={secrets.token_urlsafe(NUM_RANDOM_BYTES)}",
        f"PREFECT_PASSWORD={secrets.token_urlsafe(NUM_RANDOM_BYTES)}",
        f"S3_ACCESS_KEY_ID={secrets.token_hex(10)}",
        f"S3_SECRET_ACCESS_KEY={secrets.token_urlsafe(NUM_RANDOM_BYTES)}",
        f"REVISUAL_PORT={port}",
    ]
    write_private(path, "\n".join(lines) + "\n")
