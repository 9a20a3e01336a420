# Stands in for postgres:17.6-bookworm: Debian's server (15), started and filled by the same variables.
FROM revisual-check/debian:bookworm
RUN apt-get update \
    && apt-get install --yes --no-install-recommends postgresql \
    && rm -rf /var/lib/apt/lists/* /var/lib/postgresql/* \
    && install --directory --owner=postgres --mode=0700 /var/lib/postgresql/data
COPY postgres.sh /usr/local/bin/
ENV PATH=/usr/lib/postgresql/15/bin:$PATH
USER postgres
VOLUME /var/lib/postgresql/data
STOPSIGNAL SIGINT
CMD ["sh", "/usr/local/bin/postgres.sh"]
