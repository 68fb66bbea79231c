#!/usr/bin/env bash
# A real Node application (express, pg, ioredis), pushed by git and started from its Procfile.
client=node-app
. "$LIB/check.sh"
app=conformance-node tree="$HERE/node-app"
. "$LIB/app.sh"

check 'create the app' make_app
check 'addons: PostgreSQL and Redis' make_addons
check 'variables' set_variables APP_VERSION 1 \
  npm_config_cache "$CONFORMANCE/cache/npm" npm_config_registry "${NPM_REGISTRY:-https://registry.npmjs.org/}"
make_repository || fail 'cannot make a repository'
first() {
  pushed first
  same "$(last_deployment)" success
}
check 'git push: npm ci, postdeploy, success' first
page() { says 200 / && holds '.version == "1" and .secure and .container == "web-1"'; }
check 'page: through the ingress' within 20 page
database() {
  says 201 /visits -H 'Content-Type: application/json' -d '{"who":"Zoé"}'
  keep visit "$(json .id)"
  says 200 /visits
  holds '.visits == ["Zoé"]'
}
check 'PostgreSQL: write, read' database
worker() {
  scaled worker 1
  greeted() { says 200 "/greetings/$(kept visit)" && holds '.greeting == "bonjour Zoé"'; }
  within 20 greeted
}
check 'scale worker: it takes the waiting job from Redis' worker
restart() {
  says 200 /
  local before
  before=$(json .pid)
  restarted
  other() { says 200 / && [ "$(json .pid)" != "$before" ]; }
  within 20 other
}
check 'restart: another process' restart
crash() { # a process that dies is started again
  says 200 /
  local before
  before=$(json .pid)
  kill -KILL "$before" 2>/dev/null || fail 'cannot reach the process'
  other() { says 200 / && [ "$(json .pid)" != "$before" ]; }
  within 60 other
}
check 'a crashed container is started again' crash
hook() {
  set_variables BREAK_THE_HOOK 1
  ! push hook || fail 'a failing hook is accepted'
  same "$(last_deployment)" hook-error
  within 10 says 200 /
  api 200 GET "/apps/$app/variables"
  api 204 DELETE "/apps/$app/variables/$(json '.variables[] | select(.name == "BREAK_THE_HOOK") | .id')"
}
check 'a failing postdeploy: hook-error, the old version serves' hook
crashing() {
  sed -i '1i process.exit(3);' "$repo/server.js"
  ! push crash || fail 'an app that dies at once is accepted'
  case $(last_deployment) in crashed-error | timeout-error) ;; *) fail "$(last_deployment)" ;; esac
  within 10 says 200 /
  sed -i 1d "$repo/server.js"
}
check 'an app that dies at boot: crashed-error, the old version serves' crashing
second() {
  set_variables APP_VERSION 2
  pushed second
  newer() { says 200 / && holds '.version == "2"'; }
  within 20 newer
  says 200 /visits
  holds '.visits == ["Zoé"]'
}
check 'git push again: the new version, the data kept' second
stop() {
  scaled web 0
  local status
  status=$(web /)
  [ "$status" -ge 500 ] || fail "a stopped app answers $status"
  scaled web 1
  within 20 says 200 /
}
check 'scale web to 0 and back' stop
