#!/usr/bin/env bash
# What users of s5cmd do with an object store. See common.sh for what is printed.
CLIENT=s5cmd
. "$(dirname "$(readlink -f "$0")")/common.sh"

export AWS_ACCESS_KEY_ID=$S3_SOURCE_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY=$S3_SOURCE_SECRET_ACCESS_KEY AWS_REGION=$REGION AWS_DEFAULT_REGION=$REGION
export S3_ENDPOINT_URL=$S3_SOURCE_ENDPOINT AWS_CONFIG_FILE=$SCRATCH/none AWS_SHARED_CREDENTIALS_FILE=$SCRATCH/none
B=s5-$SUFFIX

make_bucket() { s5cmd mb "s3://$B"; has "$(s5cmd ls)" "$B"; }
copy_file() { echo hello >a.txt; s5cmd cp a.txt "s3://$B/dir/a b+é.txt"; same "$(s5cmd cat "s3://$B/dir/a b+é.txt")" hello; }
many() {
  mkdir -p tree/x && seq 200 | while read -r n; do echo "$n" >"tree/x/$n"; done
  s5cmd cp 'tree/*' "s3://$B/tree/" >uploaded
  same "$(s5cmd ls "s3://$B/tree/*" | wc -l)" 200
  s5cmd cp "s3://$B/tree/*" back/ >fetched && diff -r tree back
}
large_file() {
  random_file large 12000000
  s5cmd cp --part-size 5 --concurrency 3 large "s3://$B/large" && s5cmd cp "s3://$B/large" large.back && cmp large large.back
}
piped() { s5cmd pipe "s3://$B/piped" <a.txt; same "$(s5cmd cat "s3://$B/piped")" hello; }
sync_folder() {
  s5cmd sync tree/ "s3://$B/sync/" >synced
  same "$(s5cmd sync tree/ "s3://$B/sync/" | wc -l)" 0
  rm tree/x/7 && s5cmd sync --delete tree/ "s3://$B/sync/" >synced
  same "$(s5cmd ls "s3://$B/sync/*" | wc -l)" 199
}
copy_and_move() { s5cmd cp "s3://$B/large" "s3://$B/copied"; s5cmd mv "s3://$B/copied" "s3://$B/moved"; s5cmd head "s3://$B/moved"; refused 'no object' s5cmd ls "s3://$B/copied"; }
usage() { has "$(s5cmd du "s3://$B/large")" 12000000; }
storage_class() { s5cmd cp --storage-class ONEZONE_IA a.txt "s3://$B/zone"; has "$(s5cmd ls --storage-class "s3://$B/zone")" ONEZONE_IA; }
presign() { same "$(curl -sf "$(s5cmd presign "s3://$B/piped")")" hello; }
versions() {
  s5cmd bucket-version --set Enabled "s3://$B"
  has "$(s5cmd bucket-version "s3://$B")" Enabled
  s5cmd cp a.txt "s3://$B/v" && s5cmd cp a.txt "s3://$B/v" && s5cmd rm "s3://$B/v"
  same "$(s5cmd ls --all-versions "s3://$B/v" | wc -l)" 3
}
run_file() { printf 'ls s3://%s/large\ncp s3://%s/piped run.txt\n' "$B" "$B" >commands; s5cmd run commands; same "$(cat run.txt)" hello; }
remove() { s5cmd rm --all-versions "s3://$B/*" >removed; s5cmd rb "s3://$B"; }

op "mb and ls" make_bucket
op "cp and cat, odd name" copy_file
op "200 files with wildcards" many
op "cp in parts" large_file
op "pipe" piped
op "sync with delete" sync_folder
op "cp and mv inside the store" copy_and_move
op "du" usage
op "storage class" storage_class
op "presign" presign
op "versions" versions
op "run a file of commands" run_file
not_offered "object lock" "no such command"
not_offered "GLACIER restore" "no such command"
op "rm of all versions and rb, clean up" remove
exit 0
