#!/usr/bin/env bash
# ssh -L to the private network; psql, pg_dump, pg_restore and redis-cli through it.
client=tunnel
. "$LIB/check.sh"
app=conformance-tunnel
login "$SCALINGO_API_TOKEN" "$SCRATCH/bearer"
api 201 POST /apps -d "{\"app\":{\"name\":\"$app\"}}"
pg=$(provision "$app" postgresql postgresql-starter-512)
redis=$(provision "$app" redis redis-starter-256)
within 60 addon_runs "$app" "$pg"
within 60 addon_runs "$app" "$redis"
ssh_to() { ssh -i "$SCALINGO_SSH_KEY" -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o BatchMode=yes -o ExitOnForwardFailure=yes -p "${SCALINGO_SSH_HOST##*:}" "$@" "git@${SCALINGO_SSH_HOST%:*}"; }
port_of() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
tunnels=()
stop() { for pid in "${tunnels[@]:+${tunnels[@]}}"; do kill "$pid" 2>/dev/null; done; }
trap stop EXIT
listening() { (: </dev/tcp/127.0.0.1/"$1") 2>/dev/null; }
tunnel() { # file, database URL: opens one, writes its port
  local there port
  there=${2##*@}
  there=${there%%/*}
  port=$(port_of)
  ssh_to -N -L "127.0.0.1:$port:$there" >/dev/null 2>"$SCRATCH/$1.err" &
  tunnels+=("$!")
  keep "$1" "$port"
  within 30 listening "$port"
}
pg_url=$(variable "$app" DATABASE_URL)
redis_url=$(variable "$app" REDIS_URL)
# Credentials through the environment, not the arguments.
field() { python3 -c 'import sys, urllib.parse as u; p = u.urlsplit(sys.stdin.read()); print(u.unquote({"user": p.username or "", "password": p.password or "", "name": p.path[1:]}[sys.argv[1]]))' "$1"; }
PGUSER=$(printf '%s' "$pg_url" | field user) PGPASSWORD=$(printf '%s' "$pg_url" | field password) PGDATABASE=$(printf '%s' "$pg_url" | field name)
REDISCLI_AUTH=$(printf '%s' "$redis_url" | field password)
export PGUSER PGPASSWORD PGDATABASE REDISCLI_AUTH PGHOST=127.0.0.1 PGCONNECT_TIMEOUT=10 PGSSLMODE=prefer
tunnel pg "$pg_url"
tunnel redis "$redis_url"
PGPORT=$(kept pg) && export PGPORT
sql() { psql -X -qAt -v ON_ERROR_STOP=1 "$@"; }

check 'psql: through ssh -L, sslmode=prefer' sql -c 'SELECT 1'
required() { PGSSLMODE=require psql -X -c '\conninfo' | grep 'SSL connection'; }
check 'psql: sslmode=require' required
disabled() { PGSSLMODE=disable sql -c 'SELECT 1'; }
check 'psql: sslmode=disable while force-ssl is off' disabled
forced() {
  enter "$app" "$pg" pg.bearer
  db pg.bearer 200 POST "/databases/$pg/features" -d '{"feature":{"name":"force-ssl"}}'
  active() { db pg.bearer 200 GET "/databases/$pg" && holds '.database.features | any(.name == "force-ssl" and .status == "ACTIVATED")'; }
  within 30 active
  ! PGSSLMODE=disable sql -c 'SELECT 1' 2>/dev/null || fail 'plain text is still accepted'
  PGSSLMODE=require sql -c 'SELECT 1'
}
check 'psql: force-ssl refuses plain text' forced
ca() {
  curl -sS -f "$SCALINGO_DB_URL/api/ca_certificate" -o "$SCRATCH/ca.pem"
  openssl x509 -in "$SCRATCH/ca.pem" -noout -subject
  PGSSLMODE=verify-ca PGSSLROOTCERT="$SCRATCH/ca.pem" sql -c 'SELECT 1'
}
check 'psql: sslmode=verify-ca with the published CA' ca
rights() {
  sql -c 'CREATE TABLE t (id serial PRIMARY KEY, v text NOT NULL); INSERT INTO t (v) SELECT repeat(g::text, 20) FROM generate_series(1, 2000) g'
  sql -c 'CREATE EXTENSION IF NOT EXISTS pg_trgm; CREATE EXTENSION IF NOT EXISTS pgcrypto'
  ! sql -c 'CREATE ROLE intruder' 2>/dev/null || fail 'the default user makes roles'
}
check 'psql: tables, allowed extensions, no roles' rights
several() { # several sessions over one tunnel
  local i
  for i in 1 2 3 4 5 6; do sql -c 'SELECT pg_sleep(0.5)' & done
  same "$(sql -c "SELECT count(*) FROM t")" 2000
  for i in $(jobs -p); do wait "$i"; done
}
check 'psql: several sessions over one connection' several
readonly_user() {
  enter "$app" "$pg" pg.bearer
  db pg.bearer 201 POST "/databases/$pg/users" -d "{\"database_user\":{\"database_id\":\"$pg\",\"name\":\"lectureseule\",\"read_only\":true}}"
  PGPASSWORD=$(json .database_user.password)
  export PGPASSWORD
  same "$(PGUSER=lectureseule sql -c 'SELECT count(*) FROM t')" 2000
  ! PGUSER=lectureseule sql -c 'DELETE FROM t' 2>/dev/null || fail 'a read-only user deletes'
}
check 'psql: a read-only user reads and does not write' readonly_user
dump() {
  pg_dump -Fc -f "$SCRATCH/t.dump"
  sql -c 'DROP TABLE t'
  # Extensions belong to the platform: they stay out of the list, as its users leave them out.
  pg_restore -l "$SCRATCH/t.dump" | grep -v ' EXTENSION ' >"$SCRATCH/t.list"
  pg_restore -L "$SCRATCH/t.list" --clean --if-exists --no-owner --no-privileges --no-comments -d "$PGDATABASE" "$SCRATCH/t.dump"
  same "$(sql -c 'SELECT count(*) FROM t')" 2000
}
check 'pg_dump, pg_restore' dump
parallel() {
  pg_dump -Fd -j 2 -f "$SCRATCH/t.dir"
  sql -c 'DROP TABLE t'
  pg_restore -j 2 --no-owner -d "$PGDATABASE" -t t "$SCRATCH/t.dir" && same "$(sql -c 'SELECT count(*) FROM t')" 2000
}
check 'pg_dump, pg_restore: parallel' parallel
copy() {
  seq 1 200000 | sed 's/$/,x/' >"$SCRATCH/rows.csv"
  sql -c 'CREATE TABLE big (a int, b text)' -c "\\copy big FROM '$SCRATCH/rows.csv' CSV" -c 'SELECT count(*) FROM big' | among -x 200000
}
check 'psql: \copy of 200,000 rows' copy
elsewhere() {
  local port
  port=$(port_of)
  ssh_to -N -L "127.0.0.1:$port:${CONTROL_URL#http://}" >/dev/null 2>&1 &
  tunnels+=("$!")
  within 30 listening "$port"
  ! curl -sS -m 5 "http://127.0.0.1:$port/inventory" 2>/dev/null | among apps || fail 'the tunnel leads anywhere'
}
check 'ssh -L: only to databases' elsewhere
direct() {
  local there
  there=${pg_url##*@}
  there=${there%%/*}
  ! PGHOST=127.0.0.1 PGPORT=${there##*:} PGSSLMODE=disable timeout 10 psql -X -c 'SELECT 1' >/dev/null 2>&1 || fail 'no tunnel is needed'
}
check 'psql: not without the tunnel' direct

rcli() { redis-cli --no-auth-warning -h 127.0.0.1 -p "$(kept redis)" "$@"; }
ping() { same "$(rcli PING)" PONG; }
check 'redis-cli: through ssh -L' ping
values() {
  same "$(rcli SET k 'v é')" OK
  same "$(rcli GET k)" 'v é'
  rcli RPUSH l 1 2 3 >/dev/null
  same "$(rcli LLEN l)" 3
  rcli INFO server | among redis_version
}
check 'redis-cli: values, lists, INFO' values
unauthenticated() { REDISCLI_AUTH='' redis-cli -h 127.0.0.1 -p "$(kept redis)" GET k | among NOAUTH; }
check 'redis-cli: refused without the password' unauthenticated
piped() {
  seq 1 5000 | sed 's/.*/SET key:& &/' | rcli >/dev/null
  [ "$(rcli DBSIZE)" -ge 5000 ] || fail "only $(rcli DBSIZE) keys"
}
check 'redis-cli: 5,000 commands in a pipe' piped
