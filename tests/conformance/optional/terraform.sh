#!/usr/bin/env bash
# The vendor's Terraform provider, where `terraform` is on PATH and the provider can be had: from a registry, a mirror or a plugin
# folder that the user's TF_CLI_CONFIG_FILE names. What counts is what the API then shows.
client=terraform
. "$LIB/check.sh"
command -v terraform >/dev/null 2>&1 || { report 'apply, plan, destroy' not-offered 'no `terraform` on PATH'; exit 0; }
app=conformance-terraform
# The provider takes the addresses of the two other APIs from the region, whatever else is set.
export SCALINGO_AUTH_URL SCALINGO_REGION SCALINGO_API_TOKEN
export HOME="$SCRATCH/home" CHECKPOINT_DISABLE=1 TF_IN_AUTOMATION=1 TF_INPUT=0
mkdir -p "$HOME" "$SCRATCH/plan"
tf() { timeout 180 terraform -chdir="$SCRATCH/plan" "$@" -no-color </dev/null; }
cat >"$SCRATCH/plan/main.tf" <<END
terraform {
  required_providers {
    scalingo = { source = "Scalingo/scalingo" }
  }
}
provider "scalingo" { region = "$SCALINGO_REGION" }
END
if ! tf init >"$SCRATCH/init" 2>&1; then
  cat "$SCRATCH/init" >&2
  report 'apply, plan, destroy' not-offered "terraform is there, the vendor's provider cannot be had: see terraform.log"
  exit 0
fi
login "$SCALINGO_API_TOKEN" "$SCRATCH/bearer"

# Versions that know projects plan to take an app out of its own wherever none is named, at the vendor's as here (their issue 242).
tf providers schema -json >"$SCRATCH/schema"
project=
if jq -e 'any(.provider_schemas[].resource_schemas.scalingo_app.block.attributes; has("project_id"))' "$SCRATCH/schema" >/dev/null; then
  api 200 GET /projects
  project="project_id  = \"$(json '.projects[] | select(.default) | .id')\""
fi
cat >"$SCRATCH/plan/app.tf" <<END
resource "scalingo_app" "app" {
  name        = "$app"
  environment = { COLOUR = "blue" }
  $project
}
resource "scalingo_addon" "db" {
  app         = scalingo_app.app.id
  provider_id = "postgresql"
  plan        = "postgresql-starter-512"
}
# By the older id, as in the provider's own documentation.
resource "scalingo_addon" "cache" {
  app         = scalingo_app.app.id
  provider_id = "scalingo-redis"
  plan        = "redis-starter-256"
}
resource "scalingo_collaborator" "colleague" {
  app   = scalingo_app.app.id
  email = "$SCALINGO_COLLABORATOR_EMAIL"
}
resource "scalingo_domain" "domain" {
  app         = scalingo_app.app.id
  common_name = "terraform.$DNS_ZONE"
}
END

made() {
  tf apply -auto-approve
  api 200 GET "/apps/$app"
  keep id "$(json .app.id)"
  api 200 GET "/apps/$app/addons"
  holds '[.addons[].addon_provider.id] | sort == ["postgresql", "scalingo-redis"]'
  keep addons "$(json '[.addons[].id] | sort | join(" ")')"
  api 200 GET "/apps/$app/collaborators"
  holds --arg e "$SCALINGO_COLLABORATOR_EMAIL" '.collaborators | length == 1 and .[0].email == $e'
  api 200 GET "/apps/$app/domains"
  holds --arg n "terraform.$DNS_ZONE" '.domains | any(.name == $n)'
  api 200 GET "/apps/$app/variables"
  holds '.variables | any(.name == "COLOUR" and .value == "blue")'
}
check 'apply: app, addons, collaborator, domain' made
unchanged() { # code 2 would be a plan that has something to do
  tf plan -detailed-exitcode
  tf apply -auto-approve | among 'Resources: 0 added, 0 changed, 0 destroyed'
  tf plan -detailed-exitcode
  api 200 GET "/apps/$app"
  holds --arg i "$(kept id)" '.app.id == $i'
  api 200 GET "/apps/$app/addons"
  holds --arg i "$(kept addons)" '([.addons[].id] | sort | join(" ")) == $i'
}
check 'plan, apply again, plan: nothing changes' unchanged
destroyed() {
  tf destroy -auto-approve
  api 404 GET "/apps/$app"
  tf destroy -auto-approve | among 'Resources: 0 destroyed'
}
check 'destroy, and again: nothing is left' destroyed
again() { # names are free again, and nothing of the first round is in the way
  made
  unchanged
  destroyed
}
check 'the same once more' again
