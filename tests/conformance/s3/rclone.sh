#!/usr/bin/env bash
# What users of rclone do with an object store. See common.sh for what is printed.
CLIENT=rclone
. "$(dirname "$(readlink -f "$0")")/common.sh"

remote() {
  printf '[%s]\ntype = s3\nprovider = Scaleway\nenv_auth = false\nendpoint = %s\naccess_key_id = %s\nsecret_access_key = %s\nregion = %s\nforce_path_style = true\nupload_cutoff = 6M\nchunk_size = 5M\n' \
    "$1" "$2" "$3" "$4" "$REGION"
}
export RCLONE_CONFIG=$SCRATCH/rclone.conf
{
  remote src "$S3_SOURCE_ENDPOINT" "$S3_SOURCE_ACCESS_KEY_ID" "$S3_SOURCE_SECRET_ACCESS_KEY"
  remote arc "$S3_ARCHIVE_ENDPOINT" "$S3_ARCHIVE_ACCESS_KEY_ID" "$S3_ARCHIVE_SECRET_ACCESS_KEY"
} >"$RCLONE_CONFIG"
chmod 600 "$RCLONE_CONFIG"
B=rc-$SUFFIX
A=rc-far-$SUFFIX
rclone() { command rclone --retries 1 --low-level-retries 2 "$@"; }

make_bucket() { rclone mkdir "src:$B"; rclone mkdir "arc:$A"; has "$(rclone lsd src:)" "$B"; }
copy_file() {
  mkdir -p "tree/é x/y" && echo hello >"tree/é x/a b+%.txt" && echo 2 >tree/two && : >tree/empty && echo 3 >"tree/é x/y/&<three>"
  rclone copy tree "src:$B/tree" && rclone check tree "src:$B/tree"
}
list() { same "$(rclone lsf -R --files-only "src:$B/tree" | wc -l)" 4; rclone lsjson --hash "src:$B/tree" | among '"md5"'; has "$(rclone size "src:$B")" "Total objects: 4"; }
cat_range() { same "$(rclone cat --offset 1 --count 3 "src:$B/tree/é x/a b+%.txt")" ell; }
sync_folder() {
  rm tree/two && echo 4 >tree/four && rclone sync tree "src:$B/tree" && rclone check tree "src:$B/tree"
  rm -rf back && rclone sync "src:$B/tree" back && diff -r tree back
}
large_file() { random_file large 13000000; rclone copyto large "src:$B/large" && rclone check --download . "src:$B" --include /large && rclone copyto "src:$B/large" large.back && cmp large large.back; }
piped() { rclone rcat "src:$B/piped" <large; same "$(rclone cat "src:$B/piped" | md5sum)" "$(md5sum <large)"; }
server_side() { rclone copyto "src:$B/large" "src:$B/copied" && rclone moveto "src:$B/copied" "src:$B/moved"; same "$(rclone lsf "src:$B/moved")" moved; }
between() { rclone copy "src:$B" "arc:$A" && rclone check "src:$B" "arc:$A"; }
times() { touch -d 2020-02-02T02:02:02Z large && rclone copyto large "src:$B/large"; has "$(rclone lsl "src:$B/large")" "2020-02-02"; }
storage_class() { rclone copyto --s3-storage-class ONEZONE_IA tree/four "src:$B/zone"; has "$(rclone lsjson --metadata "src:$B/zone"; rclone lsf --format T "src:$B/zone")" ONEZONE_IA; }
cold() {
  rclone copyto --s3-storage-class GLACIER tree/four "src:$B/cold"
  refused "Object in GLACIER" rclone cat "src:$B/cold"
  has "$(rclone backend restore "src:$B" --include /cold -o priority=Standard -o lifetime=1)" OK
}
link() { curl -sf "$(rclone link --expire 60s "src:$B/tree/four")" | cmp - tree/four; }
versions() {
  has "$(rclone backend versioning "src:$B" Enabled)" Enabled
  echo 5 >v && rclone copyto v "src:$B/v" && echo 66 >v && rclone copyto v "src:$B/v" && rclone deletefile "src:$B/v"
  same "$(rclone lsf --files-only --s3-versions "src:$B" --include 'v-v*' | wc -l)" 2
  rclone backend cleanup-hidden "src:$B"
  same "$(rclone lsf --files-only --s3-versions "src:$B" --include 'v-v*' | wc -l)" 0
}
uploads() { has "$(rclone backend list-multipart-uploads "src:$B")" "$B"; rclone backend cleanup -o max-age=0s "src:$B"; }
remove() {
  rclone purge "src:$B/tree" && rclone delete "src:$B"
  if rclone backend versioning "src:$B" >status 2>&1; then rclone backend cleanup-hidden "src:$B"; fi
  rclone purge "src:$B" && rclone purge "arc:$A"
  case $(rclone lsd src:) in *"$B"*) echo "the bucket is still there"; return 1 ;; esac
}

has_backend() { rclone help backend s3 2>/dev/null | among "^### $1"; }

op "mkdir and lsd" make_bucket
op "copy and check, odd names, an empty file" copy_file
op "lsf, lsjson with hashes, size" list
op "cat with offset and count" cat_range
op "sync both ways" sync_folder
op "copyto in parts" large_file
op "rcat, a stream without length" piped
op "copyto and moveto inside the store" server_side
op "copy from one endpoint to the other" between
op "modification times" times
op "storage class" storage_class
op "GLACIER and backend restore" cold
op "link" link
if has_backend versioning; then op "versions" versions; else not_offered "versions" "this version has no backend versioning"; fi
op "backend list-multipart-uploads and cleanup" uploads
op "delete and purge, clean up" remove
exit 0
