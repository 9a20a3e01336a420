# Stands in for python:3.11.14-slim-bookworm: Debian's own Python, with `python` and `pip` on the path.
# certificates.crt are those that this machine trusts: between it and PyPI there may be a proxy.
FROM revisual-check/debian:bookworm
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3.11 python3.11-venv python3-pip \
    && rm -rf /var/lib/apt/lists/* /usr/lib/python3.11/EXTERNALLY-MANAGED \
    && ln -s /usr/bin/python3.11 /usr/local/bin/python
COPY certificates.crt /etc/
ENV PIP_CERT=/etc/certificates.crt SSL_CERT_FILE=/etc/certificates.crt
