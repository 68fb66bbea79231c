#!/usr/bin/env bash
# What users of s3cmd do with an object store. See common.sh for what is printed.
CLIENT=s3cmd
. "$(dirname "$(readlink -f "$0")")/common.sh"

HOST=${S3_SOURCE_ENDPOINT#http://}
CONF=$SCRATCH/s3cfg
printf '[default]\naccess_key = %s\nsecret_key = %s\nhost_base = %s\nhost_bucket = %s\nbucket_location = %s\nuse_https = False\nsignature_v2 = False\nmultipart_chunk_size_mb = 5\nmax_retries = 1\n' \
  "$S3_SOURCE_ACCESS_KEY_ID" "$S3_SOURCE_SECRET_ACCESS_KEY" "$HOST" "$HOST" "$REGION" >"$CONF"
chmod 600 "$CONF"
s3cmd() { command s3cmd -c "$CONF" --no-progress "$@"; }
B=s3cmd-$SUFFIX

make_bucket() { s3cmd mb "s3://$B"; has "$(s3cmd ls)" "$B"; has "$(s3cmd info "s3://$B")" "$REGION"; }
copy_file() { echo hello >a.txt; s3cmd put a.txt "s3://$B/dir/a b+é.txt"; rm -f back && s3cmd get "s3://$B/dir/a b+é.txt" back && cmp a.txt back; }
large_file() { random_file large 12000000; s3cmd put large "s3://$B/large"; s3cmd get --force "s3://$B/large" large.back && cmp large large.back; }
piped() { s3cmd put - "s3://$B/piped" <a.txt; same "$(s3cmd get --quiet "s3://$B/piped" -)" hello; }
list() { has "$(s3cmd ls "s3://$B/dir/")" "a b+é.txt"; has "$(s3cmd la)" "$B"; same "$(s3cmd ls -r "s3://$B" | wc -l)" 3; has "$(s3cmd du "s3://$B")" 12000012; }
sync_folder() {
  mkdir -p tree/x && echo 1 >tree/1 && echo 2 >"tree/x/2 é"
  s3cmd sync tree/ "s3://$B/tree/" && rm tree/1 && s3cmd sync --delete-removed tree/ "s3://$B/tree/"
  mkdir -p back.tree && s3cmd sync "s3://$B/tree/" back.tree/ && diff -r tree back.tree
}
copy_and_move() { s3cmd cp "s3://$B/large" "s3://$B/copied"; s3cmd mv "s3://$B/copied" "s3://$B/moved"; has "$(s3cmd ls "s3://$B/moved")" moved; s3cmd modify --add-header=x-amz-meta-k:v "s3://$B/moved"; has "$(s3cmd info "s3://$B/moved")" "x-amz-meta-k"; }
acl() { s3cmd setacl --acl-public "s3://$B/large"; curl -sf "$S3_SOURCE_ENDPOINT/$B/large" | cmp - large; s3cmd setacl --acl-private "s3://$B/large"; ! curl -sf "$S3_SOURCE_ENDPOINT/$B/large" -o open; }
sign() { same "$(curl -sf "$(s3cmd signurl "s3://$B/piped" +60 | sed "s|^https*://[^/]*/|$S3_SOURCE_ENDPOINT/|")")" hello; }
policy() {
  printf '{"Version":"2023-04-17","Statement":[{"Effect":"Allow","Principal":{"SCW":"%s"},"Action":"s3:*","Resource":["%s","%s/*"]}]}' "$S3_SOURCE_PRINCIPAL" "$B" "$B" >policy
  s3cmd setpolicy policy "s3://$B"; has "$(s3cmd info "s3://$B")" "2023-04-17"; s3cmd delpolicy "s3://$B"
}
lifecycle() {
  s3cmd expire --expiry-days=30 --expiry-prefix=logs/ "s3://$B"
  has "$(s3cmd getlifecycle "s3://$B")" "<Days>30"
  s3cmd dellifecycle "s3://$B"
}
cors() {
  echo '<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>' >cors
  s3cmd setcors cors "s3://$B"; has "$(s3cmd info "s3://$B")" AllowedMethod; s3cmd delcors "s3://$B"
}
website() { s3cmd ws-create "s3://$B"; s3cmd ws-info "s3://$B"; s3cmd ws-delete "s3://$B"; }
tags() { s3cmd settagging "s3://$B/large" a=1; has "$(s3cmd gettagging "s3://$B/large")" a; s3cmd deltagging "s3://$B/large"; }
cold() {
  s3cmd put --storage-class=GLACIER a.txt "s3://$B/cold"
  refused InvalidObjectState s3cmd get --force "s3://$B/cold" cold
  s3cmd restore --restore-days=1 "s3://$B/cold"
}
versions() { s3cmd setversioning "s3://$B" enable; s3cmd put a.txt "s3://$B/v"; s3cmd setversioning "s3://$B" disable; }
uploads() { s3cmd multipart "s3://$B"; }
offers() { command s3cmd --help | among "s3cmd $1 "; }
remove() {
  s3cmd del --recursive --force "s3://$B"
  python3 - "$B" <<'END'
import os
import sys
import boto3
from botocore.config import Config
store = boto3.resource("s3", endpoint_url=os.environ["S3_SOURCE_ENDPOINT"], region_name=os.environ.get("AWS_REGION", "fr-par"),
                       aws_access_key_id=os.environ["S3_SOURCE_ACCESS_KEY_ID"], aws_secret_access_key=os.environ["S3_SOURCE_SECRET_ACCESS_KEY"],
                       config=Config(s3={"addressing_style": "path"}))
store.Bucket(sys.argv[1]).object_versions.delete()
END
  s3cmd rb "s3://$B"
}

op "mb, ls, info" make_bucket
op "put and get, odd name" copy_file
op "put in parts" large_file
op "put from and get to a pipe" piped
op "ls, la, du" list
op "sync both ways, with removal" sync_folder
op "cp, mv, modify" copy_and_move
op "setacl and anonymous download" acl
op "signurl" sign
op "setpolicy and delpolicy" policy
op "expire, getlifecycle, dellifecycle" lifecycle
op "setcors and delcors" cors
op "ws-create, ws-info, ws-delete" website
if offers settagging; then op "tags" tags; else not_offered "tags" "this version has no such command"; fi
op "GLACIER and restore" cold
if offers setversioning; then op "versioning" versions; else not_offered "versioning" "this version has no such command"; fi
op "list of multipart uploads" uploads
op "del and rb, clean up" remove
exit 0
