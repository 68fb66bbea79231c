#!/usr/bin/env bash
# What users of the AWS command line do with an object store. See common.sh for what is printed.
CLIENT=awscli
. "$(dirname "$(readlink -f "$0")")/common.sh"

export AWS_ACCESS_KEY_ID=$S3_SOURCE_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY=$S3_SOURCE_SECRET_ACCESS_KEY AWS_REGION=$REGION AWS_DEFAULT_REGION=$REGION
export AWS_EC2_METADATA_DISABLED=true AWS_PAGER= AWS_CONFIG_FILE=$SCRATCH/config AWS_SHARED_CREDENTIALS_FILE=$SCRATCH/none
B=cli-$SUFFIX
cat >"$AWS_CONFIG_FILE" <<END
[default]
s3 =
  addressing_style = path
  multipart_threshold = 6MB
  multipart_chunksize = 5MB
END
aws() { command aws --endpoint-url "$S3_SOURCE_ENDPOINT" --output text "$@"; }
api() { aws s3api "$@"; }

make_bucket() { aws s3 mb "s3://$B"; has "$(aws s3 ls)" "$B"; api head-bucket --bucket "$B"; }
copy_file() {
  echo hello >a.txt
  aws s3 cp a.txt "s3://$B/dir/a b+é.txt" --content-type text/plain --metadata k=v
  aws s3 cp "s3://$B/dir/a b+é.txt" back.txt && cmp a.txt back.txt
}
stream() {
  head -c 7000000 /dev/zero | aws s3 cp - "s3://$B/stream"
  same "$(aws s3 cp "s3://$B/stream" - | wc -c)" 7000000
}
large_file() {
  random_file large 12000000
  aws s3 cp large "s3://$B/large" --no-progress
  has "$(api head-object --bucket "$B" --key large --query ETag)" '-3"'
  aws s3 cp "s3://$B/large" large.back --no-progress && cmp large large.back
}
list() { has "$(aws s3 ls "s3://$B/dir/")" "a b+é.txt"; has "$(aws s3 ls --recursive --summarize "s3://$B")" "Total Objects: 3"; }
sync_folder() {
  mkdir -p tree/x/y && echo 1 >tree/1 && echo 2 >"tree/x/2 %&" && echo 3 >tree/x/y/3
  aws s3 sync tree "s3://$B/tree"
  same "$(aws s3 sync tree "s3://$B/tree" | wc -l)" 0
  rm tree/1 && aws s3 sync tree "s3://$B/tree" --delete
  rm -rf tree.back && aws s3 sync "s3://$B/tree" tree.back && diff -r tree tree.back
}
copy_and_move() {
  aws s3 cp "s3://$B/large" "s3://$B/large.copy" --no-progress
  aws s3 mv "s3://$B/large.copy" "s3://$B/moved" --no-progress
  refused 404 aws s3api head-object --bucket "$B" --key large.copy
}
presign() { same "$(curl -sf "$(aws s3 presign "s3://$B/dir/a b+é.txt" --expires-in 60)")" hello; }
pages() {
  same "$(api list-objects-v2 --bucket "$B" --page-size 1 --query 'length(Contents)' --output json)" "$(api list-objects --bucket "$B" --page-size 2 --query 'length(Contents)' --output json)"
}
ranges() { api get-object --bucket "$B" --key dir/'a b+é.txt' --range bytes=1-3 part; same "$(cat part)" ell; }
conditions() {
  local etag
  etag=$(api put-object --bucket "$B" --key cond --body a.txt --if-none-match '*' --query ETag)
  refused PreconditionFailed aws s3api put-object --bucket "$B" --key cond --body a.txt --if-none-match '*'
  api put-object --bucket "$B" --key cond --body a.txt --if-match "$etag"
  refused 304 aws s3api get-object --bucket "$B" --key cond --if-none-match "$etag" part
}
checksums() {
  local name
  for name in CRC32 CRC32C SHA1 SHA256 CRC64NVME; do
    api put-object --bucket "$B" --key sum --body large --checksum-algorithm $name
    has "$(api head-object --bucket "$B" --key sum --checksum-mode ENABLED)" FULL_OBJECT
  done
}
multipart() {
  local upload one
  upload=$(api create-multipart-upload --bucket "$B" --key parts --query UploadId)
  head -c 5242880 large >five
  one=$(api upload-part --bucket "$B" --key parts --upload-id "$upload" --part-number 1 --body five --query ETag)
  api upload-part-copy --bucket "$B" --key parts --upload-id "$upload" --part-number 2 --copy-source "$B/large" --copy-source-range bytes=0-99
  same "$(api list-parts --bucket "$B" --key parts --upload-id "$upload" --query 'length(Parts)')" 2
  has "$(api list-multipart-uploads --bucket "$B")" "$upload"
  refused InvalidArgument aws s3api upload-part --bucket "$B" --key parts --upload-id "$upload" --part-number 1001 --body a.txt
  api complete-multipart-upload --bucket "$B" --key parts --upload-id "$upload" --multipart-upload "{\"Parts\":[{\"PartNumber\":1,\"ETag\":$one},{\"PartNumber\":2,\"ETag\":\"$(head -c 100 large | md5sum | cut -d' ' -f1)\"}]}"
  same "$(api head-object --bucket "$B" --key parts --query ContentLength)" 5242980
}
versions() {
  api put-bucket-versioning --bucket "$B" --versioning-configuration Status=Enabled
  same "$(api get-bucket-versioning --bucket "$B" --query Status)" Enabled
  api put-object --bucket "$B" --key v --body a.txt && api put-object --bucket "$B" --key v --body a.txt
  aws s3 rm "s3://$B/v"
  same "$(api list-object-versions --bucket "$B" --prefix v --query '[length(Versions), length(DeleteMarkers)]' --output json | tr -d ' \n')" '[2,1]'
  api put-bucket-versioning --bucket "$B" --versioning-configuration Status=Suspended
}
tags() {
  api put-object-tagging --bucket "$B" --key large --tagging 'TagSet=[{Key=a,Value=1}]'
  same "$(api get-object-tagging --bucket "$B" --key large --query 'TagSet[0].Value')" 1
  api put-bucket-tagging --bucket "$B" --tagging 'TagSet=[{Key=b,Value=2}]'
  same "$(api get-bucket-tagging --bucket "$B" --query 'TagSet[0].Value')" 2
}
acl() {
  api put-object-acl --bucket "$B" --key large --acl public-read
  has "$(api get-object-acl --bucket "$B" --key large)" AllUsers
  curl -sf "$S3_SOURCE_ENDPOINT/$B/large" | cmp - large
  aws s3 cp --no-sign-request "s3://$B/large" open --no-progress
}
policy() {
  api put-bucket-policy --bucket "$B" --policy "{\"Version\":\"2023-04-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"SCW\":\"$S3_SOURCE_PRINCIPAL\"},\"Action\":\"*\",\"Resource\":[\"$B\",\"$B/*\"]},{\"Effect\":\"Deny\",\"Principal\":\"*\",\"Action\":\"s3:GetObject\",\"Resource\":\"$B/cond\"}]}"
  has "$(api get-bucket-policy --bucket "$B")" Deny
  refused AccessDenied aws s3api get-object --bucket "$B" --key cond part
  aws s3 ls "s3://$B"
  api delete-bucket-policy --bucket "$B"
}
settings() {
  api put-bucket-lifecycle-configuration --bucket "$B" --lifecycle-configuration '{"Rules":[{"ID":"x","Status":"Enabled","Filter":{"Prefix":"t/"},"Expiration":{"Days":3}}]}'
  same "$(api get-bucket-lifecycle-configuration --bucket "$B" --query 'Rules[0].Expiration.Days')" 3
  api put-bucket-cors --bucket "$B" --cors-configuration '{"CORSRules":[{"AllowedMethods":["GET"],"AllowedOrigins":["*"]}]}'
  api get-bucket-cors --bucket "$B"
  aws s3 website "s3://$B" --index-document index.html
  api delete-bucket-lifecycle --bucket "$B"
}
lock() {
  local version L=cli-lock-$SUFFIX
  api create-bucket --bucket "$L" --object-lock-enabled-for-bucket
  version=$(api put-object --bucket "$L" --key k --body a.txt --object-lock-mode GOVERNANCE --object-lock-retain-until-date "$(date -u -d '+1 hour' +%FT%TZ)" --query VersionId)
  refused AccessDenied aws s3api delete-object --bucket "$L" --key k --version-id "$version"
  api put-object-legal-hold --bucket "$L" --key k --legal-hold Status=ON
  refused AccessDenied aws s3api delete-object --bucket "$L" --key k --version-id "$version" --bypass-governance-retention
  api put-object-legal-hold --bucket "$L" --key k --legal-hold Status=OFF
  api delete-object --bucket "$L" --key k --version-id "$version" --bypass-governance-retention
  api delete-bucket --bucket "$L"
}
glacier() {
  aws s3 cp a.txt "s3://$B/cold" --storage-class GLACIER
  refused InvalidObjectState aws s3api get-object --bucket "$B" --key cold part
  api restore-object --bucket "$B" --key cold --restore-request Days=1
  has "$(api head-object --bucket "$B" --key cold --query Restore)" ongoing-request
}
customer_key() {
  local key
  key=$(head -c 24 /dev/urandom | base64 | cut -c 1-32)
  aws s3 cp a.txt "s3://$B/sse-c" --sse-c AES256 --sse-c-key "$key"
  refused 400 aws s3 cp "s3://$B/sse-c" plain
  aws s3 cp "s3://$B/sse-c" plain --sse-c AES256 --sse-c-key "$key" && cmp a.txt plain
}
remove() {
  aws s3 rm "s3://$B" --recursive >removed
  local line
  api list-object-versions --bucket "$B" --query '[Versions,DeleteMarkers][][].[VersionId,Key]' | grep -v '^None' >left || true
  while IFS=$'\t' read -r id key; do api delete-object --bucket "$B" --key "$key" --version-id "$id" >deleted; done <left
  aws s3 rb "s3://$B"
}

op "mb, ls, head-bucket" make_bucket
op "cp up and down, odd name" copy_file
op "cp from and to a pipe" stream
op "cp in parts" large_file
op "ls, recursive, summarized" list
op "sync both ways, with delete" sync_folder
op "cp and mv inside the store" copy_and_move
op "presign" presign
op "paging of list v1 and v2" pages
op "range" ranges
op "conditional reads and writes" conditions
op "checksums of every algorithm" checksums
op "multipart by hand with a copied range" multipart
op "versions" versions
op "tags" tags
op "acl and anonymous download" acl
op "bucket policy" policy
op "lifecycle, CORS, website" settings
op "object lock" lock
op "GLACIER and restore" glacier
op "customer's encryption key" customer_key
op "rm and rb, clean up" remove
exit 0
