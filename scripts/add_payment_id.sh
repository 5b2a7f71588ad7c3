#!/bin/sh
# Run add_payment_id.sql with psql: add, fill and constrain the column on a live table.
#
# The password is asked for without echo, or read from the first line of standard input where that
# is no terminal. It goes to psql in a file that only you may read, and that is deleted at the end:
# never on a command line, never in the environment.
set -eu

usage() {
    cat <<'EOF'
usage: add_payment_id.sh --database NAME [--host HOST] [--port PORT] [--user USER]
           [--table TABLE] [--column COLUMN] [--batch ROWS] [--lock-timeout 100ms]
           [--patience SECONDS] [--triggers refuse|fire|skip] [--no-password]

  --table        as written in SQL, quotes and schema included (default: treasury_payment)
  --column       the plain name of the column (default: payment_id)
  --no-password  ask for none: trust, a certificate, or your own ~/.pgpass

exit code: 0 done; 1 refused or stopped, psql said why, run it again; 2 bad usage;
           3 psql is missing or the server cannot be reached; 130 interrupted
EOF
}

host=${PGHOST:-localhost} port=${PGPORT:-5432} user=${PGUSER:-$(id -un)} database=${PGDATABASE:-}
table=treasury_payment column=payment_id batch=5000 lock_timeout=100ms patience=60 triggers=refuse
ask=yes

while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) usage; exit 0 ;;
        --no-password) ask=no; shift; continue ;;
        --host | --port | --user | --database | --table | --column | --batch | --lock-timeout | \
        --patience | --triggers) ;;
        *) echo "add_payment_id.sh: unknown option $1" >&2; usage >&2; exit 2 ;;
    esac
    [ $# -ge 2 ] || { echo "add_payment_id.sh: $1 needs a value" >&2; exit 2; }
    case $1 in
        --host) host=$2 ;;
        --port) port=$2 ;;
        --user) user=$2 ;;
        --database) database=$2 ;;
        --table) table=$2 ;;
        --column) column=$2 ;;
        --batch) batch=$2 ;;
        --lock-timeout) lock_timeout=$2 ;;
        --patience) patience=$2 ;;
        --triggers) triggers=$2 ;;
    esac
    shift 2
done

[ -n "$database" ] || { echo "add_payment_id.sh: --database is missing" >&2; usage >&2; exit 2; }
case $batch in
    '' | *[!0-9]* | 0) echo "add_payment_id.sh: --batch $batch is no number of rows" >&2; exit 2 ;;
esac
case $patience in
    '' | *[!0-9]*) echo "add_payment_id.sh: --patience $patience is no number of seconds" >&2; exit 2 ;;
esac
case $triggers in
    refuse | fire | skip) ;;
    *) echo "add_payment_id.sh: --triggers $triggers is not refuse, fire or skip" >&2; exit 2 ;;
esac
command -v psql >/dev/null || { echo "add_payment_id.sh: psql is not installed" >&2; exit 3; }

folder=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
passfile='' hidden=no
clean_up() {
    [ -z "$passfile" ] || rm -f -- "$passfile"
    # Not without need: where the script runs in the background, the terminal would stop it.
    [ "$hidden" = no ] || stty echo
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP QUIT

if [ "$ask" = yes ]; then
    umask 077
    passfile=$(mktemp)
    if [ -t 0 ]; then
        printf 'Password of %s on %s: ' "$user" "$host" >&2
        hidden=yes
        stty -echo
        IFS= read -r password || true
        stty echo
        hidden=no
        echo >&2
    else
        IFS= read -r password || true
    fi
    # printf is the shell's own: the password is on no command line. \ and : are escaped.
    printf '%s\n' "$password" | sed 's/[\\:]/\\&/g; s/^/*:*:*:*:/' >"$passfile"
    # It would be taken before the one that was asked for.
    unset password PGPASSWORD
    PGPASSFILE=$passfile
    export PGPASSFILE
fi

# A bare name with = in it would be taken for a connection string.
named=$(printf '%s\n' "$database" | sed "s/[\\\\']/\\\\&/g")
code=0
psql -X -w -h "$host" -p "$port" -U "$user" -d "dbname='$named'" \
    -v table="$table" -v column="$column" -v batch="$batch" -v lock_timeout="$lock_timeout" \
    -v patience="$patience" -v triggers="$triggers" -f "$folder/add_payment_id.sql" </dev/null || code=$?
case $code in
    0) exit 0 ;;
    2) exit 3 ;;
    *) exit 1 ;;
esac
