# Stands in for prefecthq/prefect:3.7.7-python3.11: the package of that version, and Redis messaging.
FROM python:3.11.14-slim-bookworm
COPY constraints.txt /tmp/
RUN pip install --no-cache-dir --constraint /tmp/constraints.txt prefect asyncpg prefect-redis
