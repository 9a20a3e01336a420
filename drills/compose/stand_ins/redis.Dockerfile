# Stands in for redis:8.2.1-bookworm: Debian's server (7.0), open to the network of its containers.
FROM revisual-check/debian:bookworm
RUN apt-get update \
    && apt-get install --yes --no-install-recommends redis-server \
    && rm -rf /var/lib/apt/lists/* \
    && install --directory --owner=redis /data
USER redis
WORKDIR /data
VOLUME /data
ENTRYPOINT ["sh", "-c", "exec \"$@\" --protected-mode no --bind 0.0.0.0", "redis"]
