#!/usr/bin/env bash
# curl at addons and the database API: provisioning, database, users, features, backups and their archives; sources, deployments, domains.
client=curl-database
. "$LIB/check.sh"
app=conformance-curl-db
login "$SCALINGO_API_TOKEN" "$SCRATCH/bearer"
api 201 POST /apps -d "{\"app\":{\"name\":\"$app\"}}"

refusals() {
  api 400 POST "/apps/$app/addons" -d '{"addon":{"addon_provider_id":"postgresql"}}'
  holds '.error == "plan_id is required"'
  api 404 POST "/apps/$app/addons" -d '{"addon":{"addon_provider_id":"postgresql","plan_id":"000000000000000000000000"}}'
  holds '.resource == "plan"'
}
check 'addons.provision: no plan, unknown plan' refusals
provision_both() {
  keep pg "$(provision "$app" postgresql postgresql-starter-512)"
  holds '(.addon.status == "provisioning") and (.addon.id | startswith("ad-")) and .message and .addon.addon_provider.name == "PostgreSQL"'
  keep redis "$(provision "$app" redis redis-starter-256)"
  within 60 addon_runs "$app" "$(kept pg)"
  within 60 addon_runs "$app" "$(kept redis)"
  api 200 GET "/apps/$app/addons"
  holds '.addons | length == 2 and all(.status == "running" and .provisioned_at and .resource_id)'
}
check 'addons: provision, poll, list' provision_both
addon_variables() {
  api 200 GET "/apps/$app/variables"
  holds '[.variables[] | {(.name): .value}] | add | .DATABASE_URL == "$SCALINGO_POSTGRESQL_URL" and .REDIS_URL == "$SCALINGO_REDIS_URL"
    and (.SCALINGO_POSTGRESQL_URL | test("^postgres(ql)?://.*sslmode=prefer$")) and (.SCALINGO_REDIS_URL | startswith("redis"))'
}
check 'addons: their variables and aliases' addon_variables
sandbox_plan() {
  local id
  http 200 GET "$API/v1/addon_providers/postgresql/plans?show_all=true"
  id=$(json '.plans[] | select(.name == "postgresql-sandbox") | .id')
  api 201 POST "/apps/$app/addons" -d "{\"addon\":{\"addon_provider_id\":\"postgresql\",\"plan_id\":\"$id\"}}"
  holds '.addon.plan.name == "postgresql-starter-512"'
  id=$(json .addon.id)
  within 60 addon_runs "$app" "$id"
  api 204 DELETE "/apps/$app/addons/$id"
}
check 'addons: a free plan becomes the smallest paid one' sandbox_plan

