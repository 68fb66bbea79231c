#!/usr/bin/env bash
# dig at the authoritative servers and at the caching resolver.
client=dig
. "$LIB/check.sh"
first=${DNS_AUTHORITATIVE%%,*}
# Names that the seed has: the two front ends are CNAMEs to their apps.
name="siap.$DNS_ZONE"
ask() { # server, dig arguments…: the answer in $SCRATCH/answer
  local server=$1
  shift
  dig +time=3 +tries=2 "@${server%:*}" -p "${server##*:}" "$@" >"$SCRATCH/answer"
}
says() { grep -qE "$1" "$SCRATCH/answer" || fail "no '$1' in: $(grep -vE '^(;;? ?$|$)' "$SCRATCH/answer" | head -n 12 | tr '\n' '|')"; }

one_serial() {
  local server serials=""
  for server in $(echo "$DNS_AUTHORITATIVE" | tr ',' ' '); do
    ask "$server" +norecurse "$DNS_ZONE" SOA
    says 'status: NOERROR'
    says 'flags:[^;]* aa'
    serials="$serials $(awk '$4 == "SOA" {print $7}' "$SCRATCH/answer")"
  done
  same "$(echo "$serials" | tr ' ' '\n' | grep . | sort -u | wc -l)" 1
}
# The second server follows the first after its lag, and other scripts write meanwhile.
check 'authoritative: SOA with AA, one serial' within 20 one_serial
ns() { ask "$first" +norecurse "$DNS_ZONE" NS && says '[[:space:]]NS[[:space:]]'; }
check 'authoritative: NS' ns
cname() {
  ask "$first" +norecurse "$name" CNAME
  says 'flags:[^;]* aa'
  says "^$name\\..*CNAME"
}
check 'authoritative: CNAME' cname
nxdomain() {
  ask "$first" +norecurse "absent.$DNS_ZONE" A
  says 'status: NXDOMAIN'
  says '[[:space:]]SOA[[:space:]]'
}
check 'authoritative: NXDOMAIN with the SOA' nxdomain
nodata() {
  ask "$first" +norecurse "$DNS_ZONE" SRV
  says 'status: NOERROR'
  says 'ANSWER: 0'
  says '[[:space:]]SOA[[:space:]]'
}
check 'authoritative: NODATA with the SOA' nodata
foreign() { ask "$first" +norecurse elsewhere.example A && says 'status: REFUSED'; }
check 'authoritative: another zone is REFUSED' foreign
case_of() { ask "$first" +norecurse "SiAp.$DNS_ZONE" CNAME && says 'status: NOERROR' && says 'CNAME'; }
check 'authoritative: letter case does not matter' case_of
tcp() { ask "$first" +norecurse +tcp "$name" CNAME && says 'CNAME' && says 'status: NOERROR'; }
check 'authoritative: over TCP' tcp
axfr() {
  ask "$first" +tcp "$DNS_ZONE" AXFR || true
  grep -qiE 'transfer failed|REFUSED|NOTAUTH' "$SCRATCH/answer" || fail 'the zone was handed out'
}
check 'authoritative: AXFR refused' axfr
edns() {
  ask "$first" +norecurse +bufsize=1232 "$name" CNAME
  says 'EDNS: version: 0'
  ask "$first" +norecurse +noedns "$name" CNAME
  says 'status: NOERROR'
  ! grep -q 'EDNS:' "$SCRATCH/answer" || fail 'EDNS was not asked for'
}
check 'authoritative: EDNS when asked' edns
badvers() { ask "$first" +norecurse +edns=1 +noednsneg "$DNS_ZONE" SOA && says 'BADVERS'; }
check 'authoritative: EDNS version 1 is BADVERS' badvers
both() {
  local server
  for server in $(echo "$DNS_AUTHORITATIVE" | tr ',' ' '); do
    ask "$server" +norecurse "$name" CNAME
    awk '$4 == "CNAME" {print $5}' "$SCRATCH/answer"
  done | sort -u >"$SCRATCH/targets"
  same "$(wc -l <"$SCRATCH/targets")" 1
}
check 'authoritative: both servers agree' both

