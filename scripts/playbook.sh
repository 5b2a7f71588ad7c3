#!/usr/bin/env bash
# The playbook as a deploy script: run_playbook, with what it is to know from the environment.
#
#   APPROVAL="who approved it, and where" SITE=https://staging.example.org scripts/playbook.sh
#
# Run it in the folder of manage.py. What is typed behind it (--settings=…, --from backup, say) goes to
# run_playbook. APPROVAL is needed in production where there is a column to seed. Without SITE, the site
# of the settings is looked at, or one is served. PYTHON (python) may be set besides.
#
# It ends with the exit code of run_playbook, as README has them, because it becomes run_playbook: a
# signal to it is a signal to that.
set -eu

python=${PYTHON:-python} approval=${APPROVAL:-} site=${SITE:-}

usage() { printf 'playbook: %s\n' "$*" >&2; exit 2; }

[ -f manage.py ] || usage "there is no manage.py here; run this in the project's folder"
command -v "$python" >/dev/null || usage "there is no $python; activate the environment, or set PYTHON"

exec "$python" manage.py run_playbook --yes ${approval:+--approval "$approval"} ${site:+--base-url "$site"} "$@"