token() { enter "$app" "$(kept pg)" pg.bearer && enter "$app" "$(kept redis)" redis.bearer; }
check addons.token token
show() {
  db pg.bearer 200 GET "/databases/$(kept pg)"
  holds '.database | .status == "running" and .type_name == "postgresql" and (.readable_version | test("^[0-9]+\\.[0-9]+\\.[0-9]+-[0-9]+$"))
    and (.features | type == "array") and (.instances | length > 0) and (.hostname | test(":[0-9]+$")) and .current_operation_id == null
    and (.periodic_backups_scheduled_at | type == "array") and .maintenance_window.duration_in_hour'
  keep database "$(json .database.id)"
  db redis.bearer 200 GET "/databases/$(kept redis)"
  holds '.database.type_name == "redis"'
}
check databases.get show
wrong_token() {
  db redis.bearer 400 GET "/databases/$(kept pg)"
  holds '.error == "unauthorized"'
}
check 'databases.get: token of another database' wrong_token
instances() { db pg.bearer 200 GET "/databases/$(kept pg)/instances_status" && holds 'type == "array"'; }
check 'databases: instances_status is an array' instances
schedule() {
  db pg.bearer 200 PATCH "/databases/$(kept pg)" -d '{"database":{"periodic_backups_enabled":true,"periodic_backups_scheduled_at":3}}'
  holds '.database.periodic_backups_scheduled_at == [3]'
  db pg.bearer 200 PUT "/databases/$(kept pg)" -d '{"database":{"maintenance_window":{"weekday_utc":3,"starting_hour_utc":4}}}'
  holds '.database.maintenance_window.weekday_utc == 3'
}
check 'databases.update: backup hour, maintenance window' schedule
activated() {
  db pg.bearer 200 GET "/databases/$(kept pg)"
  json '.database.features[] | select(.name == "force-ssl" and .status == "ACTIVATED")' >/dev/null 2>&1
}
features() {
  db pg.bearer 200 POST "/databases/$(kept pg)/features" -d '{"feature":{"name":"force-ssl","status":""}}'
  holds '.name == "force-ssl" and .status'
  within 30 activated
  db pg.bearer 200 DELETE "/databases/$(kept pg)/features?feature=force-ssl"
  holds 'has("message")'
}
check 'databases: enable and disable a feature' features
users() {
  local base
  base="/databases/$(kept pg)/users"
  db pg.bearer 201 POST "$base" -d "{\"database_user\":{\"database_id\":\"$(kept pg)\",\"name\":\"lectureseule\",\"read_only\":true}}"
  holds '.database_user | .name == "lectureseule" and .read_only and (.protected | not) and (.password | length >= 24)'
  db pg.bearer 200 GET "$base"
  holds '."database-users" | any(.protected) and any(.name == "lectureseule") and all(has("password") | not)'
  db pg.bearer 200 POST "$base/lectureseule/reset_password" -d '{}'
  holds '.database_user.password | length >= 24'
  db pg.bearer 422 POST "$base" -d '{"database_user":{"name":"x","read_only":true}}'
  db pg.bearer 204 DELETE "$base/lectureseule"
  db pg.bearer 404 DELETE "$base/lectureseule"
}
check 'database users: create, list, reset, bad name, delete' users
protected() {
  db pg.bearer 200 GET "/databases/$(kept pg)/users"
  local name
  name=$(json '."database-users"[] | select(.protected) | .name')
  printf '%s' "$name" >"$SCRATCH/kept.owner"
  local status
  status=$(curl -sS -o /dev/null -w '%{http_code}' -X DELETE -K "$SCRATCH/pg.bearer" "$DBAPI/api/databases/$(kept pg)/users/$name")
  case $status in 4??) ;; *) fail "deleting the protected user: $status" ;; esac
}
check 'database users: the default one is protected' protected
backup_done() { db pg.bearer 200 GET "/databases/$(kept pg)/backups/$(kept backup)" && [ "$(json .database_backup.status)" = done ]; }
backup() {
  db pg.bearer 201 POST "/databases/$(kept pg)/backups" -d '{}'
  holds '.database_backup | .status == "scheduled" and .size == null and .started_at == null and .method == "manual"'
  holds --arg id "$(kept database)" '.database_backup | .database_id == $id and (.name | test("^[0-9]{14}_"))'
  keep backup "$(json .database_backup.id)"
  within 60 backup_done
  db pg.bearer 200 GET "/backups/$(kept backup)"
  holds '.database_backup.size > 0'
  db pg.bearer 200 GET "/databases/$(kept pg)/backups"
  holds '.database_backups | length > 0 and (map(.created_at) | . == (sort | reverse))'
}
check 'backups: create, poll (both paths), list newest first' backup
archive() {
  db pg.bearer 200 GET "/databases/$(kept pg)/backups/$(kept backup)/archive"
  http 200 GET "$(json .download_url)"
  tar -tzf "$SCRATCH/body" >"$SCRATCH/members"
  same "$(wc -l <"$SCRATCH/members")" 1
  tar -xzOf "$SCRATCH/body" >"$SCRATCH/dump"
  pg_restore -l "$SCRATCH/dump" >"$SCRATCH/toc"
  grep -q '^;.*Format: CUSTOM' "$SCRATCH/toc"
}
check 'backups: download without Authorization; pg_restore -l reads it' archive
tampered() {
  db pg.bearer 200 GET "/databases/$(kept pg)/backups/$(kept backup)/archive"
  local url status
  url=$(json .download_url)
  status=$(curl -sS -o /dev/null -w '%{http_code}' "${url}x")
  case $status in 4??) ;; *) fail "a changed URL is served: $status" ;; esac
}
check 'backups: a changed download URL is refused' tampered
redis_backed_up() { db redis.bearer 200 GET "/databases/$(kept redis)/backups/$(kept rdb)" && [ "$(json .database_backup.status)" = done ]; }
redis_backup() {
  db redis.bearer 201 POST "/databases/$(kept redis)/backups" -d '{}'
  keep rdb "$(json .database_backup.id)"
  within 60 redis_backed_up
  db redis.bearer 200 GET "/databases/$(kept redis)/backups/$(kept rdb)/archive"
  http 200 GET "$(json .download_url)"
  tar -xzOf "$SCRATCH/body" >"$SCRATCH/rdb"
  same "$(head -c 5 "$SCRATCH/rdb")" REDIS
}
check 'backups: a Redis, as it writes itself' redis_backup
pitr() {
  local status
  status=$(curl -sS -o /dev/null -w '%{http_code}' -X POST -K "$SCRATCH/pg.bearer" \
    -d '{"restore_time":"2020-01-01T00:00:00Z"}' "$DBAPI/api/databases/$(kept pg)/pitr/restore")
  case $status in 4??) ;; *) fail "PITR: $status" ;; esac
}
check 'databases: point-in-time recovery is refused' pitr
dashboard() { # the newest dashboard's shapes: regional API host, the user's own bearer
  http 200 GET "$API/api/databases/$(kept pg)" -K "$SCRATCH/bearer"
  holds '.database.status'
  http 200 GET "$API/api/databases/$(kept pg)/backups" -K "$SCRATCH/bearer"
  holds '.database_backups | length > 0'
  http 200 GET "$API/api/databases/$(kept pg)/backups/$(kept backup)/archive" -K "$SCRATCH/bearer"
  http 200 GET "$API/api/databases/$(kept pg)/users" -K "$SCRATCH/bearer"
}
check 'databases: by the regional host with the user bearer' dashboard
later() { # later Go clients: the regional API itself, and no token of the addon
  local one
  one=/databases/$(kept pg)
  api 200 GET "$one"
  holds '.database.type_name == "postgresql"'
  api 200 GET "/database_type_versions/$(json .database.version_id)"
  api 200 PATCH "$one" -d '{"database":{"periodic_backups_scheduled_at":4,"periodic_backups_enabled":true}}'
  holds '.database.periodic_backups_enabled'
  api 201 POST "$one/users" -d '{"database_user":{"name":"lateruser","read_only":true}}'
  api 200 GET "$one/users"
  holds '."database-users" | any(.name == "lateruser")'
  api 204 DELETE "$one/users/lateruser"
  api 200 GET "$one/maintenance"
  holds '.maintenance | type == "array"'
}
check 'databases: as later Go clients ask, by the regional API' later
plan_change() {
  local id
  id=$(plan postgresql postgresql-starter-1024)
  api 200 PATCH "/apps/$app/addons/$(kept pg)" -d "{\"addon\":{\"plan_id\":\"$id\"}}"
  holds '.addon | .status == "provisioning" and .plan.name == "postgresql-starter-1024"'
  within 60 addon_runs "$app" "$(kept pg)"
  api 200 POST "/apps/$app/addons/$(kept pg)/sso" -d '{}'
  holds '.addon.sso_url'
}
check 'addons: plan change provisions again; sso' plan_change
remove() {
  api 204 DELETE "/apps/$app/addons/$(kept redis)"
  api 404 DELETE "/apps/$app/addons/$(kept redis)"
  api 200 GET "/apps/$app/variables"
  holds '[.variables[].name] | index("REDIS_URL") | not'
}
check 'addons.delete: variables go with it; twice is 404' remove

