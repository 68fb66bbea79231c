#!/usr/bin/env bash
# The vendor's command line, where it is on PATH. State is read as JSON from the API, never from the CLI's
# screens: what counts is what a command did.
client=scalingo-cli
. "$LIB/check.sh"
command -v scalingo >/dev/null 2>&1 || { report 'every command' not-offered 'no `scalingo` on PATH: no registry has it'; exit 0; }
app=conformance-cli tree="$HERE/node-app"
. "$LIB/app.sh"
# Addresses come from the environment; every run has a home, a login and a region cache of its own. Hours of maintenance and
# backups are typed in local time.
export TZ=UTC HOME="$SCRATCH/home" DISABLE_UPDATE_CHECKER=true DISABLE_INTERACTIVE=true SCALINGO_PREVIEW_FEATURES=true
export SCALINGO_AUTH_URL SCALINGO_API_URL SCALINGO_DB_URL SCALINGO_REGION SCALINGO_API_TOKEN
unset CONFIG_DIR AUTH_FILE CONFIG_FILE_PATH LOG_FILE CACHE_DIR REGIONS_CACHE_PATH SCALINGO_APP SCALINGO_ADDON
mkdir -p "$HOME"
login "$SCALINGO_API_TOKEN" "$SCRATCH/bearer"
cli() { timeout 120 scalingo "$@" </dev/null; }
of() { timeout 120 scalingo --app "$app" "$@" </dev/null; }
typing() { # what is typed, arguments…: passwords are read from a terminal only
  local typed=$1
  shift
  printf '%b' "$typed" | timeout 120 script -qec "scalingo --app $app $*" /dev/null
}
prints() { # pattern, command…
  local pattern=$1
  shift
  "$@" >"$SCRATCH/printed" 2>&1 || fail "$(tail -n 3 "$SCRATCH/printed" | tr '\n' ' ')"
  grep -qE "$pattern" "$SCRATCH/printed" || fail "no '$pattern' in: $(tail -n 5 "$SCRATCH/printed" | tr '\n' ' ')"
}
addon_of() { # provider: the addon's id
  api 200 GET "/apps/$app/addons"
  json --arg p "$1" '.addons[] | select(.addon_provider.id == $p) | .id'
}

