#!/usr/bin/env bash
# Everyday tools inside `reprise-sandbox exec`, each by the names and ports that its users write at home: nothing is resolved,
# trusted or forwarded for them here.
client=by-name
. "$LIB/check.sh"
inside() { "$SANDBOX" exec --dir "$WORLD" -- "$@"; }
inside true
if [ $? -eq 125 ]; then
  # Every name of the world would go untried: only who says that this machine is like that is not told of a failure.
  if [ "${ALLOW_NO_NAMESPACES:-}" = 1 ]; then outcome=not-offered; else outcome=failed; fi
  report 'every tool by its name' "$outcome" 'namespaces are not allowed here (ALLOW_NO_NAMESPACES=1 lets that be)'
  exit 0
fi
app=conformance-by-name
login "$SCALINGO_API_TOKEN" "$SCRATCH/bearer"
api 201 POST /apps -d "{\"app\":{\"name\":\"$app\"}}"
pg=$(provision "$app" postgresql postgresql-starter-512)
redis=$(provision "$app" redis redis-starter-256)
within 60 addon_runs "$app" "$pg"
within 60 addon_runs "$app" "$redis"

# --- apps ---
healthy() { inside curl -sS -f --max-time 30 "$@" >"$SCRATCH/answer" && [ -s "$SCRATCH/answer" ]; }
check 'curl: an app by its domain, HTTPS, the CA trusted' healthy "https://siap.$DNS_ZONE/healthz"
check 'curl: an app by its default domain' healthy https://apilos-siap.osc-fr1.scalingo.test/healthz
plain() {
  same "$(inside curl -sS -o /dev/null --max-time 30 -w '%{http_code} %{redirect_url}' "http://siap.$DNS_ZONE/healthz")" \
    "301 https://siap.$DNS_ZONE/healthz"
}
check 'curl: port 80 leads to HTTPS' plain
verified() {
  inside openssl s_client -connect "siap.$DNS_ZONE:443" -servername "siap.$DNS_ZONE" -verify_hostname "siap.$DNS_ZONE" \
    -verify_return_error </dev/null >"$SCRATCH/tls" 2>&1 || fail "$(tail -n 2 "$SCRATCH/tls" | tr '\n' ' ')"
  grep -q 'Verify return code: 0' "$SCRATCH/tls"
}
check 'openssl s_client: chain and name are good' verified
foreign() { ! curl -sS --max-time 10 "https://siap.$DNS_ZONE/healthz" >/dev/null 2>&1 || fail 'the name is known outside of exec'; }
check 'curl: outside of exec the name means nothing' foreign

# --- databases: credentials through the environment, not the arguments ---
part() { python3 -c 'import sys, urllib.parse as u; p = u.urlsplit(sys.stdin.read()); print({"user": p.username, "password": u.unquote(p.password or ""), "name": p.path[1:], "host": p.hostname, "port": p.port}[sys.argv[1]])' "$1"; }
pg_url=$(variable "$app" DATABASE_URL)
redis_url=$(variable "$app" REDIS_URL)
PGUSER=$(printf '%s' "$pg_url" | part user) PGPASSWORD=$(printf '%s' "$pg_url" | part password) PGDATABASE=$(printf '%s' "$pg_url" | part name)
PGHOST=$(printf '%s' "$pg_url" | part host) PGPORT=$(printf '%s' "$pg_url" | part port) REDISCLI_AUTH=$(printf '%s' "$redis_url" | part password)
export PGUSER PGPASSWORD PGDATABASE PGHOST PGPORT REDISCLI_AUTH PGCONNECT_TIMEOUT=10
curl -sS -f "$SCALINGO_DB_URL/api/ca_certificate" -o "$SCRATCH/ca.pem"
sql() { inside psql -X -qAt -v ON_ERROR_STOP=1 "$@"; }
prefer() { same "$(PGSSLMODE=prefer sql -c 'SELECT 6 * 7')" 42; }
check 'psql: by the host of DATABASE_URL, sslmode=prefer' prefer
full() { same "$(PGSSLMODE=verify-full PGSSLROOTCERT="$SCRATCH/ca.pem" sql -c 'SELECT 6 * 7')" 42; }
check 'psql: sslmode=verify-full with the published CA' full
dump() {
  PGSSLMODE=prefer sql -c 'CREATE TABLE kept AS SELECT generate_series(1, 100) AS n'
  PGSSLMODE=prefer inside pg_dump -Fc -f "$SCRATCH/dump"
  PGSSLMODE=prefer sql -c 'DROP TABLE kept'
  PGSSLMODE=prefer inside pg_restore --no-owner -j 2 -d "$PGDATABASE" "$SCRATCH/dump"
  same "$(PGSSLMODE=prefer sql -c 'SELECT count(*) FROM kept')" 100
}
check 'pg_dump, pg_restore -j 2: by name' dump
cut() { ! PGHOST=127.0.0.1 PGSSLMODE=prefer psql -X -w -qAt -c 'SELECT 1' >/dev/null 2>&1 || fail 'a process outside of exec came in'; }
check 'psql: outside of exec the database is closed' cut
ping() {
  local host port
  host=$(printf '%s' "$redis_url" | part host)
  port=$(printf '%s' "$redis_url" | part port)
  same "$(inside redis-cli --no-auth-warning --user "$(printf '%s' "$redis_url" | part user)" -h "$host" -p "$port" PING)" PONG
}
check 'redis-cli: by the host of REDIS_URL' ping

