#!/usr/bin/env bash
# curl at the DNS provider's API, as its documents write the calls, and what the name servers say of it.
client=curl-alwaysdata
. "$LIB/check.sh"
base=${ALWAYSDATA_API_URL%/v1}/v1
printf 'user = "%s account=%s:"\n' "$ALWAYSDATA_API_KEY" "$ALWAYSDATA_ACCOUNT" >"$SCRATCH/account"
printf 'user = "%s:"\n' "$ALWAYSDATA_API_KEY" >"$SCRATCH/bare"
ad() { # status, method, path, [options…]
  local want=$1 method=$2 path=$3
  shift 3
  http "$want" "$method" "$base$path" -K "$SCRATCH/account" "$@"
}
now='alwaysdata-synchronous: yes'
everywhere() { # name, type, value: at every authoritative server
  local server
  for server in $(echo "$DNS_AUTHORITATIVE" | tr ',' ' '); do
    dig +short +norecurse "@${server%:*}" -p "${server##*:}" "$1.$DNS_ZONE" "$2" | among -xF "$3" || return 1
  done
}
record() { # name, type, value, more JSON
  jq -nc --argjson d "$(kept domain)" --arg n "$1" --arg t "$2" --arg v "$3" --argjson more "${4:-{\}}" \
    '{domain: $d, name: $n, type: $t, value: $v, ttl: 300} + $more'
}

domains() {
  ad 200 GET "/domain/?name=${DNS_ZONE%.*}"
  holds 'type == "array"'
  keep domain "$(json --arg z "$DNS_ZONE" '.[] | select(.name == $z) | .id')"
  ad 200 GET "/domain/$(kept domain)/"
  holds --arg z "$DNS_ZONE" '.name == $z and .href and has("is_internal") and has("auto_renew") and has("date_expiration")'
}
check 'domains: list by substring, one' domains
records() {
  ad 200 GET "/record/?domain=$(kept domain)"
  holds 'type == "array" and length > 2 and all((.domain.href | startswith("/v1/domain/")) and (.ttl | type == "number") and has("priority")
    and has("annotation") and (.is_user_defined | type == "boolean") and (.is_active | type == "boolean"))'
  holds 'any(.type == "NS" and (.is_user_defined | not))'
}
check 'records: list, array without envelope' records
create() {
  ad 201 POST /record/ -H "$now" -d "$(record curl CNAME target.example.net '{"annotation":"by curl"}')"
  same "$(wc -c <"$SCRATCH/body")" 0
  local location
  location=$(header location)
  case $location in */v1/record/*/) ;; *) fail "Location: $location" ;; esac
  keep record "$(basename "$location")"
  ad 200 GET "/record/$(kept record)/"
  holds '.value == "target.example.net" and .annotation == "by curl" and .is_user_defined and .name == "curl"'
}
check 'records: create, 201, empty, Location' create
served() { within 15 everywhere curl CNAME target.example.net.; }
check 'records: served by both name servers' served
change() {
  ad 204 PATCH "/record/$(kept record)/" -H "$now" -d '{"value":"other.example.net","ttl":60}'
  within 15 everywhere curl CNAME other.example.net.
  ad 200 GET "/record/$(kept record)/"
  holds '.ttl == 60 and .annotation == "by curl"'
  ad 204 PUT "/record/$(kept record)/" -H 'alwaysdata-synchronous: true' -d "$(record curl CNAME third.example.net)"
  within 15 everywhere curl CNAME third.example.net.
}
check 'records: PATCH, PUT, served' change
later() {
  ad 204 PATCH "/record/$(kept record)/" -d '{"value":"later.example.net"}'
  within 30 everywhere curl CNAME later.example.net.
}
check 'records: without the synchronous header, later' later
kinds() {
  ad 201 POST /record/ -H "$now" -d "$(record kinds MX mail.example.net '{"priority":10}')"
  ad 201 POST /record/ -H "$now" -d "$(record kinds CAA '0 issue "letsencrypt.org"')"
  ad 201 POST /record/ -H "$now" -d "$(record _sip._tcp.kinds SRV '5 5060 sip.example.net' '{"priority":1}')"
  ad 201 POST /record/ -H "$now" -d "$(record kinds AAAA 2001:db8::1)"
  ad 201 POST /record/ -H "$now" -d "$(record kinds TXT 'v=spf1 -all')"
  ad 201 POST /record/ -H "$now" -d "$(record kinds TXT 'a second one')"
  within 15 everywhere kinds MX '10 mail.example.net.'
  within 15 everywhere kinds CAA '0 issue "letsencrypt.org"'
  within 15 everywhere _sip._tcp.kinds SRV '1 5 5060 sip.example.net.'
  within 15 everywhere kinds TXT '"v=spf1 -all"'
}
check 'records: MX, CAA, SRV, AAAA, two TXT' kinds
conflicts() {
  local body
  for body in "$(record curl A 192.0.2.1)" "$(record curl TXT beside)" "$(record '' CNAME apex.example.net)" \
    "$(record kinds CNAME beside.example.net)" "$(record bad A not-an-address)" "$(record bad NOPE x)" '{}' 'nonsense'; do
    http 400 POST "$base/record/" -K "$SCRATCH/account" -H "$now" -d "$body"
  done
}
check 'records: CNAME beside others, at the apex; malformed' conflicts
fqdn() {
  ad 201 POST /record/ -H "$now" -d "$(record "www.$DNS_ZONE" A 192.0.2.7)"
  within 15 everywhere "www.$DNS_ZONE" A 192.0.2.7
}
check 'records: a full name is taken relatively' fqdn
system() {
  ad 200 GET "/record/?domain=$(kept domain)&type=NS"
  local id status
  id=$(json '[.[] | select(.is_user_defined | not)][0].id')
  status=$(curl -sS -o /dev/null -w '%{http_code}' -X DELETE -K "$SCRATCH/account" -H "$now" "$base/record/$id/")
  case $status in 4??) ;; *) fail "a platform record was deleted: $status" ;; esac
}
check 'records: those of the platform stay' system
remove() {
  ad 204 DELETE "/record/$(kept record)/" -H "$now"
  ad 404 DELETE "/record/$(kept record)/" -H "$now"
  gone() { ! everywhere curl CNAME later.example.net.; }
  within 15 gone
}
check 'records: delete, twice' remove
refusals() {
  http 401 GET "$base/domain/"
  printf 'user = "wrong:"\n' >"$SCRATCH/wrong"
  http 401 GET "$base/domain/" -K "$SCRATCH/wrong"
  http 200 GET "$base/domain/" -K "$SCRATCH/bare"
  holds 'length > 0'
  printf 'user = "%s account=stranger:"\n' "$ALWAYSDATA_API_KEY" >"$SCRATCH/stranger"
  http 200 GET "$base/domain/" -K "$SCRATCH/stranger"
  holds '. == []'
}
check 'credentials: none, wrong, no account, another account' refusals
slash() {
  local status
  status=$(curl -sS -o /dev/null -w '%{http_code}' -K "$SCRATCH/account" "$base/domain")
  case $status in 301 | 302 | 307 | 308 | 404) ;; *) fail "without the slash: $status" ;; esac
}
check 'paths: the final slash' slash
