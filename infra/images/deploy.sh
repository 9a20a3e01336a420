#!/bin/sh
# Makes the work pool and the automations, and registers the deployments; runs start in the project's folder.
set -eu
cd "$(dirname "$0")/../.."
python -m infra.prepare_server
prefect --no-prompt deploy --all