# --- buckets ---
export AWS_ACCESS_KEY_ID=$S3_SOURCE_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY=$S3_SOURCE_SECRET_ACCESS_KEY AWS_DEFAULT_REGION=$AWS_REGION
export AWS_PAGER='' AWS_CONFIG_FILE="$SCRATCH/aws" AWS_SHARED_CREDENTIALS_FILE="$SCRATCH/none" AWS_ENDPOINT_URL=https://s3.fr-par.scw.test
printf '[default]\ns3 =\n  addressing_style = virtual\n' >"$AWS_CONFIG_FILE"
bucket=by-name-$$
buckets() {
  echo 'by its own name' >"$SCRATCH/a.txt"
  inside aws s3 mb "s3://$bucket"
  inside aws s3 cp "$SCRATCH/a.txt" "s3://$bucket/dir/a b.txt" --debug 2>"$SCRATCH/aws.log"
  grep -q "https://$bucket.s3.fr-par.scw.test" "$SCRATCH/aws.log" || fail 'the bucket is not in the host name'
  inside aws s3 cp "s3://$bucket/dir/a b.txt" "$SCRATCH/back.txt"
  cmp "$SCRATCH/a.txt" "$SCRATCH/back.txt"
  inside aws s3 ls "s3://$bucket/dir/" | among 'a b.txt'
}
check 'aws: a bucket by its host name, HTTPS' buckets
presigned() {
  local url
  url=$(inside aws s3 presign "s3://$bucket/dir/a b.txt" --expires-in 300)
  case $url in "https://$bucket.s3.fr-par.scw.test/"*) ;; *) fail 'the bucket is not in the host name' ;; esac
  same "$(inside curl -sS -f "$url")" 'by its own name'
}
check 'curl: a presigned address of a bucket' presigned

# --- the git server ---
export GIT_SSH_COMMAND="ssh -i '$SCALINGO_SSH_KEY' -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile='$SCRATCH/known_hosts' -o BatchMode=yes"
vendor=ssh.osc-fr1.scalingo.com
host_key() {
  inside ssh-keyscan "$vendor" 2>/dev/null >"$SCRATCH/known_hosts"
  ssh-keygen -lf "$SCRATCH/known_hosts" | among -F "$SCALINGO_SSH_FINGERPRINT"
}
no_shell() {
  local code=0
  inside ssh -i "$SCALINGO_SSH_KEY" -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile="$SCRATCH/known_hosts" \
    -o BatchMode=yes "git@$vendor" id >"$SCRATCH/shell" 2>&1 || code=$?
  same "$code" 1
  ! grep -q 'uid=' "$SCRATCH/shell" || fail 'a shell'
}
push() {
  local repo="$SCRATCH/repo"
  git init -q -b main "$repo"
  git -C "$repo" config user.email dev@example.test
  git -C "$repo" config user.name Dev
  printf 'web: exec python3 -m http.server "$PORT"\n' >"$repo/Procfile"
  echo 'pushed by name' >"$repo/index.html"
  git -C "$repo" add -A
  git -C "$repo" commit -qm one
  git -C "$repo" remote add scalingo "git@$vendor:$app.git"
  inside git -C "$repo" push scalingo main >"$SCRATCH/push" 2>&1 || fail "$(tail -n 3 "$SCRATCH/push" | tr '\n' ' ')"
  inside git -C "$repo" ls-remote scalingo | among "$(git -C "$repo" rev-parse HEAD)"
  shown() { same "$(inside curl -sS -f "https://$app.osc-fr1.scalingo.test/")" 'pushed by name'; }
  within 20 shown
}
if inside bash -c "exec 3<>/dev/tcp/$vendor/22" 2>/dev/null; then
  check 'ssh-keyscan: the published fingerprint on port 22' host_key
  check "ssh: git@$vendor, no shell" no_shell
  check "git push, ls-remote: git@$vendor:APP.git" push
else
  report "git and ssh: git@$vendor" not-offered "the machine's own SSH server has port 22 on every address"
fi
