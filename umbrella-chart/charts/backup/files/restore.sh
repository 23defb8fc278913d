#!/bin/sh
# Restore a backup into a new database, compare its ledger with the manifest, and then
#   RESTORE_AS=drill     drop it again: the backup is proven to be one (default)
#   RESTORE_AS=replace   let it take the place of PGDATABASE; the old database stays under another name
#
#   restore.sh [BACKUP]  a directory below BACKUP_DIR; the newest without
#   PGHOST PGPORT PGUSER PGPASSWORD or PGPASSWORD_FILE: a role that may create databases and roles
#   PGDATABASE           the platform's database (default: platform)
# A restore that fails leaves the live database as it was.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
if [ -n "${PGPASSWORD_FILE:-}" ]; then PGPASSWORD=$(cat "$PGPASSWORD_FILE") && export PGPASSWORD; fi
live=${PGDATABASE:-platform}
roles=${ROLES_FILE:-$here/roles.sql}
export PGDATABASE=postgres
die() { echo "restore: $*" >&2; exit 1; }
sql() { psql --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 --set VERBOSITY=terse "$@"; }
check() { if command -v sha256sum >/dev/null; then sha256sum --check --quiet "$1"; else shasum -a 256 --check --quiet "$1"; fi; }

name=${1:-}
[ -n "$name" ] || name=$(find "$BACKUP_DIR" -mindepth 1 -maxdepth 1 -type d -name '20[0-9][0-9]-*T*Z' | sort | tail -n 1)
name=${name##*/}
backup=$BACKUP_DIR/$name
[ -n "$name" ] && [ -f "$backup/manifest.json" ] || die "no backup ${name:-at all} in $BACKUP_DIR"
(cd "$backup" && check SHA256SUMS) || die "$name is damaged: its checksums do not fit"

now=$(date -u +%Y%m%d%H%M%S)
restored=${live}_restoring_$now
trap 'sql --command "DROP DATABASE IF EXISTS \"$restored\" WITH (FORCE)"' EXIT
began=$(date +%s)
sql --command "CREATE DATABASE \"$restored\" TEMPLATE template0"
# Roles are the server's, not the database's, and no dump has them: here from the same file as everywhere. Where they are
# there already, their passwords stay. The schemas come from the dump, with their owners and grants.
sql --dbname "$restored" --file "$roles" >/dev/null
sql --dbname "$restored" --command "DROP SCHEMA payments, risk, pipeline, vault"
pg_restore --dbname "$restored" --exit-on-error --no-password --jobs "${RESTORE_JOBS:-2}" "$backup/platform.dump"
# who may connect: a property of the database that the dump does not carry
sql --dbname "$restored" --file "$roles" >/dev/null
sql --dbname "$restored" --command ANALYZE

same=$(sql --dbname "$restored" --set here="$here" --set wanted="$(cat "$backup/manifest.json")" <<'SQL'
BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;
\set definitions :here '/ledger.sql'
\i :definitions
SELECT CASE WHEN :'wanted'::jsonb -> 'ledger' IS DISTINCT FROM :'ledger'::jsonb
    THEN 'the ledger differs: ' || (
        SELECT string_agg(key || ' was ' || coalesce(wanted.value::text, 'absent') || ' and is ' || coalesce(found.value::text, 'absent'), '; ')
        FROM jsonb_each(:'wanted'::jsonb -> 'ledger') wanted FULL JOIN jsonb_each(:'ledger'::jsonb) found USING (key)
        WHERE wanted.value IS DISTINCT FROM found.value)
    WHEN NOT (:'ledger'::jsonb ->> 'balanced')::boolean THEN 'the ledger does not balance'
    ELSE 'same: ' || (:'ledger'::jsonb ->> 'transfers') || ' transfers, hash ' || left(:'ledger'::jsonb ->> 'transfer_hash', 16)
        || ', chain ' || (:'ledger'::jsonb ->> 'chain_length') || ' long' END;
SQL
)
case $same in
same:*) echo "restore: $name restored in $(($(date +%s) - began)) s; the ledger is the ${same}" ;;
*) die "$name: $same" ;;
esac
[ "${RESTORE_AS:-drill}" = replace ] || exit 0

# In the old one's place. Nobody is connected in between; the two names change in one transaction.
sql --set live="$live" --set restored="$restored" --set before="${live}_before_$now" <<'SQL'
SELECT EXISTS (SELECT FROM pg_database WHERE datname = :'live') AS there \gset
\if :there
ALTER DATABASE :"live" WITH ALLOW_CONNECTIONS false;
\endif
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname IN (:'live', :'restored') \g /dev/null
BEGIN;
\if :there
ALTER DATABASE :"live" RENAME TO :"before";
\endif
ALTER DATABASE :"restored" RENAME TO :"live";
COMMIT;
SQL
trap - EXIT
echo "restore: $live is now the backup $name; the database before it is ${live}_before_$now, closed to connections"
