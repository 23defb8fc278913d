#!/bin/sh
# One backup of the platform's database: a dump in pg_dump's custom format, a manifest and checksums, in a directory of its own
# that appears whole or not at all. Runs in the cluster (CronJob) and on a laptop (`platform backup`).
#
#   PGHOST PGPORT PGUSER PGDATABASE   as psql reads them; PGPASSWORD, or PGPASSWORD_FILE that holds it
#   BACKUP_DIR    where backups lie, one directory each, named by the time (UTC)
#   BACKUP_KEEP   how many stay (default: all)
#   WAIT_S        how long to wait for the server and its schema (default: not at all)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
if [ -n "${PGPASSWORD_FILE:-}" ]; then PGPASSWORD=$(cat "$PGPASSWORD_FILE") && export PGPASSWORD; fi
sql() { psql --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 --set VERBOSITY=terse "$@"; }
sums() { if command -v sha256sum >/dev/null; then sha256sum "$@"; else shasum -a 256 "$@"; fi; }

# Who waits, waits for the migrations of all four schemas: beside one that is under way a dump may find a table changed, or
# meet it in a deadlock. Each has its advisory lock from its first revision to its last (platform_kit.migrations, 0x504D).
needed="to_regclass('payments.ledger_chain') IS NOT NULL"
[ "${WAIT_S:-0}" = 0 ] || needed="$needed AND 4 = (SELECT count(DISTINCT relnamespace) FROM pg_class
  WHERE relkind IN ('r', 'p') AND relnamespace::regnamespace::text IN ('payments', 'risk', 'pipeline', 'vault'))
  AND NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND classid = 20557
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
waited=0
until [ "$(sql --command "SELECT $needed" 2>/dev/null)" = t ]; do
  [ "$waited" -lt "${WAIT_S:-0}" ] || { echo "backup: no ledger to back up at ${PGHOST:-localhost}/${PGDATABASE:-}" >&2; exit 1; }
  waited=$((waited + 2))
  sleep 2
done

umask 077
stamp=$(date -u +%Y-%m-%dT%H%M%SZ)
[ ! -e "$BACKUP_DIR/$stamp" ] || { echo "backup: $stamp is there already" >&2; exit 1; }
partial=$BACKUP_DIR/.partial-$stamp
export partial
trap 'rm -rf "$partial"' EXIT
mkdir -p "$partial"

# The ledger's hashes and the dump come from one snapshot, so they describe the same instant of a database that goes on
# working. psql holds the snapshot open while pg_dump reads it.
sql --set stamp="$stamp" --set here="$here" <<'SQL'
BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT pg_export_snapshot() AS snapshot \gset
\setenv SNAPSHOT :snapshot
\set definitions :here '/ledger.sql'
\i :definitions
\! pg_dump --format=custom --snapshot="$SNAPSHOT" --file="$partial/platform.dump" --lock-wait-timeout=60s --no-password
\if :SHELL_ERROR
\warn 'backup: pg_dump failed'
\else
\setenv LEDGER :ledger
SELECT current_setting('server_version') AS server, current_database() AS name \gset
\o | cat > "$partial/manifest.json"
SELECT jsonb_pretty(jsonb_build_object('backup', :'stamp', 'database', :'name', 'server_version', :'server',
                                       'ledger', :'ledger'::jsonb));
\o
\endif
SQL
[ -s "$partial/manifest.json" ] || exit 1
pg_restore --list "$partial/platform.dump" >/dev/null
(cd "$partial" && sums platform.dump manifest.json >SHA256SUMS)
mv "$partial" "$BACKUP_DIR/$stamp"
echo "backup: $stamp, $(wc -c <"$BACKUP_DIR/$stamp/platform.dump" | tr -d ' ') bytes"

if [ -n "${BACKUP_KEEP:-}" ]; then
  # Names sort as times do. Only what this script made is ever removed.
  find "$BACKUP_DIR" -mindepth 1 -maxdepth 1 -type d -name '20[0-9][0-9]-*T*Z' | sort -r | tail -n +$((BACKUP_KEEP + 1)) |
    while read -r old; do
      rm -rf "$old"
      echo "backup: removed ${old##*/}, the newest $BACKUP_KEEP stay"
    done
fi
