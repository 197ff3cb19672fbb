#!/bin/sh
# Fuzzes the readers of Wire for a number of seconds (120 unless told otherwise), from the project's
# root: Tests/Fuzz/run.sh [SECONDS]
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:-120}
out=${FUZZ_OUT:-.build/fuzz}
mkdir -p "$out/sources" "$out/corpus"

# One module, so that the readers are reached without a build system: the imports between the
# modules go.
for file in Sources/Content/*.swift Sources/Wire/*.swift; do
  sed -E '/^(package )?import Content$/d' "$file" >"$out/sources/$(basename "$file")"
done
cp Tests/Fuzz/WireFuzz.swift "$out/sources/"
swiftc -swift-version 6 -O -sanitize=fuzzer,address -parse-as-library \
  -package-name spate -module-name WireFuzz "$out"/sources/*.swift -o "$out/wire-fuzz"

# The byte examples of the protocol are where the binary readers start; the first byte is the choice
# that WireFuzz.swift makes.
seed() {
  {
    printf "\\$(printf %03o "$2")"
    awk -v tag="\`\`\`hex $1" '$0 == tag { on = 1; next } /^```/ { on = 0 } on { sub(/[|].*/, ""); print }' \
      Docs/PROTOCOL.md | tr -s ' \n' '\n\n' | while read -r byte; do
      printf "\\$(printf %03o "0x$byte")"
    done
  } >"$out/corpus/seed-$1"
}
seed announce 3
seed referral 4
seed have 6

# Without this a crash waits for a backtracer.
export SWIFT_BACKTRACE=enable=no
exec "$out/wire-fuzz" -max_total_time="$seconds" -max_len=4096 -timeout=5 \
  -artifact_prefix="$out/" -dict=Tests/Fuzz/wire.dict "$out/corpus"
