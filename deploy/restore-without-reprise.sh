#!/usr/bin/env bash
# Restores a Reprise archive without Reprise: with the AWS CLI, zstd, jq and coreutils. The format: docs/archive-format.md.
#   restore-without-reprise.sh ENDPOINT/BUCKET/PREFIX TARGET [RUN]      e.g. https://s3.fr-par.scw.cloud/archive/apilos/ ./back
# TARGET is a folder, or another ENDPOINT/BUCKET/PREFIX whose bucket exists. RUN: else the newest that is whole and not suspicious.
# Key pairs and region as the AWS CLI finds them; ARCHIVE_PROFILE and TARGET_PROFILE name profiles. JOBS uploads at once (8).
# WORK (./reprise-restore) takes the archive's contents; run it again to go on. Thaw cold contents first (s3api restore-object).
set -euo pipefail; say() { echo "restore: $*" >&2; } && die() { say "$@" && exit 1; }
url='^(https?://[^/]+)/([^/]+)/?(.*)$' && [ $# -ge 2 ] && [[ $1 =~ $url ]] || die "usage: $0 ENDPOINT/BUCKET/PREFIX TARGET [RUN]"
export AWS_REQUEST_CHECKSUM_CALCULATION=when_required AWS_RESPONSE_CHECKSUM_VALIDATION=when_required LC_ALL=C.UTF-8 LANGUAGE= # words are read
at=${BASH_REMATCH[1]} archive=s3://${BASH_REMATCH[2]}/${BASH_REMATCH[3]} failed=0
from() { aws ${ARCHIVE_PROFILE:+--profile "$ARCHIVE_PROFILE"} --endpoint-url "$at" s3 "$@" --only-show-errors; }
mkdir -p "${WORK:=./reprise-restore}/contents" && work=$(cd "$WORK" && pwd); if [[ $2 =~ $url ]]; then export to=${BASH_REMATCH[1]} bucket=${BASH_REMATCH[2]} prefix=${BASH_REMATCH[3]}
else to='' && mkdir -p "$2" && cd "$2" && target=$PWD; fi; cd "$work" && from sync --delete --exact-timestamps "${archive}runs/" runs
# A record names the digest of the one before it. Nothing of a manifest is believed before its own digest is right.
exchanged=$(cd runs && for one in *.json; do jq -r '.previous // empty | "\(.sha256)  \(.run).json"' "$one" 2>&1 || :; done |
  sha256sum --check --quiet --ignore-missing 2>/dev/null || :)
whole() {
  ! grep -q "^$1.json:" <<<"$exchanged" || { say "record $1 is not the one that its successor names"; return 1; }
  jq -e --arg run "$1" '.format == "reprise-archive/1" and .run == $run' "runs/$1.json" >said 2>&1 &&
    { from cp "${archive}manifests/$1.jsonl.zst" manifest.zst 2>said || grep -q '(404)' said || { cat said >&2 && die "ask again later"; } } &&
    [ "$(sha256sum <manifest.zst)" = "$(jq -r .manifest.sha256 "runs/$1.json")  -" ] && zstd -qdf manifest.zst -o manifest &&
    jq -ne 'all(inputs; (.key | explode | index(0) == null) and (.pending // "objects/\(.sha256)" |
      test("\\A(objects/[0-9a-f]{64}|pending/[0-9A-Za-z/+=_-]+)\\z")))' manifest >said 2>&1 || { say "run $1 is damaged"; return 1; }
}
for run in ${3:-$(cd runs && printf '%s\n' *.json | sed 's/\.json$//' | sort -r)} ""; do
  [ -n "$run" ] || die "no run can be restored"
  [ $# -gt 2 ] || [ "$(jq '.suspicious // [] | length' "runs/$run.json" 2>&1)" = 0 ] || { say "$run is passed over"; continue; }
  ! whole "$run" || break; done
say "run $run: $(jq -r '"\(.manifest.objects) objects, \(.manifest.bytes) bytes"' "runs/$run.json")"
empty=objects/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855; mkdir -p contents/objects; : >"contents/$empty" # the CLI stumbles over it
from sync --force-glacier-transfer --exclude '*' --include 'objects/*' --include 'pending/*' --exclude "$empty" "$archive" contents || :; cd contents
bad() { { jq -r 'select(.pending == null) | "\(.sha256)  objects/\(.sha256)"' ../manifest | sort -u | sha256sum --check --quiet; jq -r 'select(.pending and
  (.opaque | not) and (.etag | length) == 32) | "\(.etag)  \(.pending)"' ../manifest | md5sum --check --quiet; } 2>/dev/null | sed -n 's/: FAILED.*//p' >../bad || :; }
bad; while IFS= read -r one; do rm -f "$one"; from cp --force-glacier-transfer "$archive$one" "$one" || :; done <../bad; [ ! -s ../bad ] || bad # a store may
while IFS= read -r one; do say "$one is missing or damaged" && rm -f "$one"; done <../bad # list other tags than it gives; fetched again next time
place() { # a content, a key
  case /${2%/}/ in *//* | */./* | */../*) say "refused, it would leave the folder: $2"; return 1 ;; esac
  mkdir -p "$target/${2%"${2##*/}"}" && case $2 in */) [ -e "$1" ] && [ ! -s "$1" ] ;; *) cp -T --remove-destination "$1" "$target/$2" ;; esac
}
put() { # a line of the manifest; above 5 GB a single request does not do
  send() { aws ${TARGET_PROFILE:+--profile "$TARGET_PROFILE"} --endpoint-url "$to" "$@"; }
  file=$(jq -r '.pending // "objects/\(.sha256)"' <<<"$1") object='{Bucket: env.bucket, Key: (env.prefix + .key)}'
  headers='{content_type, cache_control, content_disposition, content_encoding, content_language, expires, website_redirect_location,
    metadata} | to_entries | map(select(.value and (.key != "expires" or (.value | test(" GMT$")))))' # the CLI takes dates alone
  if [ "$(jq .size <<<"$1")" -le "${LARGE:-5000000000}" ]; then send s3api put-object --body "$file" --cli-input-json "$(jq -c "$object +
    ($headers | map(.key |= (split(\"_\") | map((.[:1] | ascii_upcase) + .[1:]) | add)) | from_entries)" <<<"$1")" || return 1
  else mapfile -d '' -t options < <(jq -j "(\"s3://\" + env.bucket + \"/\" + env.prefix + .key, ($headers[] |
    select(.value | tostring | test(\"\\\\A(file|http)\") | not) | \"--\" + (.key | sub(\"_location\"; \"\") | gsub(\"_\"; \"-\")), (.value | if type == \"object\" then tojson else . end))) + \"\\u0000\"" <<<"$1")
    send s3 cp --only-show-errors "$file" "${options[@]}" || return 1; fi
  [ "$(jq '.tags // {} | length' <<<"$1")" = 0 ] || send s3api put-object-tagging --cli-input-json "$(jq -c "$object +
    {Tagging: {TagSet: [.tags | to_entries[] | {Key: .key, Value: .value}]}}" <<<"$1")" || return 1
  [ "$(jq -c '.acl // "private"' <<<"$1")" = '"private"' ] || send s3api put-object-acl --cli-input-json "$(jq -c "$object" <<<"$1" |
    (at=$(cat) && send s3api get-object-acl --cli-input-json "$at" | jq -c --argjson at "$at" --argjson acl "$(jq .acl <<<"$1")" '$at + if $acl | type == "string" then {ACL: $acl}
    else {AccessControlPolicy: (.Grants += [$acl[] | {Permission: .permission, Grantee: (if .group then {Type: "Group", URI: .group} else {Type: "CanonicalUser", ID: .user} end)}])} end'))"
}
if [ -n "$to" ]; then export -f put say
  tr '\n' '\0' <../manifest | xargs -0 -r -n 1 -P "${JOBS:-8}" bash -c 'put "$0" >/dev/null || { say "not restored: $(jq .key <<<"$0")"; exit 1; }' || failed=1
else while IFS= read -r -d '' content && IFS= read -r -d '' key; do place "$content" "$key" || { failed=1 && say "not restored: $key"; }
  done < <(jq -j '"\(.pending // "objects/\(.sha256)")\u0000\(.key)\u0000"' ../manifest); fi
[ "$failed" = 0 ] && say "everything is restored" || die "not everything is restored; see above"
