# shellcheck shell=bash
# For the scripts that run a real application: created by API, pushed by git, asked through the ingress.
# Sourced after check.sh; `app` is the app's name, `tree` the folder of its code.
: "${app:?}" "${tree:?}"
repo="$SCRATCH/repo"
export GIT_SSH_COMMAND="ssh -i '$SCALINGO_SSH_KEY' -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o BatchMode=yes -p ${SCALINGO_SSH_HOST##*:}"

make_app() {
  login "$SCALINGO_API_TOKEN" "$SCRATCH/bearer"
  api 201 POST /apps -d "{\"app\":{\"name\":\"$app\"}}"
  local host
  host=$(json .app.url)
  host=${host#http*://}
  keep host "${host%%[:/]*}"
}
make_addons() {
  local pg redis
  pg=$(provision "$app" postgresql postgresql-starter-512)
  redis=$(provision "$app" redis redis-starter-256)
  within 60 addon_runs "$app" "$pg"
  within 60 addon_runs "$app" "$redis"
  api 200 GET "/apps/$app/variables"
  holds '[.variables[].name] | index("DATABASE_URL") and index("REDIS_URL")'
}
set_variables() { # NAME VALUE…; from a file, as values may be secret
  : >"$SCRATCH/set.jsonl"
  while [ $# -gt 1 ]; do
    NAME=$1 VALUE=$2 jq -nc '{name: env.NAME, value: env.VALUE}' >>"$SCRATCH/set.jsonl"
    shift 2
  done
  jq -sc '{variables: .}' "$SCRATCH/set.jsonl" >"$SCRATCH/set.json"
  api 200 PUT "/apps/$app/variables" -d "@$SCRATCH/set.json"
}
make_repository() {
  cp -R "$tree" "$repo"
  rm -rf "$repo/node_modules" "$repo/.venv"
  git init -q -b main "$repo"
  git -C "$repo" config user.email dev@example.test
  git -C "$repo" config user.name Dev
  git -C "$repo" remote add scalingo "ssh://git@${SCALINGO_SSH_HOST%:*}/$app.git"
  git -C "$repo" add -A
  git -C "$repo" commit -qm first
}
push() { # commits what there is, pushes; the output in $SCRATCH/push
  git -C "$repo" add -A
  git -C "$repo" commit -q --allow-empty -m "${1:-change}"
  git -C "$repo" push scalingo main >"$SCRATCH/push" 2>&1
}
pushed() { push "$@" || fail "$(grep -v '^$' "$SCRATCH/push" | tail -n 4 | tr '\n' ' ')"; }
last_deployment() { api 200 GET "/apps/$app/deployments" && json '.deployments[0].status'; }
web() { # path, [curl options…]: the body in $SCRATCH/body; prints the status
  local path=$1 host port
  shift
  host=$(kept host) port=${INGRESS_HTTPS##*:}
  curl -sS --max-time 30 --cacert "$CA_CERT" --resolve "$host:$port:127.0.0.1" -o "$SCRATCH/body" -w '%{http_code}' "$@" "https://$host:$port$path"
}
says() { # status, path, [curl options…]
  local want=$1 got
  shift
  got=$(web "$@")
  [ "$got" = "$want" ] || fail "$1: $got, want $want: $(head -c 200 "$SCRATCH/body")"
}
scaled() { # type, amount
  api 202 POST "/apps/$app/scale" -d "{\"containers\":[{\"name\":\"$1\",\"amount\":$2,\"size\":\"M\"}]}"
  local operation
  operation=$(header location)
  within 60 operation_done "$app" "${operation##*/}"
  api 200 GET "/apps/$app/ps"
  holds --arg t "$1" --argjson n "$2" '[.containers[] | select(.type == $t and .state == "running")] | length == $n'
}
restarted() {
  api 202 POST "/apps/$app/restart" -d 'null'
  local operation
  operation=$(header location)
  within 90 operation_done "$app" "${operation##*/}"
}
