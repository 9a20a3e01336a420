#!/bin/sh
# Makes the work pool and the automations, and registers the deployments; runs start in the project's folder.
set -eu
cd "$(dirname "$0")/../.."
template=$(mktemp)
trap 'rm -f "$template"' EXIT
prefect work-pool get-default-base-job-template --type process | python -c '
import json, os, sys
template = json.load(sys.stdin)
template["variables"]["properties"]["working_dir"]["default"] = os.getcwd()
json.dump(template, sys.stdout)' > "$template"
prefect --no-prompt work-pool create revisual --type process --overwrite --base-job-template "$template"
prefect --no-prompt deploy --all
python -m infra.automations
