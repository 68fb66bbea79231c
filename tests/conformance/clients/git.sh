#!/usr/bin/env bash
# git at the platform's git server: what deploys, what is refused, and how it says so.
client=git
. "$LIB/check.sh"
app=conformance-git
login "$SCALINGO_API_TOKEN" "$SCRATCH/bearer"
api 201 POST /apps -d "{\"app\":{\"name\":\"$app\"}}"
url=$(json .app.git_url)
key="$SCALINGO_SSH_KEY"
export GIT_SSH_COMMAND="ssh -i '$key' -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile='$SCRATCH/known_hosts' -o BatchMode=yes -p ${SCALINGO_SSH_HOST##*:}"
# The remote as users write it; the sandbox's SSH server is on another port and host than the name says.
remote=$(printf '%s' "$url" | sed "s#^git@[^:/]*:\([^0-9/].*\)#ssh://git@${SCALINGO_SSH_HOST%:*}/\1#")
repo="$SCRATCH/repo"

host_key() {
  ssh-keyscan -p "${SCALINGO_SSH_HOST##*:}" "${SCALINGO_SSH_HOST%:*}" 2>/dev/null >"$SCRATCH/known_hosts"
  ssh-keygen -lf "$SCRATCH/known_hosts" | among -F "$SCALINGO_SSH_FINGERPRINT"
}
check 'ssh-keyscan: the published fingerprint' host_key
write() { # text of the page
  echo "$1" >"$repo/index.html"
  git -C "$repo" add -A
  git -C "$repo" commit -qm "$1"
}
init() {
  git init -q -b main "$repo"
  git -C "$repo" config user.email dev@example.test
  git -C "$repo" config user.name Dev
  git -C "$repo" remote add scalingo "$remote"
  mkdir -p "$repo/bin"
  printf '#!/bin/sh\nset -e\necho "building $APP"\n! grep -q broken index.html\n' >"$repo/bin/build"
  chmod +x "$repo/bin/build"
  printf 'web: exec python3 -m http.server "$PORT"\n' >"$repo/Procfile"
  write one
}
init || fail 'cannot make a repository'
served() {
  local host port
  api 200 GET "/apps/$app"
  host=$(json .app.url)
  host=${host#http*://}
  host=${host%%[:/]*}
  port=${INGRESS_HTTPS##*:}
  curl -sS --cacert "$CA_CERT" --resolve "$host:$port:127.0.0.1" "https://$host:$port/" | among -x "$1"
}
refused() { # pattern of the reason, git arguments…
  local why=$1
  shift
  ! git -C "$repo" "$@" >"$SCRATCH/push" 2>&1 || fail "accepted: git $*"
  grep -qiE "$why" "$SCRATCH/push" || fail "does not say why: $(tr '\n' ' ' <"$SCRATCH/push" | tail -c 200)"
}

push_main() {
  git -C "$repo" push scalingo main >"$SCRATCH/push" 2>&1 || fail "$(tail -n 3 "$SCRATCH/push" | tr '\n' ' ')"
  grep -q 'building conformance-git' "$SCRATCH/push" || fail 'the build log is not streamed'
  within 20 served one
}
check 'push main: streams the build, deploys' push_main
deployment() {
  api 200 GET "/apps/$app/deployments"
  holds --arg sha "$(git -C "$repo" rev-parse HEAD)" '.deployments[0] | .status == "success" and .git_ref == $sha and .pusher.username'
  api 200 GET "/apps/$app"
  holds '.app | .status == "running" and .last_deployed_at and .last_deployment_id'
}
check 'push main: the deployment has the commit' deployment
nothing_new() { git -C "$repo" push scalingo main 2>&1 | among 'up-to-date'; }
check 'push main: again, up to date' nothing_new
ls_remote() { git -C "$repo" ls-remote scalingo | among "$(git -C "$repo" rev-parse HEAD)"; }
check ls-remote ls_remote
clone() {
  git clone -q "$remote" "$SCRATCH/clone"
  same "$(git -C "$SCRATCH/clone" rev-parse HEAD)" "$(git -C "$repo" rev-parse HEAD)"
}
check clone clone
as_master() {
  write two
  git -C "$repo" push scalingo HEAD:master >"$SCRATCH/push" 2>&1 || fail "$(tail -n 3 "$SCRATCH/push" | tr '\n' ' ')"
  within 20 served two
}
check 'push HEAD:master' as_master
other_branch() { refused 'main|master|reject|declined' push scalingo HEAD:feature; }
check 'push another branch: refused' other_branch
tag() {
  git -C "$repo" tag v1
  refused 'tag|reject|declined' push scalingo v1
}
check 'push a tag: refused' tag
beside() { # as `git push --follow-tags`: main is not deployed either
  write beside
  local before after
  before=$(git -C "$repo" ls-remote scalingo refs/heads/main)
  refused 'tag|reject|declined' push scalingo main v1
  after=$(git -C "$repo" ls-remote scalingo refs/heads/main)
  same "$after" "$before"
  git -C "$repo" reset -q --hard HEAD~1
}
check 'push main with a tag beside it: refused as a whole' beside
shallow() {
  api 201 POST /apps -d '{"app":{"name":"conformance-shallow"}}' # one that has none of the history
  git clone -q --depth 1 "file://$repo" "$SCRATCH/shallow"
  ! git -C "$SCRATCH/shallow" push "${remote%/*}/conformance-shallow.git" HEAD:main >"$SCRATCH/push" 2>&1 || fail 'accepted'
  grep -qiE 'shallow' "$SCRATCH/push" || fail "does not say why: $(tail -c 200 "$SCRATCH/push" | tr '\n' ' ')"
}
check 'push of a shallow clone: refused' shallow
broken() {
  write broken
  refused 'build|fail|error' push scalingo main
  api 200 GET "/apps/$app/deployments"
  holds '.deployments[0].status == "build-error"'
  served two || served one
}
check 'push of a broken build: build-error, old version serves' broken
force() {
  git -C "$repo" reset -q --hard HEAD~1
  git -C "$repo" commit -q --amend -m 'two, again'
  echo three >"$repo/index.html"
  git -C "$repo" commit -qam three
  git -C "$repo" push -f scalingo main >"$SCRATCH/push" 2>&1 || fail "$(tail -n 3 "$SCRATCH/push" | tr '\n' ' ')"
  within 20 served three
}
check 'push --force: allowed, deploys' force
stranger() {
  ssh-keygen -q -t ed25519 -N '' -f "$SCRATCH/stranger"
  GIT_SSH_COMMAND="ssh -i '$SCRATCH/stranger' -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile='$SCRATCH/known_hosts' -o BatchMode=yes -p ${SCALINGO_SSH_HOST##*:}" \
    refused 'denied|publickey' push scalingo main:main
}
check 'push with an unregistered key: denied' stranger
absent() { ! git ls-remote "${remote%/*}/no-such-app.git" >"$SCRATCH/push" 2>&1 || fail 'an app that is not there'; }
check 'ls-remote of an absent app: refused' absent
shell() { ! ssh -i "$key" -o IdentitiesOnly=yes -o UserKnownHostsFile="$SCRATCH/known_hosts" -o BatchMode=yes -p "${SCALINGO_SSH_HOST##*:}" "git@${SCALINGO_SSH_HOST%:*}" 'id; cat /etc/passwd' | among .; }
check 'ssh: no shell' shell
rsa() { # other kinds of keys register and work
  local kind
  for kind in 'rsa -b 2048' ecdsa; do
    # shellcheck disable=SC2086 # a kind and its size
    ssh-keygen -q -t $kind -N '' -C "$kind" -f "$SCRATCH/key.${kind%% *}"
    auth 201 POST /keys -d "$(jq -nc --rawfile k "$SCRATCH/key.${kind%% *}.pub" --arg n "git ${kind%% *}" '{key: {name: $n, content: $k}}')"
    GIT_SSH_COMMAND="ssh -i '$SCRATCH/key.${kind%% *}' -o IdentitiesOnly=yes -o UserKnownHostsFile='$SCRATCH/known_hosts' -o BatchMode=yes -p ${SCALINGO_SSH_HOST##*:}" \
      git -C "$repo" push -q --dry-run "$remote" HEAD:main
  done
}
check 'RSA and ECDSA keys' rsa