sources() {
  mkdir -p "$SCRATCH/tree/site/bin"
  printf 'web: exec python3 -m http.server "$PORT"\n' >"$SCRATCH/tree/site/Procfile"
  printf '#!/bin/sh\necho "this is the build"\n' >"$SCRATCH/tree/site/bin/build"
  chmod +x "$SCRATCH/tree/site/bin/build"
  echo '<p>from an archive</p>' >"$SCRATCH/tree/site/index.html"
  tar -czf "$SCRATCH/site.tar.gz" -C "$SCRATCH/tree" site
  upload "$SCRATCH/site.tar.gz"
}
upload() {
  api 201 POST /sources -d '{}'
  holds '.source.upload_url and .source.download_url'
  keep source "$(json .source.download_url)"
  http 200 PUT "$(json .source.upload_url)" -H 'Content-Type: application/x-gzip' --data-binary "@$1"
}
check 'sources: create, upload' sources
start() { # git ref
  api 201 POST "/apps/$app/deployments" -d "$(jq -nc --arg r "$1" --arg u "$(kept source)" '{deployment: {git_ref: $r, source_url: $u}}')"
  keep deployment "$(json .deployment.id)"
}
deploy() {
  start v1
  holds '.deployment | .status == "queued" and .type == "archive" and .pusher.username and .links.output and .finished_at == null'
  within 90 deployed "$app" "$(kept deployment)" success
  holds '.deployment | .finished_at and .git_ref == "v1" and (.duration | type == "number")'
}
check 'deployments: from an archive, until success' deploy
output() {
  api 200 GET "/apps/$app/deployments/$(kept deployment)/output"
  grep -q 'this is the build' "$SCRATCH/body"
  case $(header content-type) in text/plain*) ;; *) fail "content type $(header content-type)" ;; esac
  api 200 GET "/apps/$app/deployments?page=1&per_page=1"
  holds '(.deployments | length == 1) and .meta.pagination.total_count >= 1 and .meta.pagination.current_page == 1'
  api 404 GET "/apps/$app/deployments/00000000-0000-4000-8000-000000000000"
}
check 'deployments: output as text, paged list, absent' output
served() { # path on the default domain, wanted text
  api 200 GET "/apps/$app"
  local host port
  host=$(json .app.url)
  host=${host#http*://}
  host=${host%%[:/]*}
  port=${INGRESS_HTTPS##*:}
  curl -sS --cacert "$CA_CERT" --resolve "$host:$port:127.0.0.1" "https://$host:$port$1" | among "$2"
}
check 'deployments: served at the default domain' within 20 served / 'from an archive'
two_roots() {
  tar -czf "$SCRATCH/two.tar.gz" -C "$SCRATCH/tree/site" Procfile index.html bin
  upload "$SCRATCH/two.tar.gz"
  start v2
  within 60 deployed "$app" "$(kept deployment)" build-error
  served / 'from an archive'
}
check 'deployments: not one root folder is a build-error; old version serves' two_roots
scale() {
  api 202 POST "/apps/$app/scale" -d '{"containers":[{"name":"web","amount":2,"size":"M"}]}'
  holds '.containers | any(.name == "web" and .amount == 2)'
  local operation
  operation=$(header location)
  case $operation in "$API"/v1/apps/*/operations/*) ;; *) fail "Location: $operation" ;; esac
  within 60 operation_done "$app" "${operation##*/}"
  holds '.operation | .type == "scale" and .finished_at and .error == ""'
  api 200 GET "/apps/$app/ps"
  holds '[.containers[] | select(.type == "web")] | length == 2 and all(.state == "running" and .container_size.name == "M" and .label)'
}
check 'scale: 202, Location, operation done, two running' scale
# Two restarts over one connection: on a busy machine the first would be over before another program asks for the second.
twice() {
  curl -sS -K "$SCRATCH/bearer" -d '{"scope":["web"]}' -o "$SCRATCH/body" -D "$SCRATCH/headers" -w '%{http_code} ' "$API/v1/apps/$app/restart" \
    --next -sS -K "$SCRATCH/bearer" -d null -o /dev/null -w '%{http_code}' "$API/v1/apps/$app/restart" >"$SCRATCH/codes"
  case $(cat "$SCRATCH/codes") in '202 409') return ;; *429*) ;; *) fail "restart, and again while it restarts: $(cat "$SCRATCH/codes")" ;; esac
  sleep 5 # held up by the rate limit: once more, when the first is over
  return 1
}
restart() {
  twice || twice || twice
  same "$(wc -c <"$SCRATCH/body")" 0
  local operation
  operation=$(header location)
  within 60 operation_done "$app" "${operation##*/}"
  api 422 POST "/apps/$app/restart" -d '{"scope":["wrong"]}'
  holds '.errors.scope == ["'"'wrong'"' → no such process type"]'
}
check 'restart: busy app refuses, done, unknown type' restart

