#!/usr/bin/env bash
# Renews or checks .sqlx, the committed descriptions of every SQL statement, against a private
# Postgres that has just been migrated. Nothing but Postgres and cargo is needed.
#
#   deploy/sql.sh renew     rewrites .sqlx; statements that are gone lose their file
#   deploy/sql.sh check     fails, and shows the difference, when .sqlx does not match the sources
set -euo pipefail

verb=${1:-}
case $verb in
    renew | check) ;;
    *) echo "usage: deploy/sql.sh renew|check" >&2 && exit 2 ;;
esac

cd "$(dirname "$0")/.."
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1 || true)
[ -z "$bin" ] || PATH=$bin:$PATH
for program in initdb postgres psql; do
    command -v "$program" >/dev/null || { echo "$program was not found: run deploy/install.sh" >&2; exit 1; }
done

work=$(mktemp -d "${TMPDIR:-/tmp}/payfleet-sql-XXXXXX")
postgres_pid=""
clean_up() {
    if [ -n "$postgres_pid" ]; then
        kill -QUIT "$postgres_pid" 2>/dev/null || true
        wait "$postgres_pid" 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# Postgres does not run as root; the socket folder is its only way in.
mkdir "$work/pg" "$work/sqlx"
as_owner=()
if [ "$(id -u)" = 0 ]; then
    owner=$(id -u postgres 2>/dev/null || id -u nobody)
    chmod 711 "$work" && chown "$owner" "$work/pg"
    as_owner=(setpriv --reuid "$owner" --clear-groups)
fi
(cd / && "${as_owner[@]}" "$(command -v initdb)" -D "$work/pg/data" -U payfleet --auth=trust --encoding=UTF8 \
    --locale=C --no-sync >"$work/initdb.log" 2>&1) || { cat "$work/initdb.log" >&2; exit 1; }
# exec: the pid is that of postgres itself.
(cd / && exec "${as_owner[@]}" "$(command -v postgres)" -D "$work/pg/data" -k "$work/pg" -c listen_addresses= \
    -c fsync=off) >"$work/postgres.log" 2>&1 &
postgres_pid=$!
sql=(psql -X -q -h "$work/pg" -U payfleet -v ON_ERROR_STOP=1)
for _ in $(seq 300); do
    "${sql[@]}" -d postgres -c 'SELECT' >/dev/null 2>&1 && break
    kill -0 "$postgres_pid" 2>/dev/null || break
    sleep 0.1
done
"${sql[@]}" -d postgres -c 'CREATE DATABASE payfleet' || { cat "$work/postgres.log" >&2; exit 1; }
for migration in migrations/*.sql; do
    "${sql[@]}" -d payfleet --single-transaction -f "$migration" >/dev/null
done

# A flag that was never used before makes cargo compile the crate, and so describe every statement.
DATABASE_URL="postgres://payfleet@localhost/payfleet?host=$work/pg" SQLX_OFFLINE=false SQLX_OFFLINE_DIR="$work/sqlx" \
    cargo rustc -q -p payfleet-store --lib --profile check -- --cfg "described_$$_$(date +%s)"

described=$(find "$work/sqlx" -name 'query-*.json' | wc -l)
[ "$described" -gt 0 ] || { echo "no statement was described: is payfleet-store empty?" >&2; exit 1; }
if [ "$verb" = check ]; then
    diff -rq .sqlx "$work/sqlx" >&2 || { echo ".sqlx is stale: run 'make sql' and commit it" >&2; exit 1; }
    echo "sql: $described statements match .sqlx"
else
    mkdir -p .sqlx
    rm -f .sqlx/query-*.json
    cp "$work"/sqlx/query-*.json .sqlx/
    echo "sql: $described statements described in .sqlx"
fi
