# shellcheck shell=bash
# What every shell client script shares: one line per operation, and HTTP by curl with the credentials out of sight.
# A script sets `client`, sources this, defines functions and names them with `check`.
# An operation runs in a subshell under `set -e`; what later ones need goes through `keep` and `kept`.
set -uo pipefail
: "${client:?}" "${SCRATCH:?}"
umask 077
mkdir -p "$SCRATCH"

# Whether a pattern is in the input, which is read to its end: a reader that stops early makes the writer fail.
among() { grep "$@" | cat >/dev/null; }

report() { # operation, outcome, detail
  printf '%s\t%s\t%s\t%s\n' "$client" "$1" "$2" "$(printf '%s' "${3:-}" | tr '\t\n' '  ' | cut -c1-300)"
}

check() { # operation, command…
  local operation=$1 code began=$SECONDS
  shift
  (set -e; "$@") >"$SCRATCH/out" 2>"$SCRATCH/err" </dev/null
  code=$?
  echo "$((SECONDS - began)) s: $operation" >&2
  if [ "$code" -eq 0 ]; then
    report "$operation" passed
  else
    report "$operation" failed "$(tail -n 3 "$SCRATCH/err" | grep . || echo "exit $code")"
  fi
  return 0
}

fail() { echo "$*" >&2; exit 1; }
keep() { printf '%s' "$2" >"$SCRATCH/kept.$1"; }
kept() { cat "$SCRATCH/kept.$1" 2>/dev/null || fail "an earlier operation left no $1"; }

same() { # what it is, wanted
  [ "$1" = "$2" ] || fail "got '$1', want '$2'"
}

within() { # seconds, command…: until it succeeds; a busy machine gets twice as long
  local end=$((SECONDS + 2 * $1))
  shift
  until ("$@"); do
    [ "$SECONDS" -lt "$end" ] || fail "not in time: $*"
    sleep 0.3
  done
}

# http STATUS METHOD URL [curl options…]: the body lands in $SCRATCH/body, the headers in $SCRATCH/headers.
# A client at home backs off when it is limited; so does this one.
http() {
  local want=$1 method=$2 url=$3 status tries=0
  shift 3
  while :; do
    : >"$SCRATCH/body" # curl leaves the file alone where there is no body
    status=$(curl -sS --max-time 60 -X "$method" -o "$SCRATCH/body" -D "$SCRATCH/headers" -w '%{http_code}' "$@" "$url")
    [ "$status" = 429 ] && [ "$want" != 429 ] && [ "$tries" -lt 30 ] || break
    tries=$((tries + 1))
    sleep 0.5
  done
  [ "$status" = "$want" ] || fail "$method ${url%%\?*}: $status, want $want: $(head -c 200 "$SCRATCH/body" 2>/dev/null)"
}

header() { # name: the last such header of the last answer
  tr -d '\r' <"$SCRATCH/headers" | awk -v name="$1" 'tolower($0) ~ "^" tolower(name) ":" {sub(/^[^:]*: */, ""); last = $0} END {print last}'
}
json() { jq -er "$@" "$SCRATCH/body"; }
holds() { # jq condition on the last body
  jq -e "$@" "$SCRATCH/body" >/dev/null || fail "not so: ${*: -1}: $(head -c 200 "$SCRATCH/body")"
}

# --- the platform, as its documents write the calls ---
AUTH=${SCALINGO_AUTH_URL:-} API=${SCALINGO_API_URL:-} DBAPI=${SCALINGO_DB_URL:-}

login() { # API token, file for curl's --config
  printf 'user = ":%s"\n' "$1" >"$2.basic"
  http 200 POST "$AUTH/v1/tokens/exchange" -K "$2.basic" -H 'Content-Type: application/json' -d '{}'
  printf 'header = "Authorization: Bearer %s"\nheader = "Content-Type: application/json"\nheader = "Accept: application/json"\n' \
    "$(json .token)" >"$2"
}
api() { # status, method, path, [curl options…]
  local want=$1 method=$2 path=$3
  shift 3
  http "$want" "$method" "$API/v1$path" -K "$SCRATCH/bearer" "$@"
}
auth() { # the same on the authentication host
  local want=$1 method=$2 path=$3
  shift 3
  http "$want" "$method" "$AUTH/v1$path" -K "$SCRATCH/bearer" "$@"
}
db() { # addon file of `enter`, then as `api`
  local config=$1 want=$2 method=$3 path=$4
  shift 4
  http "$want" "$method" "$DBAPI/api$path" -K "$SCRATCH/$config" "$@"
}
enter() { # app, addon, file: a bearer of the database API
  api 200 POST "/apps/$1/addons/$2/token" -d '{}'
  printf 'header = "Authorization: Bearer %s"\nheader = "Content-Type: application/json"\n' "$(json .addon.token)" >"$SCRATCH/$3"
}
plan() { # provider, plan: its id
  http 200 GET "$API/v1/addon_providers/$1/plans"
  json --arg name "$2" '.plans[] | select(.name == $name) | .id'
}
provision() { # app, provider, plan: prints the addon's id
  local id
  id=$(plan "$2" "$3")
  api 201 POST "/apps/$1/addons" -d "$(jq -nc --arg p "$2" --arg i "$id" '{addon: {addon_provider_id: $p, plan_id: $i, options: null}}')"
  json .addon.id
}
addon_runs() { api 200 GET "/apps/$1/addons/$2" && [ "$(json .addon.status)" = running ]; } # app, addon
variable() { # app, name: its value, aliases resolved
  api 200 GET "/apps/$1/variables?aliases=false"
  json --arg name "$2" '.variables[] | select(.name == $name) | .value'
}
operation_done() { # app, operation
  api 200 GET "/apps/$1/operations/$2"
  case $(json .operation.status) in done) ;; error) fail "$(json .operation.error)" ;; *) return 1 ;; esac
}
deployed() { # app, deployment, wanted final status
  api 200 GET "/apps/$1/deployments/$2"
  local status
  status=$(json .deployment.status)
  case $status in queued | building | pushing | starting) return 1 ;; esac
  same "$status" "$3"
}