by_name() {
  local server
  for server in dns1 dns2; do
    "$SANDBOX" exec --dir "$WORLD" -- dig +time=3 +tries=2 +norecurse "@$server.alwaysdata.test" "$name" CNAME >"$SCRATCH/answer"
    says 'flags:[^;]* aa'
    says "^$name\\..*CNAME"
  done
  "$SANDBOX" exec --dir "$WORLD" -- dig +time=3 +tries=2 +norecurse +tcp @ns1.scalingo.test osc-fr1.scalingo.test SOA >"$SCRATCH/answer"
  says 'flags:[^;]* aa'
}
"$SANDBOX" exec --dir "$WORLD" -- true
if [ $? -eq 125 ]; then
  if [ "${ALLOW_NO_NAMESPACES:-}" = 1 ]; then outcome=not-offered; else outcome=failed; fi
  report 'authoritative: by name, on port 53' "$outcome" 'namespaces are not allowed here (ALLOW_NO_NAMESPACES=1 lets that be)'
else
  check 'authoritative: by name, on port 53' by_name
fi

chase() {
  ask "$DNS_RESOLVER" "$name" A
  says 'flags:[^;]* ra'
  says "^$name\\..*CNAME"
  says '[[:space:]]A[[:space:]]+127\.'
}
check 'resolver: follows a CNAME to an address' chase
no_aa() { ask "$DNS_RESOLVER" "$name" A && ! grep -qE 'flags:[^;]* aa' "$SCRATCH/answer"; }
check 'resolver: never claims authority' no_aa
ttl_of() { awk -v n="$name." '$1 == n && $4 == "CNAME" {print $2}' "$SCRATCH/answer"; }
countdown() {
  ask "$DNS_RESOLVER" "$name" A
  local before after
  before=$(ttl_of)
  sleep 1.2
  ask "$DNS_RESOLVER" "$name" A
  after=$(ttl_of)
  [ "$after" -ne "$before" ] || fail "the TTL stays at $before"
}
check 'resolver: the TTL counts down' countdown
negative() {
  ask "$DNS_RESOLVER" "never.$DNS_ZONE" A
  says 'status: NXDOMAIN'
  says '[[:space:]]SOA[[:space:]]'
}
check 'resolver: NXDOMAIN with the SOA' negative
resolver_tcp() { ask "$DNS_RESOLVER" +tcp "$name" A && says 'status: NOERROR'; }
check 'resolver: over TCP' resolver_tcp
unknown() { ask "$DNS_RESOLVER" nothing.example A && says 'status: (NXDOMAIN|SERVFAIL|REFUSED)'; }
check 'resolver: a name outside this world' unknown
many() { # a response too long for 512 bytes comes truncated, and whole by TCP
  printf 'user = "%s account=%s:"\n' "$ALWAYSDATA_API_KEY" "$ALWAYSDATA_ACCOUNT" >"$SCRATCH/account"
  local base i
  base=${ALWAYSDATA_API_URL%/v1}/v1
  http 200 GET "$base/domain/?name=$DNS_ZONE" -K "$SCRATCH/account"
  keep domain "$(json --arg z "$DNS_ZONE" '.[] | select(.name == $z) | .id')"
  for i in 1 2 3 4 5 6 7 8; do
    http 201 POST "$base/record/" -K "$SCRATCH/account" -H 'alwaysdata-synchronous: yes' -d "$(jq -nc --argjson d "$(kept domain)" --arg i "$i" \
      '{domain: $d, name: "long", type: "TXT", ttl: 300, value: ("record \($i) " + ("x" * 120))}')"
  done
  all_there() { ask "$first" +norecurse +tcp +noedns "long.$DNS_ZONE" TXT && says 'ANSWER: 8,'; }
  within 20 all_there
  ask "$first" +norecurse +noedns +ignore "long.$DNS_ZONE" TXT
  says 'flags:[^;]* tc'
  ask "$first" +norecurse +noedns "long.$DNS_ZONE" TXT
  says 'ANSWER: 8,'
}
check 'authoritative: truncated by UDP, whole by TCP' many
