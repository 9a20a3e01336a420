"""The paper's method section as Prefect flows.

Whoever imports a flow, or the command line, logs without secrets from then on: Prefect keeps every
log line and traceback of a run in its database.
"""

from contracts.secrets import mask_logs_and_tracebacks

mask_logs_and_tracebacks()
