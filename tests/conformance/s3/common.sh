# Shared by the scripts of this folder; sourced, not run. CLIENT names the client.
#
# `op NAME FUNCTION` runs one operation with errors ending it, and prints one line: client, operation, passed|failed, detail.

SCRATCH=${SCRATCH:?a scratch folder}/$CLIENT
SUFFIX=$(od -An -N5 -tx1 /dev/urandom | tr -d ' \n')
REGION=${AWS_REGION:-fr-par}
# The endpoints speak plain HTTP, and some clients refuse to start over a bundle they cannot use.
unset AWS_CA_BUNDLE AWS_ENDPOINT_URL AWS_PROFILE
mkdir -p "$SCRATCH"
cd "$SCRATCH" || exit 1

# Whether a pattern is in the input, which is read to its end: a reader that stops early makes the writer fail.
among() { grep "$@" | cat >/dev/null; }

op() {
  local name=$1 output status detail=
  shift
  output=$(set -euo pipefail; "$@" 2>&1 </dev/null)
  status=$?
  if [ $status -eq 0 ]; then
    printf '%s\t%s\tpassed\t\n' "$CLIENT" "$name"
  else
    detail=$(printf '%s' "$output" | tail -n 3 | tr '\t\r\n' '   ' | cut -c 1-300)
    printf '%s\t%s\tfailed\texit %s: %s\n' "$CLIENT" "$name" "$status" "$detail"
  fi
}

not_offered() {
  printf '%s\t%s\tnot-offered\t%s\n' "$CLIENT" "$1" "${2:-}"
}

# Fails unless the two are equal.
same() {
  [ "$1" = "$2" ] || { echo "expected '$2', got '$1'"; return 1; }
}

# Fails unless the text contains the word.
has() {
  case $1 in *"$2"*) ;; *) echo "expected '$2' in: $1"; return 1 ;; esac
}

# Runs a command that must fail, saying WORD.
refused() {
  local word=$1 output
  shift
  if output=$("$@" 2>&1); then echo "succeeded, expected $word: $*"; return 1; fi
  has "$output" "$word"
}

random_file() {
  head -c "$2" /dev/urandom >"$1"
}