domains() {
  api 201 POST "/apps/$app/domains" -d "{\"domain\":{\"name\":\"curl.$DNS_ZONE\"}}"
  holds '.domain | .letsencrypt_enabled and .letsencrypt_status == "pending_dns" and (.canonical | not) and (.ssl | not)'
  keep domain "$(json .domain.id)"
  api 200 GET "/apps/$app/domains"
  holds '.domains | length == 1'
  api 200 PATCH "/apps/$app/domains/$(kept domain)" -d '{"domain":{"canonical":true}}'
  holds '.domain.canonical'
  api 422 POST "/apps/$app/domains" -d '{"domain":{"name":""}}'
  holds '.errors.name'
  api 204 DELETE "/apps/$app/domains/$(kept domain)"
  api 404 GET "/apps/$app/domains/$(kept domain)"
  holds '.resource == "domain"'
}
check 'domains: add, list, canonical, blank, delete' domains
logs() {
  api 200 GET "/apps/$app/logs"
  holds '.app and .logs_url'
  http 200 GET "$(json .logs_url)&stream=false&n=20"
  [ -s "$SCRATCH/body" ] || fail 'no line'
}
check 'logs: by the signed URL' logs
detached() {
  api 200 POST "/apps/$app/run" -d '{"command":"echo from-a-one-off","env":{"TERM":"dumb"},"size":"M","detached":true,"has_uploads":false}'
  holds '.container | .type == "one-off" and (.label | startswith("one-off-"))'
  logged() { api 200 GET "/apps/$app/logs" && http 200 GET "$(json .logs_url)&stream=false&n=200" && grep -q from-a-one-off "$SCRATCH/body"; }
  within 30 logged
}
check 'run: detached, its output in the logs' detached
console() { # what the vendor's `pgsql-console` runs
  api 200 POST "/apps/$app/run" -d '{"command":"dbclient-fetcher pgsql && psql \"$DATABASE_URL\" -XAtc \"SELECT 10000 * 77\"","env":{},"detached":true}'
  answered() { api 200 GET "/apps/$app/logs" && http 200 GET "$(json .logs_url)&stream=false&n=200" && grep -q 770000 "$SCRATCH/body"; }
  within 30 answered
}
check 'run: dbclient-fetcher, psql' console
scheduled() { # a file of tasks, deployed; its next time is told, a wrong one is refused
  printf '{"jobs":[{"command":"*/10 * * * * true"}]}' >"$SCRATCH/tree/site/cron.json"
  tar -czf "$SCRATCH/cron.tar.gz" -C "$SCRATCH/tree" site
  upload "$SCRATCH/cron.tar.gz"
  start cron
  within 90 deployed "$app" "$(kept deployment)" success
  api 200 GET "/apps/$app/cron_tasks"
  holds '.jobs | length == 1 and .[0].next_execution_date'
}
check 'cron_tasks: of a deployed cron.json' scheduled
attach_ready() {
  operation_done "$app" "$(kept run_operation)" && keep attach "$(json .operation.start_one_off_data.attach_url)"
}
attached() {
  api 200 POST "/apps/$app/run" -d '{"command":"cat; exit 7","env":{},"size":"M","detached":false,"has_uploads":false}'
  local url token host
  url=$(json .operation_url)
  keep run_operation "${url##*/}"
  within 30 attach_ready
  url=$(kept attach)
  case $url in http://*) ;; *) fail "the attach URL is not plain http: ${url%%:*}" ;; esac
  host=${url#http://}
  token=$(sed -n 's/^header = "Authorization: Bearer \(.*\)"/\1/p' "$SCRATCH/bearer")
  printf 'user = ":%s"\n' "$token" >"$SCRATCH/run.basic"
  exec 7<>"/dev/tcp/${host%%:*}/$(printf '%s' "${host#*:}" | cut -d/ -f1)"
  printf 'CONNECT /%s HTTP/1.1\r\nHost: %s\r\nAuthorization: Basic %s\r\n\r\n' "${host#*/}" "${host%%/*}" "$(printf ':%s' "$token" | base64 -w0)" >&7
  local line
  read -r -t 10 line <&7
  case $line in "HTTP/1.1 200"*) ;; *) fail "CONNECT: $line" ;; esac
  while read -r -t 10 line <&7 && [ "$line" != $'\r' ]; do :; done
  printf 'hello there\n\004' >&7
  timeout 20 cat <&7 >"$SCRATCH/attached" || true
  grep -q 'hello there' "$SCRATCH/attached"
  http 200 GET "$url/wait" -K "$SCRATCH/run.basic"
  holds '.exit_code == 7'
}
check 'run: attached, input and output, exit code' attached
