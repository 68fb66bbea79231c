#!/usr/bin/env bash
# A real Django application (gunicorn, Celery; PostgreSQL, Redis, S3), pushed by git and started from its Procfile.
client=django
. "$LIB/check.sh"
app=conformance-django tree="$HERE/django"
. "$LIB/app.sh"

check 'create the app' make_app
check 'addons: PostgreSQL and Redis' make_addons
variables() {
  set_variables SECRET_KEY "$(openssl rand -hex 32)" ALLOWED_HOSTS "$(kept host)" NOTES_VERSION 1 \
    S3_BUCKET "$S3_SOURCE_BUCKET" S3_ENDPOINT "$S3_SOURCE_ENDPOINT" S3_REGION "$AWS_REGION" \
    AWS_ACCESS_KEY_ID "$S3_SOURCE_ACCESS_KEY_ID" AWS_SECRET_ACCESS_KEY "$S3_SOURCE_SECRET_ACCESS_KEY" \
    PIP_NO_INDEX 1 PIP_FIND_LINKS "$CONFORMANCE/wheels" BUILD_PIP "$CONFORMANCE/venv/bin/pip" BUILD_CACHE "$SCRATCH/build-cache"
  mkdir -p "$SCRATCH/build-cache"
}
check 'variables' variables
make_repository || fail 'cannot make a repository'
first() {
  pushed first
  same "$(last_deployment)" success
  api 200 GET "/apps/$app"
  holds '.app.status == "running"'
}
check 'git push: virtualenv, migrations in postdeploy, success' first
page() { says 200 / && holds '.version == "1" and .secure and .notes == 0 and .container == "web-1"'; }
check 'page: through the ingress' within 20 page
wrong_host() {
  set_variables ALLOWED_HOSTS "elsewhere.test"
  restarted
  says 400 /
  set_variables ALLOWED_HOSTS "$(kept host)"
  restarted
  within 10 page
}
check 'variables: in force after a restart' wrong_host
database() {
  says 201 /notes -X POST --data-binary 'première note é'
  says 201 /notes -X POST --data-binary 'second'
  says 200 /notes
  holds '.notes == ["première note é", "second"]'
}
check 'PostgreSQL: write, read' database
worker() { scaled worker 1; }
check 'scale worker to 1' worker
task() {
  says 202 /count -X POST
  keep task "$(json .task)"
  counted() { says 200 "/count/$(kept task)" && holds '.state == "SUCCESS" and .letters == 21'; }
  within 40 counted
}
check 'Redis: a Celery task runs in the worker' task
files() {
  head -c 300000 /dev/urandom >"$SCRATCH/photo"
  says 201 /files/conformance/photo.bin -X PUT --data-binary "@$SCRATCH/photo"
  local name
  name=$(json .name)
  says 200 "/files/$name"
  cmp "$SCRATCH/photo" "$SCRATCH/body"
  says 404 /files/conformance/absent.bin
}
check 'S3: store, load, absent' files
more() {
  scaled web 2
  local seen=""
  for _ in $(seq 20); do
    says 200 /
    seen="$seen $(json .container)"
  done
  case $seen in *web-1*web-2* | *web-2*web-1*) ;; *) fail "only one of two containers answers:$seen" ;; esac
}
check 'scale web to 2: both answer' more
again() { restarted && within 20 says 200 /; }
check restart again
second() {
  set_variables NOTES_VERSION 2
  pushed second
  newer() { says 200 / && holds '.version == "2" and .notes == 2'; }
  within 20 newer
}
check 'git push again: the new version, the data kept' second
gap() { # requests while a deployment switches
  (for _ in $(seq 60); do web / || echo 000; echo; sleep 0.1; done) >"$SCRATCH/during" 2>/dev/null &
  local asking=$!
  pushed third
  kill "$asking" 2>/dev/null || true
  wait "$asking" 2>/dev/null || true
  ! grep -vE '^(200)?$' "$SCRATCH/during" || fail "answers while deploying: $(sort "$SCRATCH/during" | uniq -c | tr '\n' ' ')"
}
check 'git push: no request fails while it switches' gap
broken_build() {
  sed -i 's/^Django==.*/Django==0.0.1/' "$repo/requirements.txt"
  ! push broken || fail 'a broken build is accepted'
  grep -qiE 'django==0.0.1' "$SCRATCH/push" || fail 'the reason is not streamed'
  same "$(last_deployment)" build-error
  says 200 /
  cp "$tree/requirements.txt" "$repo/requirements.txt"
}
check 'a broken build: build-error, the old version serves' broken_build
broken_hook() {
  cat >"$repo/notes/migrations/0002_wrong.py" <<'PY'
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("notes", "0001_initial")]
    operations = [migrations.RunSQL("SELECT no_such_function()")]
PY
  ! push hook || fail 'a failing hook is accepted'
  same "$(last_deployment)" hook-error
  within 10 says 200 /
  holds '.notes == 2'
  rm "$repo/notes/migrations/0002_wrong.py"
}
check 'a failing migration: hook-error, the old version serves' broken_hook
no_port() {
  cp "$repo/Procfile" "$SCRATCH/Procfile"
  sed -i 's/^web: .*/web: exec sleep 300/' "$repo/Procfile"
  ! push deaf || fail 'a web that never binds is accepted'
  same "$(last_deployment)" timeout-error
  within 10 says 200 /
  cp "$SCRATCH/Procfile" "$repo/Procfile"
}
check 'web does not bind PORT: timeout-error, the old version serves' no_port
repaired() {
  pushed repaired
  within 20 says 200 /
}
check 'git push of the repair' repaired
one_off() { # Django's own command in a one-off container
  api 200 POST "/apps/$app/run" -d '{"command":".venv/bin/python manage.py shell -c \"from notes.models import Note; Note.objects.create(text=chr(33))\"","env":{},"detached":true}'
  three() { says 200 / && holds '.notes == 3'; }
  within 60 three
}
check 'run: a management command in a one-off' one_off
gone() {
  api 204 DELETE "/apps/$app?current_name=$app"
  same "$(web /)" 404
}
check 'destroy: nothing answers' gone
