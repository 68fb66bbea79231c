#!/usr/bin/env bash
# curl at the platform's API, as its documents write the calls: account, projects, apps, variables, collaborators.
client=curl-platform
. "$LIB/check.sh"
app=conformance-curl

tokens_exchange() { login "$SCALINGO_API_TOKEN" "$SCRATCH/bearer"; }
check tokens.exchange tokens_exchange
token_is_jwt() {
  local token payload
  token=$(sed -n 's/^header = "Authorization: Bearer \(.*\)"/\1/p' "$SCRATCH/bearer")
  payload=$(printf '%s' "$token" | cut -d. -f2 | tr '_-' '/+')
  while [ $((${#payload} % 4)) -ne 0 ]; do payload="$payload="; done
  printf '%s' "$payload" | base64 -d >"$SCRATCH/body"
  holds '.iss == "Scalingo" and (.exp - .iat) == 3600 and (.uuid | startswith("us-")) and (.rnd | length) == 32'
}
check 'tokens.exchange: a real JWT of one hour' token_is_jwt
bad_token() {
  printf 'user = ":tk-us-wrong"\n' >"$SCRATCH/wrong"
  http 401 POST "$AUTH/v1/tokens/exchange" -K "$SCRATCH/wrong" -d '{}'
  holds '.error == "Invalid credentials"'
}
check 'tokens.exchange: refused' bad_token
bad_bearer() { http 401 GET "$API/v1/apps" -H 'Authorization: Bearer no.such.token' && holds '.error | type == "string"'; }
check 'bearer: refused' bad_bearer
myself() { auth 200 GET /users/self && holds '.user | (.id | startswith("us-")) and .email and .username and (.flags | type == "object")'; }
check users.self myself
regions() { auth 200 GET /regions && holds '.regions | any(.default) and all(.ssh and .api and .database_api and .display_name)'; }
check regions.list regions
anonymous_regions() { http 200 GET "$AUTH/v1/regions" && holds '.regions | length > 0'; }
check 'regions.list: anonymous' anonymous_regions

tokens() {
  auth 201 POST /tokens -d '{"token":{"name":"conformance"}}'
  holds '.token | (.token | startswith("tk-us-")) and .name == "conformance" and .id'
  local id
  id=$(json .token.id)
  auth 200 GET /tokens
  holds --arg id "$id" '.tokens | any(.id == $id)'
  auth 200 PATCH "/tokens/$id/renew" -d '{}'
  auth 204 DELETE "/tokens/$id"
  auth 404 DELETE "/tokens/$id"
}
check 'tokens: create, list, renew, delete' tokens
keys() {
  ssh-keygen -q -t ed25519 -N '' -C conformance -f "$SCRATCH/key"
  jq -nc --rawfile k "$SCRATCH/key.pub" '{key: {name: "curl", content: $k}}' >"$SCRATCH/key.json"
  auth 201 POST /keys -d "@$SCRATCH/key.json"
  holds '.key | .id and .name == "curl" and .fingerprint'
  keep key "$(json .key.id)"
  auth 200 GET /keys
  holds '.keys | any(.name == "curl")'
  auth 422 POST /keys -d "@$SCRATCH/key.json"
  holds '.errors | length > 0'
  auth 422 POST /keys -d '{"key":{"name":"short","content":""}}'
  holds '.errors.content | length > 0'
  auth 204 DELETE "/keys/$(kept key)"
  auth 404 DELETE "/keys/$(kept key)"
}
check 'keys: add, list, twice, blank, delete' keys

catalogue() {
  http 200 GET "$API/v1/addon_providers"
  holds '[.addon_providers[] | {(.id): .name}] | add | .postgresql == "PostgreSQL" and .redis == "Redis® OSS"'
  http 200 GET "$API/v1/addon_providers/postgresql/plans?show_all=true"
  holds '.plans | all((.id | test("^[0-9a-f]{24}$")) and (.pricings.default.price | type) == "string")'
  http 200 GET "$API/v1/addon_categories"
  api 200 GET /features/container_sizes
  holds '.container_sizes | any(.name == "M") and all(.hourly_price > 0 and .thirtydays_price > 0)'
  # Go reads no `2.0` into an int, and jq does not tell it from 2.
  ! among -E '"(hourly|thirtydays)_price": *[0-9]*[.eE]' <"$SCRATCH/body" || fail 'a price is not an integer'
  api 200 GET /features/stacks
  holds '.stacks | any(.name == "scalingo-24" and (.deprecated_at == null))'
}
check 'catalogue: providers, plans, sizes, stacks' catalogue

projects() {
  api 201 POST /projects -d '{"project":{"name":"conformance-curl"}}'
  local id
  id=$(json .project.id)
  keep project "$id"
  api 200 GET "/projects/$id"
  holds '.project | .name == "conformance-curl" and .default == false and .owner'
  api 200 PATCH "/projects/$id" -d '{"project":{"name":"conformance-curl-2"}}'
  api 200 GET /projects
  holds --arg id "$id" '.projects | any(.id == $id and .name == "conformance-curl-2") and any(.default)'
}
check 'projects: create, get, rename, list' projects

create() {
  api 201 POST /apps -d "$(jq -nc --arg n "$app" --arg p "$(kept project)" '{app: {name: $n, project_id: $p}}')"
  holds '.app | .status == "new" and (.id | test("^[0-9a-f]{24}$")) and (.git_url | endswith(":conformance-curl.git") or endswith("/conformance-curl.git"))
    and .owner.email and (.links.deployments_stream | test("^wss?://")) and .last_deployed_at == null and .region'
}
check apps.create create
dry_run() {
  api 201 POST /apps -H 'X-Dry-Run: true' -d '{"app":{"name":"conformance-dry"}}'
  api 404 GET /apps/conformance-dry
}
check 'apps.create: dry run' dry_run
names() {
  local name
  for name in Short short- -short sh--ort-name sh abc_defgh; do
    api 422 POST /apps -d "{\"app\":{\"name\":\"$name\"}}"
    holds '.errors.name | length > 0'
  done
  api 422 POST /apps -d "{\"app\":{\"name\":\"$app\"}}"
  holds '.errors.name == ["has already been taken"]'
  api 422 POST /apps -d '{}'
  holds '.errors.app == ["missing field"]'
}
check 'apps.create: refused names' names
show() {
  api 200 GET "/apps/$app"
  keep app_id "$(json .app.id)"
  api 200 GET "/apps/$(kept app_id)"
  api 404 GET /apps/no-such-app
  holds '. == {resource: "app", error: "not found"}'
}
check 'apps.get: by name, by id, absent' show
list() { api 200 GET /apps && holds --arg n "$app" '(all(.[]; type == "array")) and (.apps | any(.name == $n))'; }
check 'apps.list: only arrays at the root' list
settings() {
  api 200 PUT "/apps/$app" -d '{"force_https":true}'
  holds '.app.force_https'
  api 200 PUT "/apps/$app" -d '{"sticky_session":true}'
  api 200 PUT "/apps/$app" -d '{"router_logs":true}'
  api 200 PATCH "/apps/$app" -d '{"app":{"force_https":false}}'
  holds '.app | (.force_https | not) and .sticky_session and .router_logs'
}
check 'apps.update: unwrapped PUT, wrapped PATCH' settings
rename() {
  api 422 POST "/apps/$app/rename" -d '{"current_name":"other","new_name":"conformance-renamed"}'
  holds '.errors.current_name == ["Provided name does not match app name"]'
  api 200 POST "/apps/$app/rename" -d "{\"current_name\":\"$app\",\"new_name\":\"conformance-renamed\"}"
  holds '.app.name == "conformance-renamed"'
  api 200 POST /apps/conformance-renamed/rename -d "{\"current_name\":\"conformance-renamed\",\"new_name\":\"$app\"}"
}
check 'apps.rename: refused, there, back' rename
scale_new() {
  api 200 POST "/apps/$app/scale" -d '{"containers":[{"name":"web","amount":0,"size":"M"}]}'
  same "$(header location)" ""
  holds '.containers | any(.name == "web" and .amount == 0)'
  api 200 GET "/apps/$app/containers"
  holds '.containers | any(.name == "web" and .amount == 0)'
  api 200 GET "/apps/$app/ps"
  holds '.containers == []'
}
check 'scale: before the first deployment, 200 without Location' scale_new
log_drains() {
  api 200 GET "/apps/$app/log_drains"
  holds '.drains == []'
  api 422 POST "/apps/$app/log_drains" -d '{"drain":{"type":"syslog"}}'
  local url=tcp+tls://logs.exemple.test:6514
  api 201 POST "/apps/$app/log_drains" -d "{\"drain\":{\"type\":\"syslog\",\"host\":\"logs.exemple.test\",\"port\":\"6514\"}}"
  api 200 GET "/apps/$app/log_drains"
  holds --arg u "$url" --arg i "$(kept app_id)" '.drains == [{app_id: $i, url: $u}]'
  api 204 DELETE "/apps/$app/log_drains?url=$(jq -rn --arg u "$url" '$u | @uri')"
  api 200 GET "/apps/$app/log_drains"
  holds '.drains == []'
}
check 'log_drains: none, refused, made, listed, removed' log_drains
scm_link() {
  api 404 GET "/apps/$app/scm_repo_link"
  api 201 POST "/apps/$app/scm_repo_link" -d '{"scm_repo_link":{"source":"https://github.com/owner/code","branch":"main"}}'
  api 200 GET "/apps/$app/scm_repo_link"
  holds '.scm_repo_link | .source == "https://github.com/owner/code" and .branch == "main"'
  api 204 DELETE "/apps/$app/scm_repo_link"
}
check 'scm_repo_link: none, made, shown, removed' scm_link
scale_too_much() {
  api 422 POST "/apps/$app/scale" -d '{"containers":[{"name":"web","amount":11,"size":"M"}]}'
  holds '.errors["container-web-amount"][0] | test("10 containers")'
}
check 'scale: above ten' scale_too_much

variables() {
  api 201 POST "/apps/$app/variables" -d '{"variable":{"name":"ONE","value":"1"}}'
  local id
  id=$(json .variable.id)
  api 200 PUT "/apps/$app/variables" -d '{"variables":[{"id":"","name":"TWO","value":"é$ONE"},{"name":"THREE","value":"$ONE"},{"name":"ONE","value":"uno"}]}'
  holds '.variables | length == 3 and all(.id)'
  api 200 PUT "/apps/$app/variables" -d '{"variables":null}' # as the Terraform provider does for an app without `environment`
  holds '.variables == []'
  api 200 GET "/apps/$app/variables?aliases=true"
  holds '[.variables[] | {(.name): .value}] | add | .THREE == "$ONE" and .ONE == "uno"'
  api 200 GET "/apps/$app/variables?aliases=false"
  holds '[.variables[] | {(.name): .value}] | add | .THREE == "uno"'
  api 200 PATCH "/apps/$app/variables/$id" -d '{"variable":{"value":"eins"}}'
  same "$(variable "$app" ONE)" eins
  api 204 DELETE "/apps/$app/variables/$id"
  api 200 GET "/apps/$app/variables"
  holds '[.variables[].name] | index("ONE") | not'
  api 204 DELETE "/apps/$app/variables" -d "$(jq -c '{variable_ids: [.variables[] | select(.name == "TWO") | .id]}' "$SCRATCH/body")"
  api 200 GET "/apps/$app/variables"
  holds '[.variables[].name] == ["THREE"]'
}
check 'variables: post, put, aliases, patch, delete, bulk delete' variables
bad_variables() {
  api 422 POST "/apps/$app/variables" -d '{"variable":{"name":"","value":""}}'
  holds '(.errors.name | index("can'"'"'t be blank")) != null and (.errors.value | length > 0)'
  api 422 POST "/apps/$app/variables" -d '{"variable":{"name":"1ST","value":"x"}}'
  holds '.errors.name | index("must start with a letter")'
  jq -nc '{variable: {name: "LONG", value: ("x" * 32769)}}' >"$SCRATCH/long.json"
  api 422 POST "/apps/$app/variables" -d "@$SCRATCH/long.json"
}
check 'variables: blank, bad name, too long' bad_variables

collaborators() {
  api 201 POST "/apps/$app/collaborators" -d "{\"collaborator\":{\"email\":\"$SCALINGO_COLLABORATOR_EMAIL\"}}"
  holds '.collaborator | .status == "pending" and .username == "n/a" and .user_id == null and .is_limited'
  local id
  id=$(json .collaborator.id)
  keep collaborator "$id"
  api 200 PATCH "/apps/$app/collaborators/$id" -d '{"collaborator":{"is_limited":false}}'
  holds '.collaborator.is_limited | not'
  api 200 GET "/apps/$app/collaborators"
  holds '.collaborators | length == 1'
  keep link "$(json '.collaborators[0].invitation_link')"
  api 200 GET /collaborators
  api 422 POST "/apps/$app/collaborators" -d '{"collaborator":{"email":"","is_limited":false}}'
}
check 'collaborators: invite (limited by default), patch, list, blank' collaborators
accept() {
  local link token
  login "$SCALINGO_COLLABORATOR_API_TOKEN" "$SCRATCH/guest"
  link=$(kept link)
  token=${link##*token=}
  [ -n "$token" ] || fail "no token in the link"
  http 200 GET "$API/v1/apps/collaboration?token=$token" -K "$SCRATCH/guest"
  holds --arg n "$app" '.app.name == $n'
  api 200 GET "/apps/$app/collaborators"
  holds '.collaborators[0] | .status == "accepted" and .user_id and (.invitation_link // "") == ""'
  http 401 DELETE "$API/v1/apps/$app?current_name=$app" -K "$SCRATCH/guest"
  holds '.error | type == "string"'
  http 200 GET "$API/v1/apps" -K "$SCRATCH/guest"
  holds --arg n "$app" '.apps | any(.name == $n)'
}
check 'collaborators: accept by the link; may not delete (401)' accept
limited() {
  api 200 PATCH "/apps/$app/collaborators/$(kept collaborator)" -d '{"collaborator":{"is_limited":true}}'
  http 200 GET "$API/v1/apps/$app/variables" -K "$SCRATCH/guest"
  holds '.variables | length > 0 and all((.value // "") == "")'
  http 401 POST "$API/v1/apps/$app/variables" -K "$SCRATCH/guest" -d '{"variable":{"name":"X","value":"x"}}'
  api 204 DELETE "/apps/$app/collaborators/$(kept collaborator)"
  http 404 GET "$API/v1/apps/$app" -K "$SCRATCH/guest"
}
check 'collaborators: limited sees no values; revoked sees nothing' limited

events() {
  api 200 GET "/apps/$app/events?page=1&per_page=5"
  holds '(.events | length > 0) and .meta.pagination.current_page == 1 and .meta.pagination.total_count > 0'
  holds '.events | all(.id and .type and .created_at and .app_name and (.user | type == "object"))'
  api 200 GET '/events?page=1&per_page=5'
  http 200 GET "$API/v1/event_categories"
  keep category "$(json '.event_categories[] | select(.name == "app_operations") | .id')"
  http 200 GET "$API/v1/event_types"
  holds --arg c "$(kept category)" '.event_types | any(.name == "app_deployed" and .category_id == $c)'
}
check 'events: of the app, of the account, types' events

handover() { # a project with one app, offered to a collaborator of that app, who takes it
  api 201 POST /projects -d '{"project":{"name":"conformance-handover"}}'
  local project name=conformance-handover token guest path one
  project=$(json .project.id)
  path=/projects/$project/transfer_invitations
  api 201 POST /apps -d "$(jq -nc --arg n "$name" --arg p "$project" '{app: {name: $n, project_id: $p}}')"
  api 201 POST "/apps/$name/collaborators" -d "$(jq -nc --arg e "$SCALINGO_COLLABORATOR_EMAIL" '{collaborator: {email: $e, is_limited: false}}')"
  token=$(json .collaborator.invitation_link)
  login "$SCALINGO_COLLABORATOR_API_TOKEN" "$SCRATCH/guest"
  http 200 GET "$AUTH/v1/users/self" -K "$SCRATCH/guest"
  guest=$(json .user.id)
  api 422 POST "$path" -d "$(jq -nc --arg u "$guest" '{transfer_invitation: {invited_user_id: $u}}')"
  http 200 GET "$API/v1/apps/collaboration?token=${token##*token=}" -K "$SCRATCH/guest"
  api 200 GET "/projects/$project/eligible_new_owners"
  holds --arg u "$guest" '.eligible_new_owners | any(.user_id == $u)'
  api 201 POST "$path" -d "$(jq -nc --arg u "$guest" '{transfer_invitation: {invited_user_id: $u}}')"
  holds --arg p "$project" '.transfer_invitation | .status == "pending" and .project_id == $p and .expires_at'
  one=$(json .transfer_invitation.id)
  api 409 POST "$path" -d "$(jq -nc --arg u "$guest" '{transfer_invitation: {invited_user_id: $u}}')"
  api 200 POST "$path/$one/cancel" -d '{}'
  holds '.transfer_invitation.status == "canceled"'
  api 409 POST "$path/$one/cancel" -d '{}'
  api 201 POST "$path" -d "$(jq -nc --arg u "$guest" '{transfer_invitation: {invited_user_id: $u}}')"
  one=$(json .transfer_invitation.id)
  api 200 GET "$path"
  holds --arg i "$one" '.transfer_invitations | length == 1 and .[0].id == $i'
  api 200 GET "$path?status=all"
  holds '[.transfer_invitations[].status] | sort == ["canceled", "pending"]'
  http 200 POST "$API/v1$path/$one/accept" -K "$SCRATCH/guest" -d '{}'
  holds '.transfer_invitation.status == "accepted"'
  api 404 GET "/projects/$project"
  api 200 GET "/apps/$name"
  holds --arg u "$guest" '.app.owner.id == $u'
  http 204 DELETE "$API/v1/apps/$name?current_name=$name" -K "$SCRATCH/guest"
  http 204 DELETE "$API/v1/projects/$project" -K "$SCRATCH/guest"
}
check 'projects: offered to a collaborator, accepted, the new owner has it all' handover
project_busy() {
  api 409 DELETE "/projects/$(kept project)"
  holds '.error | test("existing apps")'
}
check 'projects.delete: 409 while it holds apps' project_busy
delete() {
  api 422 DELETE "/apps/$app?current_name=other"
  holds '.errors.current_name'
  api 204 DELETE "/apps/$app?current_name=$app"
  api 404 DELETE "/apps/$app?current_name=$app"
  api 204 DELETE "/projects/$(kept project)"
  api 404 GET "/projects/$(kept project)"
}
check 'apps.delete: wrong name, right name, twice; the empty project' delete
# Sixty requests a minute are sixty a second here: one after the other a busy machine does not get there.
limited_at_last() {
  curl -sS -Z --parallel-max 40 -K "$SCRATCH/hasty" -w '\n%{http_code}\n' "$API/v1/projects?page=[1-200]" >"$SCRATCH/limited"
  grep -qx 429 "$SCRATCH/limited" || fail 'no 429 in 200 requests'
}
limit() { # with a token of its own, so that nobody else is held up
  login "$SCALINGO_COLLABORATOR_API_TOKEN" "$SCRATCH/guest"
  http 201 POST "$AUTH/v1/tokens" -K "$SCRATCH/guest" -d '{"token":{"name":"hasty"}}'
  login "$(json .token.token)" "$SCRATCH/hasty"
  within 30 limited_at_last
  grep -q 'Retry later' "$SCRATCH/limited" || fail 'nothing says Retry later'
}
check 'rate limit: 429 as plain text' limit