by_token() { cli login --api-token "$SCALINGO_API_TOKEN" && prints '@' cli whoami; }
check 'login --api-token, whoami' by_token
check regions prints "$SCALINGO_REGION" cli regions
check create cli create --remote "" "$app" # flags come first: after a name some versions print their help, and say that all is well
check apps prints "$app" cli apps
check apps-info prints "$app" of apps-info
check projects prints default cli projects
projects() {
  cli projects-add conformance-cli
  prints conformance-cli cli projects
  api 200 GET /projects
  cli projects-update --name conformance-cli-2 "$(json '.projects[] | select(.name == "conformance-cli") | .id')"
  api 200 GET /projects
  cli projects-remove "$(json '.projects[] | select(.name == "conformance-cli-2") | .id')"
}
check 'projects-add, -update, -remove' projects
collaborators() {
  of collaborators-add "$SCALINGO_COLLABORATOR_EMAIL"
  prints "$SCALINGO_COLLABORATOR_EMAIL" of collaborators
  api 200 GET "/apps/$app/collaborators"
  holds '.collaborators | length == 1 and (.[0].is_limited | not)'
  of collaborators-update --limited=true "$SCALINGO_COLLABORATOR_EMAIL"
  of collaborators-remove "$SCALINGO_COLLABORATOR_EMAIL"
  api 200 GET "/apps/$app/collaborators"
  holds '.collaborators == []'
}
check 'collaborators, -add, -update, -remove' collaborators
environment() {
  of env-set ONE=1 'TWO=deux é'
  prints 'ONE=1' of env
  prints 'deux é' of env-get TWO
  of env-unset ONE
  api 200 GET "/apps/$app/variables"
  holds '[.variables[].name] | index("ONE") | not'
}
check 'env, env-set, env-get, env-unset' environment
addons() {
  prints 'PostgreSQL' cli addons-list
  prints 'postgresql-starter-512' cli addons-plans postgresql
  of addons-add postgresql postgresql-starter-512
  of addons-add redis redis-starter-256
  keep pg "$(addon_of postgresql)"
  keep redis "$(addon_of redis)"
  within 60 addon_runs "$app" "$(kept pg)"
  within 60 addon_runs "$app" "$(kept redis)"
  prints 'PostgreSQL' of addons
  prints 'running' of addons-info postgresql
}
check 'addons-list, addons-plans, addons-add, addons, addons-info' addons
upgrade() {
  of addons-upgrade "$(kept pg)" postgresql-starter-1024
  within 60 addon_runs "$app" "$(kept pg)"
  holds '.addon.plan.name == "postgresql-starter-1024"'
}
check addons-upgrade upgrade
backups() {
  of --addon postgresql backups-create
  prints 'manual|Done|done' of --addon postgresql backups
  of --addon postgresql backups-download --output "$SCRATCH/backup.tar.gz"
  tar -tzf "$SCRATCH/backup.tar.gz" | grep -q pgsql
  of --addon postgresql backups-config --schedule-at '4:00 UTC'
}
check 'backups-create, backups, backups-download, backups-config' backups
unscheduled() { # asks whether that is really meant
  enter "$app" "$(kept pg)" pg.bearer
  echo yes | timeout 120 scalingo --app "$app" --addon postgresql backups-config --unschedule
  db pg.bearer 200 GET "/databases/$(kept pg)"
  holds '.database.periodic_backups_enabled | not'
  of --addon postgresql backups-config --schedule-at '4:00 UTC'
}
check 'backups-config --unschedule' unscheduled
configured() {
  of addons-config --maintenance-window-day wednesday --maintenance-window-hour 4 "$(kept pg)"
  enter "$app" "$(kept pg)" pg.bearer
  db pg.bearer 200 GET "/databases/$(kept pg)"
  holds '.database.maintenance_window.weekday_utc == 3'
}
check addons-config configured
users() {
  typing '\n\n' --addon postgresql database-users-create --read-only lectureseule
  prints lectureseule of --addon postgresql database-users-list
  typing '\n\n' --addon postgresql database-users-update-password lectureseule
  of --addon postgresql database-users-delete lectureseule
}
check 'database-users-create, -list, -update-password, -delete' users
check database-enable-feature of --addon postgresql database-enable-feature --synchronous force-ssl
keys() {
  ssh-keygen -q -t ed25519 -N '' -C cli -f "$SCRATCH/key"
  cli keys-add cli "$SCRATCH/key.pub"
  prints cli cli keys
}
check 'keys-add, keys' keys
tunnel() { # the server's address is what /regions says
  scalingo --app "$app" db-tunnel -i "$SCRATCH/key" DATABASE_URL >"$SCRATCH/tunnel" 2>"$SCRATCH/tunnel.err" </dev/null &
  local pid=$! address
  for _ in $(seq 100); do grep -q '127.0.0.1:' "$SCRATCH/tunnel" && break; sleep 0.1; done
  address=$(grep -oE '127\.0\.0\.1:[0-9]+' "$SCRATCH/tunnel" | head -n 1)
  variable "$app" DATABASE_URL >"$SCRATCH/url"
  PGPASSWORD=$(sed -E 's#^[a-z]+://[^:]+:([^@]+)@.*#\1#' "$SCRATCH/url")
  export PGPASSWORD
  psql -X -qAt -h 127.0.0.1 -p "${address##*:}" -U "$(sed -E 's#^[a-z]+://([^:]+):.*#\1#' "$SCRATCH/url")" \
    -d "$(sed -E 's#.*/([^?]+)\?.*#\1#' "$SCRATCH/url")" -c 'SELECT 42' >"$SCRATCH/rows"
  kill "$pid"
  same "$(cat "$SCRATCH/rows")" 42
}
check db-tunnel tunnel
make_repository || fail 'cannot make a repository'
git_setup() { (cd "$repo" && git remote remove scalingo && scalingo --app "$app" git-setup </dev/null) && git -C "$repo" remote get-url scalingo | grep -q "$app.git"; }
check git-setup git_setup
push_it() {
  set_variables npm_config_cache "$CONFORMANCE/cache/npm"
  pushed first
}
check 'git push' push_it
deployments() {
  prints success of deployments
  api 200 GET "/apps/$app/deployments"
  prints . of deployment-logs "$(json '.deployments[0].id')"
}
check 'deployments, deployment-logs' deployments
archive() { # follows the deployment by websocket to its end
  git -C "$repo" archive --format=tar.gz --prefix=code/ -o "$SCRATCH/code.tar.gz" HEAD
  of deploy "$SCRATCH/code.tar.gz" v2
  same "$(last_deployment)" success
}
check 'deploy an archive' archive
unnamed() { # no version: the platform makes one
  of deploy "$SCRATCH/code.tar.gz"
  same "$(last_deployment)" success
  api 200 GET "/apps/$app/deployments"
  holds '.deployments[0].git_ref | test("^[0-9]+$")'
}
check 'deploy an archive without a version' unnamed
check ps prints web of ps
scale() { of scale --synchronous web:2:M && api 200 GET "/apps/$app/ps" && holds '[.containers[] | select(.type == "web")] | length == 2'; }
check 'scale --synchronous' scale
check 'restart --synchronous' of restart --synchronous
check 'run --detached' of run --detached echo detached
attached() {
  prints 'seen by the one-off' of run --silent echo 'seen by the one-off'
  ! of run --silent 'exit 3' || fail 'the exit code is lost'
}
check 'run: attached, exit code' attached
sent() {
  echo 'from this machine' >"$SCRATCH/sent.txt"
  prints 'from this machine' of run --silent --file "$SCRATCH/sent.txt" cat /tmp/uploads/sent.txt
}
check 'run --file' sent
consoles() { # a one-off finds the client, and what is typed reaches the database
  typing 'SELECT 40 + 2;\n\\q\n' pgsql-console | grep -q 42 || fail 'psql did not answer'
  typing 'PING\nQUIT\n' redis-console | grep -q PONG || fail 'redis-cli did not answer'
}
check 'pgsql-console, redis-console' consoles
check logs prints . of logs -n 20
following() { # until it is ended: what is printed from now on
  timeout 20 scalingo --app "$app" logs --follow >"$SCRATCH/followed" 2>&1 </dev/null &
  local pid=$!
  sleep 2
  of run --detached echo followed-line
  seen() { grep -q followed-line "$SCRATCH/followed"; }
  within 15 seen
  kill "$pid" 2>/dev/null || true
}
check 'logs --follow' following
check 'logs of an addon' prints '\[postgresql-1\]' of --addon "$(kept pg)" logs -n 20
check 'logs of a Redis' prints '\[redis-1\]' of --addon "$(kept redis)" logs -n 20
check 'logs --filter postdeploy-1' prints '\[postdeploy-1\]' of logs --filter postdeploy-1 -n 20
check timeline prints . of timeline
domains() {
  of domains-add "cli.$DNS_ZONE"
  prints "cli.$DNS_ZONE" of domains
  of set-canonical-domain "cli.$DNS_ZONE"
  of unset-canonical-domain
  of domains-remove "cli.$DNS_ZONE"
}
check 'domains-add, domains, set-canonical-domain, domains-remove' domains
own_certificate() {
  openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj "/CN=own.$DNS_ZONE" -addext "subjectAltName=DNS:own.$DNS_ZONE" \
    -keyout "$SCRATCH/own.key" -out "$SCRATCH/own.crt" 2>/dev/null
  of domains-add "own.$DNS_ZONE"
  of domains-ssl --cert "$SCRATCH/own.crt" --key "$SCRATCH/own.key" "own.$DNS_ZONE"
  api 200 GET "/apps/$app/domains"
  holds --arg n "own.$DNS_ZONE" '.domains[] | select(.name == $n) | .ssl'
  of domains-remove "own.$DNS_ZONE"
}
check domains-ssl own_certificate
force_https() { of force-https --enable && api 200 GET "/apps/$app" && holds '.app.force_https' && of force-https --disable; }
check force-https force_https
rename() {
  printf '%s\n' "$app" | timeout 120 scalingo --app "$app" rename --new-name conformance-cli-new
  api 200 GET /apps/conformance-cli-new
  api 200 POST /apps/conformance-cli-new/rename -d "{\"current_name\":\"conformance-cli-new\",\"new_name\":\"$app\"}"
}
check rename rename
remove() { # asks for the addon's id
  kept redis | timeout 120 scalingo --app "$app" addons-remove "$(kept redis)"
  api 200 GET "/apps/$app/addons"
  holds '[.addons[].addon_provider.id] | index("redis") | not'
}
check addons-remove remove
code_hosts() { # the type is what it puts into the path
  prints github cli integrations
  cli integrations-import-keys github
  cli integrations-add --url https://gitlab.exemple.test --token conformance gitlab-self-hosted
  cli integrations-delete gitlab-self-hosted
  auth 200 GET /scm_integrations
  holds '[.scm_integrations[].scm_type] | index("gitlab-self-hosted") | not'
}
check 'integrations, -add, -import-keys, -delete' code_hosts
autoscalers() {
  of autoscalers-add --container-type web --metric cpu --target 0.9 --min-containers 2 --max-containers 4
  prints web of autoscalers
  of autoscalers-remove web
}
check 'autoscalers-add, autoscalers, autoscalers-remove' autoscalers
keys_remove() { cli keys-remove cli && auth 200 GET /keys && holds '[.keys[].name] | index("cli") | not'; }
check keys-remove keys_remove
destroy() { of destroy --force && api 404 GET "/apps/$app"; }
check 'destroy --force' destroy
