#!/bin/sh
# Brings schemas, roles, passwords and grants to what roles.sql says. Runs after every start of the server (postStart),
# not only at the first: the image's own init scripts never run again on a volume where they were interrupted, and a
# role that a later version adds, or a password that changed, would never arrive.
set -eu

# TCP, because during the image's first initialisation a temporary server answers on the socket.
waited=0
until pg_isready --quiet --host 127.0.0.1; do
  waited=$((waited + 1))
  [ "$waited" -le 240 ] || { echo "postgres did not answer for 120 s" >&2; exit 1; }
  sleep 0.5
done

options=
for role in payments_owner payments_app risk_owner risk_app pipeline_owner pipeline_app vault_owner vault_app platform_backup; do
  options="$options -c platform.${role}_password=$(cat "/run/secrets/platform/${role}_password")"
done
PGOPTIONS=$options psql --no-psqlrc --quiet --username postgres --dbname platform \
  --set ON_ERROR_STOP=1 --set VERBOSITY=terse --file /etc/platform/roles.sql
