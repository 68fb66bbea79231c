#!/usr/bin/env bash
# curl at the code host's API: headers, paging, filters, conditional requests, the signed download, refusals.
client=curl-github
. "$LIB/check.sh"
repo="$GITHUB_API_URL/repos/$GITHUB_REPOSITORY"
printf 'header = "Authorization: Bearer %s"\nheader = "Accept: application/vnd.github+json"\nheader = "X-GitHub-Api-Version: 2022-11-28"\n' \
  "$GITHUB_TOKEN" >"$SCRATCH/token"
gh() { # status, method, path, [options…]
  local want=$1 method=$2 path=$3
  shift 3
  http "$want" "$method" "$repo$path" -K "$SCRATCH/token" "$@"
}

runs() {
  gh 200 GET "/actions/workflows/$GITHUB_WORKFLOW/runs?per_page=2"
  holds '(.workflow_runs | length == 2) and .total_count > 2'
  holds '.workflow_runs | all(.id and .head_sha and .created_at and (.repository.id | type == "number") and has("head_repository") and .artifacts_url)'
  holds '[.workflow_runs[].created_at] | . == (sort | reverse)'
  case $(header link) in *'rel="next"'*'rel="last"'*) ;; *) fail "Link: $(header link)" ;; esac
}
check 'runs: by file name, paged, newest first' runs
follow() {
  gh 200 GET "/actions/workflows/$GITHUB_WORKFLOW/runs?per_page=2"
  local url count=0 total next
  total=$(json .total_count)
  count=2
  next=$(header link)
  while case $next in *'rel="next"'*) true ;; *) false ;; esac; do
    url=$(printf '%s' "$next" | tr ',' '\n' | sed -n 's/.*<\(.*\)>; rel="next".*/\1/p')
    http 200 GET "$url" -K "$SCRATCH/token"
    count=$((count + $(json '.workflow_runs | length')))
    next=$(header link)
  done
  same "$count" "$total"
}
check 'runs: follow Link to the end' follow
filters() {
  gh 200 GET "/actions/workflows/$GITHUB_WORKFLOW/runs?status=success&branch=main&event=schedule"
  holds '.workflow_runs | length > 0 and all(.conclusion == "success" and .head_branch == "main" and .event == "schedule")'
  gh 200 GET "/actions/runs?status=failure"
  holds '.workflow_runs | all(.conclusion == "failure")'
  gh 200 GET "/actions/workflows/$GITHUB_WORKFLOW/runs?created=%3C2001-01-01"
  holds '.total_count == 0'
}
check 'runs: filters' filters
one_run() {
  gh 200 GET "/actions/workflows/$GITHUB_WORKFLOW/runs?status=success"
  keep run "$(json '.workflow_runs[0].id')"
  gh 200 GET "/actions/runs/$(kept run)"
  gh 404 GET /actions/runs/1
  holds '.message == "Not Found" and .documentation_url'
  gh 404 GET /actions/workflows/none.yml/runs
  gh 404 GET "/actions/runs/"
}
check 'runs: one, absent, trailing slash' one_run
artifacts() {
  gh 200 GET "/actions/runs/$(kept run)/artifacts"
  holds '.total_count == (.artifacts | length) and (.artifacts | all(.name and .size_in_bytes and (.archive_download_url | endswith("/zip")) and has("expires_at") and has("digest")))'
  gh 200 GET '/actions/artifacts?per_page=100'
  keep whole "$(json '[.artifacts[] | select((.expired | not) and .digest and .name != "journal.txt")] | last | .id')"
  keep digest "$(json --argjson id "$(kept whole)" '.artifacts[] | select(.id == $id) | .digest')"
  gh 200 GET "/actions/artifacts?name=$(json '.artifacts[0].name')"
  holds '.artifacts | length > 0'
}
check 'artifacts: of a run, of the repository, by name' artifacts
download() {
  gh 302 GET "/actions/artifacts/$(kept whole)/zip"
  local url
  url=$(header location)
  same "$(wc -c <"$SCRATCH/body")" 0
  case $url in "$GITHUB_API_URL"/*) fail 'the blob is on the same origin' ;; esac
  printf 'url = "%s"\n' "$url" >"$SCRATCH/signed"
  curl -sS -f -K "$SCRATCH/signed" -o "$SCRATCH/artifact.zip" -D "$SCRATCH/headers"
  same "sha256:$(sha256sum <"$SCRATCH/artifact.zip" | cut -d' ' -f1)" "$(kept digest)"
  same "$(header content-type)" application/zip
  case $(header content-disposition) in *filename*) ;; *) fail 'no file name' ;; esac
}
check 'download: 302, another origin, digest agrees' download
follows() {
  curl -sS -f -L -K "$SCRATCH/token" -o "$SCRATCH/followed.zip" "$repo/actions/artifacts/$(kept whole)/zip"
  cmp "$SCRATCH/followed.zip" "$SCRATCH/artifact.zip"
}
check 'download: curl -L keeps the token to itself' follows
ranged() {
  curl -sS -f -K "$SCRATCH/signed" -r 0-3 -o "$SCRATCH/magic" -w '%{http_code}' >"$SCRATCH/code"
  same "$(cat "$SCRATCH/code")" 206
  same "$(head -c 2 "$SCRATCH/magic")" PK
}
check 'download: a range' ranged
forwarded() {
  local status
  status=$(curl -sS -K "$SCRATCH/signed" -K "$SCRATCH/token" -o "$SCRATCH/body" -w '%{http_code}')
  case $status in 400 | 401 | 403) ;; *) fail "a forwarded token: $status" ;; esac
  grep -q '<Error><Code>' "$SCRATCH/body"
}
check 'download: a forwarded Authorization is refused in XML' forwarded
tampered() {
  sed 's/sig=[^&"]*/sig=AAAA/' "$SCRATCH/signed" >"$SCRATCH/tampered"
  same "$(curl -sS -K "$SCRATCH/tampered" -o "$SCRATCH/body" -w '%{http_code}')" 403
  grep -q '<Error>' "$SCRATCH/body"
}
check 'download: a changed signature is refused in XML' tampered
expired() {
  gh 200 GET '/actions/artifacts?per_page=100'
  gh 410 GET "/actions/artifacts/$(json '[.artifacts[] | select(.expired)][0].id')/zip"
  holds '.message == "Artifact has expired"'
}
check 'download: 410 of an expired artifact' expired
raw() { # uploaded without a zip around it
  gh 200 GET '/actions/artifacts?name=journal.txt'
  gh 302 GET "/actions/artifacts/$(json '.artifacts[0].id')/zip"
  printf 'url = "%s"\n' "$(header location)" >"$SCRATCH/raw"
  curl -sS -f -K "$SCRATCH/raw" -o "$SCRATCH/journal.txt" -D "$SCRATCH/headers"
  same "$(header content-type)" text/plain
  grep -q copied "$SCRATCH/journal.txt"
}
check 'download: an artifact that is no zip' raw
undigested() {
  gh 200 GET '/actions/artifacts?per_page=100'
  holds '[.artifacts[] | select(.digest == null and (.expired | not))] | length == 1'
}
check 'artifacts: one of an old uploader has no digest' undigested
rights() {
  printf 'header = "Authorization: Bearer %s"\n' "$GITHUB_STRANGER_TOKEN" >"$SCRATCH/stranger"
  printf 'header = "Authorization: Bearer %s"\n' "$GITHUB_READ_TOKEN" >"$SCRATCH/reader"
  http 200 GET "$repo/actions/runs" -K "$SCRATCH/stranger"
  http 403 GET "$repo/actions/artifacts/$(kept whole)/zip" -K "$SCRATCH/stranger"
  holds '.message and .documentation_url'
  http 302 GET "$repo/actions/artifacts/$(kept whole)/zip" -K "$SCRATCH/reader"
  http 403 POST "$repo/actions/workflows/$GITHUB_WORKFLOW/dispatches" -K "$SCRATCH/reader" -H 'content-type: application/json' -d '{"ref":"main"}'
  same "$(header x-accepted-github-permissions)" actions=write
}
check 'refusals: tokens that may only read, or nothing' rights
anonymous() {
  http 401 GET "$repo/actions/artifacts/$(kept whole)/zip" -H 'Accept: application/vnd.github+json'
  printf 'header = "Authorization: Bearer wrong"\n' >"$SCRATCH/wrong"
  http 401 GET "$repo/actions/runs" -K "$SCRATCH/wrong"
  holds '.message == "Bad credentials"'
  http 403 GET "$repo" -A ''
}
check 'refusals: no token, bad token, no User-Agent' anonymous
unchanged() {
  gh 200 GET "/actions/workflows/$GITHUB_WORKFLOW/runs"
  local tag used
  tag=$(header etag)
  used=$(header x-ratelimit-used)
  [ -n "$tag" ] || fail 'no ETag'
  gh 304 GET "/actions/workflows/$GITHUB_WORKFLOW/runs" -H "If-None-Match: $tag"
  same "$(wc -c <"$SCRATCH/body")" 0
  [ "$(header x-ratelimit-used)" -le "$used" ] || fail 'a 304 was counted'
}
# Until nobody else asked, and no run moved, in between.
check 'conditional: ETag, 304, not counted' within 20 unchanged
limits() {
  http 200 GET "$GITHUB_API_URL/rate_limit" -K "$SCRATCH/token"
  holds '.rate.limit == 5000 and .resources.core.remaining <= 5000'
  local name
  for name in limit remaining used reset resource; do [ -n "$(header "x-ratelimit-$name")" ] || fail "no x-ratelimit-$name"; done
}
check 'rate limit: headers and /rate_limit' limits
versions() {
  http 400 GET "$repo" -H "X-GitHub-Api-Version: 1999-01-01"
  http 200 GET "$repo" -H "X-GitHub-Api-Version: 2026-03-10"
}
check 'API version: unknown is 400' versions
dispatch() {
  gh 204 POST "/actions/workflows/$GITHUB_WORKFLOW/dispatches" -d '{"ref":"main"}'
  seen() { gh 200 GET "/actions/workflows/$GITHUB_WORKFLOW/runs?event=workflow_dispatch" && [ "$(json .total_count)" -gt 0 ]; }
  within 20 seen
  gh 200 POST "/actions/workflows/$GITHUB_WORKFLOW/dispatches" -d '{"ref":"main","return_run_details":true}'
  holds '.workflow_run_id and .run_url and .html_url'
  gh 422 POST "/actions/workflows/$GITHUB_WORKFLOW/dispatches" -d '{"ref":"no-such-branch"}'
  gh 422 POST "/actions/workflows/$GITHUB_WORKFLOW/dispatches" -d '{"ref":"main","inputs":{"undeclared":"x"}}'
  over() { gh 200 GET "/actions/workflows/$GITHUB_WORKFLOW/runs?event=workflow_dispatch" && holds '.workflow_runs | all(.conclusion == "success")'; }
  within 60 over
}
check 'dispatch: 204, with details, unknown ref, undeclared input' dispatch
