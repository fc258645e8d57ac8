#!/usr/bin/env bash
# run.sh [SECONDS] [FUZZER...]: runs each fuzzer (**/*_fuzz.cc, or those named) for so many
# seconds (default 20), two at a time, and ends with "N passed, N failed".
# Needs clang. What a fuzzer finds is kept in build/tests/fuzz/FUZZER/; to see it again:
#   build/fuzz/fuzzers/FUZZER_fuzz build/tests/fuzz/FUZZER/crash-...
# Once mended, it goes to tests/fuzz/found/FUZZER/, which each run begins with.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
seconds=${1:-20}
shift || true
if [ $# -gt 0 ]; then
  fuzzers=("$@")
else
  mapfile -t fuzzers < <(git ls-files '*_fuzz.cc' | sed -E 's#.*/(.*)_fuzz\.cc#\1#' | sort)
fi
logs=build/tests/fuzz
mkdir -p "$logs"
if ! { cmake --preset fuzz && cmake --build --preset fuzz; } >"$logs/build.log" 2>&1; then
  tail -n 40 "$logs/build.log"
  echo "fuzz: the fuzzers do not build"
  echo "0 passed, 1 failed"
  exit 1
fi

# Well-formed inputs, most by the XDR compiler.
seeds() { # seeds FUZZER DIR
  local make="python3 -B server/xdr/xdrseeds.py"
  case $1 in
    nfs4_xdr)
      $make api/nfs4.x COMPOUND4args 200 "$2" 00 && $make api/nfs4.x COMPOUND4res 200 "$2" 01 &&
        $make api/nfs4.x CB_COMPOUND4args 50 "$2" 02 &&
        $make api/nfs4.x CB_COMPOUND4res 50 "$2" 03 &&
        $make api/nfs4.x fattr4 50 "$2" 04 ;;
    attributes) $make api/nfs4.x fattr4 100 "$2" 00 && $make api/nfs4.x fattr4 100 "$2" 02 ;;
    compound) # the control byte: see compound_fuzz.cc
      local control
      for control in 00 43 47 4b 5b 22 63 67; do
        $make api/nfs4.x COMPOUND4args 150 "$2" "${control}ffff" || return 1
      done ;;
    call_header) $make api/rpc.x rpc_msg 100 "$2" ;;
    token) # the control byte: see token_fuzz.cc
      python3 -B - "$2" <<<'
import json, pathlib, sys
key = {"kty": "RSA", "n": "AQAB", "e": "AQAB"}
claims = {"iss": "https://cluster.test", "aud": ["tarn.dev"], "exp": 4600,
          "sub": "system:serviceaccount:a:b",
          "kubernetes.io": {"namespace": "a", "serviceaccount": {"name": "b"}}}
issuers = {"issuers": [{"issuer": "i", "audience": "a", "jwks": {"keys": [key]}}]}
token = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJodHRwczovL2NsdXN0ZXIudGVzdCJ9.AAAA"
for i, text in enumerate([token, json.dumps(claims), json.dumps(issuers)]):
    pathlib.Path(sys.argv[1], f"seed-{i}").write_bytes(bytes([i]) + text.encode())' ;;
    identity_certificate) # the first byte: see identity_certificate_fuzz.cc
      printf '\x00\x0c\x16fsap-0123456789abcdef0' >"$2/point"
      printf '\x02\x0c\x14fs-0123456789abcdef0' >"$2/files"
      printf '\x03\x30\x06\x0c\x01a\x0c\x01b' >"$2/client"
      printf '\x01\x30\x16\x0c\x01A\x04\x01s\x17\x0d250615120000Z' >"$2/sigv4"
      printf '\x04\x0c\x03abc' >"$2/token"
      openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null \
        -subj /CN=x -addext 1.3.6.1.4.1.4843.7.1=ASN1:UTF8String:fsap-0123456789abcdef0 \
        -outform DER 2>/dev/null | { printf '\xff' && cat; } >"$2/certificate" ;;
    record_reader) $make api/rpc.x rpc_msg 50 "$2" 0380000028 ;;
    policy) python3 -B server/policy/policyseeds.py "$2" ;;
    stateid | log_tail | rows) # lists of steps, any of which mean something
      python3 -B - "$2" <<<'
import pathlib, random, sys
source = random.Random(1)
for i in range(60):
    pathlib.Path(sys.argv[1], f"seed-{i}").write_bytes(source.randbytes(4 + i * 5))' ;;
  esac
}

fuzz() { # fuzz FUZZER: prints a line
  local work=$logs/$1 log=$logs/$1.log program=build/fuzz/fuzzers/$1_fuzz start=$SECONDS
  mkdir -p "$work/corpus"
  local folders=("$work/corpus")
  [ ! -d "tests/fuzz/found/$1" ] || folders+=("tests/fuzz/found/$1")
  rm -f "$work"/{crash,leak,oom,timeout}-*
  if seeds "$1" "$work/corpus" >"$log" 2>&1 &&
    ASAN_OPTIONS=detect_leaks=1 "$program" -max_total_time="$seconds" -timeout=10 \
      -rss_limit_mb=3072 -max_len=8192 -artifact_prefix="$work/" "${folders[@]}" >>"$log" 2>&1; then
    echo "ok    $1 ($((SECONDS - start)) s, $(grep -aoE '^Done [0-9]+ runs' "$log" | tail -n 1))"
  else
    echo "FAIL  $1"
    tail -n 60 "$log"
  fi
}
export -f fuzz seeds
export logs seconds
results=$logs/results
printf '%s\n' "${fuzzers[@]}" |
  timeout $((${#fuzzers[@]} * (seconds + 60))) xargs -P 2 -I{} bash -c 'fuzz {}' | tee "$results"
passed=$(grep -ac '^ok    ' "$results")
echo "$passed passed, $((${#fuzzers[@]} - passed)) failed"
[ "$passed" = ${#fuzzers[@]} ]
