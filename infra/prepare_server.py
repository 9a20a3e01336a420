"""What a Prefect server must hold before the first run: the work pool and the automations.

`make up` prepares the local server so; `python -m infra.prepare_server` the one that the
environment names.
"""

from prefect.client.orchestration import SyncPrefectClient, get_client

from infra.automations import create_automations
from infra.worker import create_pool


def prepare_server(client: SyncPrefectClient) -> None:
    """Creates what is missing, and puts the pool right."""
    create_pool(client)
    create_automations(client)


if __name__ == "__main__":
    with get_client(sync_client=True) as of_environment:
        prepare_server(of_environment)
