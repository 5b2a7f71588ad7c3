#!/usr/bin/env bash
# The playbook as a deploy script: preflight, backup, seed, preflight, migrate, acceptance.
#
#   APPROVAL="who approved it, and where" SITE=https://staging.example.org scripts/playbook.sh
#
# Run it in the folder of manage.py. What is typed behind it (--settings=…, say) goes to every command.
# APPROVAL is needed in production where there is a column to seed. Without SITE, run_uat looks at the
# site of the settings, or serves one itself. PYTHON (python) and SEED_SECONDS (600, the time budget of
# one run of the seed, which is repeated until it is done) may be set besides.
#
# It ends with the exit code of the command that stopped it, as README has them, and begins nothing
# after it. After Ctrl-C that is 130, after SIGTERM 143, after SIGHUP 129,
# after SIGQUIT 131.
set -eu

python=${PYTHON:-python} approval=${APPROVAL:-} site=${SITE:-} seconds=${SEED_SECONDS:-600}
OPSMIGRATE_RUN_ID=${OPSMIGRATE_RUN_ID:-deploy-$(date -u +%Y%m%d%H%M%S)}     # the same in every report
export OPSMIGRATE_RUN_ID

say() { printf 'playbook: %s\n' "$*" >&2; }

usage() { say "$1"; exit 2; }

# A signal to this script alone must reach the command too, and a shell that waits for a command in
# the foreground hears of no signal: so each command runs in the background, and is waited for.
# There the shell ignores Ctrl-C, so the command is stopped with SIGTERM.
stopped='' running='' name=''
stop() {
    stopped=${stopped:-$1}
    [ -n "$running" ] || exit "$stopped"
    kill -TERM "$!" 2>/dev/null || :
}
trap 'stop 130' INT
trap 'stop 143' TERM
trap 'stop 129' HUP
trap 'stop 131' QUIT

# run NAME COMMAND… runs a command of manage.py; its exit code is in $code.
run() {
    name=$1; shift
    say "$name: $*"
    code=0 running=yes
    "$python" manage.py "$@" &
    [ -z "$stopped" ] || kill -TERM "$!" 2>/dev/null || :
    wait "$!" || code=$?
    while [ -n "$stopped" ] && kill -0 "$!" 2>/dev/null; do wait "$!" || :; done
    running=
    if [ -z "$stopped" ] && [ "$code" -gt 127 ]; then stopped=$code; fi
    [ -z "$stopped" ] || { say "$name was stopped; nothing was begun after it"; exit "$stopped"; }
}

# The last command said no: end with its code, and the words of that code.
give_up() {
    case $code in
        1) say "$name failed: see above" ;;
        2) say "$name was called wrongly, or the settings are wrong: see above" ;;
        3) say "$name could not be decided, or could not run: see above; then run this again" ;;
        4) say "$name was refused before it wrote anything: see above for what to do" ;;
        5) say "$name stopped part of the way: see above; then run this again, it goes on from there" ;;
        *) say "$name ended with $code: see above" ;;
    esac
    exit "$code"
}

# report QUESTION FILE answers from the report that this run has just written; no file answers no.
report() {
    "$python" - "$@" <<'PYTHON'
import json, sys

question, file = sys.argv[1:]
try:
    with open(file, encoding="utf-8") as stream:
        report = json.load(stream)
except OSError:
    sys.exit(1)
findings = report["findings"]

def typed(finding):
    return [step["text"] for step in finding.get("steps") or ()] + [finding["hint"] or ""]

def plain(text):
    # What others named in the database must not reach the terminal as it is.
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)

def is_mended_by_the_seed(finding):
    return any(text.startswith("python manage.py seed_payment_id") for text in typed(finding))

if question == "show":
    sys.stdout.reconfigure(errors="backslashreplace")
    print(report["verdict"].upper() + ":", plain(report["facts"]["summary"]))
    for finding in findings:
        print(plain("  %(severity)s [%(id)s] %(message)s" % finding))
        for line in "\n".join(typed(finding)).strip().splitlines():
            print("    next: " + plain(line))
elif question == "seed-mends-all":
    errors = [finding for finding in findings if finding["severity"] == "error"]
    sys.exit(not errors or not all(map(is_mended_by_the_seed, errors)))
elif question == "out-of-time":
    sys.exit(report["facts"].get("stopped_by") != "time-budget")
else:
    sys.exit(question not in [finding["id"] for finding in findings])
PYTHON
}

# Whatever can be wrong with the call is said before anything else.
[ -f manage.py ] || usage "there is no manage.py here; run this in the project's folder"
command -v "$python" >/dev/null || usage "there is no $python; activate the environment, or set PYTHON"
case $seconds in '' | *[!0-9]* | 0) usage "SEED_SECONDS=$seconds is no number of seconds" ;; esac
mkdir -p reports 2>/dev/null && [ -w reports ] || usage "reports/ cannot be written, and the acceptance needs it"
folder=$(mktemp -d) || usage "no temporary folder can be made; set TMPDIR to one that can be written"
trap 'rm -rf "$folder"' EXIT

# 1. What is in the way, before anything is written.
run "preflight" preflight_migrate --format json --output "$folder/before.json" "$@"
before=$code
case $before in
    0 | 1) [ -s "$folder/before.json" ] || give_up ;;
    *) give_up ;;
esac
report show "$folder/before.json"
if [ "$before" -eq 1 ] && ! report seed-mends-all "$folder/before.json"; then
    say "migrate would fail, and a seed alone would not mend it; nothing was written"
    exit 1
fi

run "plan of the seed" seed_payment_id --dry-run --format json --output "$folder/plan.json" "$@"
seed=yes
if [ "$code" -eq 2 ] && [ "$before" -eq 0 ]; then
    ! report no-seed-target "$folder/plan.json" || seed=
    # The table is made by the migrations that are pending.
    ! report missing-table "$folder/plan.json" || seed=
fi
if [ -z "$seed" ]; then
    say "there is no column to seed; going on without"
else
    [ "$code" -eq 0 ] || give_up
    if [ -z "$approval" ] && report approval-needed "$folder/plan.json"; then
        code=4
        say 'this is production, and APPROVAL is not set: APPROVAL="who approved it, and where"; nothing was written'
        exit "$code"
    fi
fi

# 2. The backup, and the proof that it can be restored.
run "backup" backup_db --verify restore "$@"
[ "$code" -eq 0 ] || give_up

# 3. The seed, again for as long as only its time was up.
if [ -n "$seed" ]; then
    while :; do
        rm -f "$folder/seed.json"
        run "seed" seed_payment_id --time-budget "$seconds" ${approval:+--approval "$approval"} \
            --format json --output "$folder/seed.json" "$@"
        [ ! -s "$folder/seed.json" ] || report show "$folder/seed.json"
        [ "$code" -eq 5 ] && report out-of-time "$folder/seed.json" || break
    done
    [ "$code" -eq 0 ] || give_up

    # 4. Now it must say yes.
    run "preflight after the seed" preflight_migrate --require-backup 24 "$@"
    [ "$code" -eq 0 ] || give_up
fi

# 5. and 6.
run "migrate" migrate --no-input "$@"
[ "$code" -eq 0 ] || give_up
[ -n "$site" ] || say "SITE is not set: run_uat looks at the site of the settings, or serves one itself"
run "acceptance" run_uat ${site:+--base-url "$site"} "$@"
[ "$code" -eq 0 ] || give_up
say "done"
