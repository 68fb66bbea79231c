#!/usr/bin/env bash
# What users of restic do with an object store. See common.sh for what is printed.
CLIENT=restic
. "$(dirname "$(readlink -f "$0")")/common.sh"

export AWS_ACCESS_KEY_ID=$S3_SOURCE_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY=$S3_SOURCE_SECRET_ACCESS_KEY AWS_DEFAULT_REGION=$REGION
export RESTIC_REPOSITORY=s3:$S3_SOURCE_ENDPOINT/restic-$SUFFIX/repo RESTIC_PASSWORD=rehearsal RESTIC_CACHE_DIR=$SCRATCH/cache
restic() { command restic -o s3.bucket-lookup=path -o s3.region="$REGION" "$@"; }

init() { restic init; }
backup() { mkdir -p tree/é && seq 300 | while read -r n; do echo "$n" >"tree/é/$n"; done; random_file tree/large 8000000; restic backup tree; }
again() { echo more >tree/more && has "$(restic backup tree --json)" '"files_new":1'; }
snapshots() { same "$(restic snapshots --json | grep -o short_id | wc -l)" 2; }
check() { restic check --read-data; }
restore() { rm -rf back && restic restore latest --target back && diff -r tree "back/$PWD/tree" || diff -r tree back/tree; }
find_file() { has "$(restic find large)" large; restic dump latest /tree/more | among more; }
forget() { restic forget --keep-last 1 --prune; same "$(restic snapshots --json | grep -o short_id | wc -l)" 1; }
locks() { restic unlock; same "$(restic list locks | wc -l)" 0; }
keys() { RESTIC_NEW=other; printf '%s\n' "$RESTIC_NEW" >new; restic key add --new-password-file new; same "$(restic key list | grep -c root)" 2 || same "$(restic key list --json | grep -o userName | wc -l)" 2; }
append_only() {
  # A backup by a key that may only add, as people protect backups from the machine that makes them.
  AWS_ACCESS_KEY_ID=$S3_SOURCE_APPEND_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY=$S3_SOURCE_APPEND_SECRET_ACCESS_KEY restic --no-lock snapshots
  echo appended >tree/appended
  AWS_ACCESS_KEY_ID=$S3_SOURCE_APPEND_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY=$S3_SOURCE_APPEND_SECRET_ACCESS_KEY restic --no-lock backup tree || true
  same "$(restic snapshots --json | grep -o short_id | wc -l)" 2
  restic unlock --remove-all
}
remove() {
  python3 - <<'END'
import os
import boto3
from botocore.config import Config
name = os.environ["RESTIC_REPOSITORY"].rsplit("/", 2)[1]
store = boto3.resource("s3", endpoint_url=os.environ["S3_SOURCE_ENDPOINT"], region_name=os.environ["AWS_DEFAULT_REGION"], config=Config(s3={"addressing_style": "path"}))
store.Bucket(name).objects.all().delete()
store.Bucket(name).delete()
END
}

op "init makes the bucket" init
op "backup" backup
op "backup again, incremental" again
op "snapshots" snapshots
op "check with all data" check
op "restore" restore
op "find and dump" find_file
op "key add and list" keys
op "forget and prune" forget
op "locks and unlock" locks
op "backup with a key that may only add" append_only
op "clean up" remove
exit 0
