# The worker: the project, its locked requirements, and the compiler that DeepSpeed and Triton need.
# For CPUs; for GPUs `--build-arg LOCK=gpu.txt`, whose packages bring CUDA (infra/images/gpu.yml).
FROM python:3.11.14-slim-bookworm

RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 revisual \
    && install --directory --owner=revisual --group=revisual /opt/revisual /var/lib/revisual

ARG LOCK=cpu.txt
USER revisual
WORKDIR /opt/revisual
ENV PATH=/opt/revisual/.venv/bin:$PATH PYTHONUNBUFFERED=1

# The requirements change less often than the code: a layer of their own.
COPY --chown=revisual infra/requirements/bootstrap.txt infra/requirements/$LOCK infra/requirements/
RUN python -m venv .venv \
    && pip install --no-cache-dir --require-hashes -r infra/requirements/bootstrap.txt \
    && uv pip sync --no-cache --compile-bytecode infra/requirements/$LOCK

COPY --chown=revisual . .
RUN uv pip install --no-cache --no-deps --no-build-isolation --editable .

VOLUME /var/lib/revisual
CMD ["python", "-m", "infra.worker"]
