#!/bin/sh
# Measures the digest kernels against OpenSSL, on one core and in release.
set -eu
cd "$(dirname "$0")/../.."
swift build -c release --product spate-bench-digests
exec taskset -c "${CORE:-1}" "$(swift build -c release --show-bin-path)/spate-bench-digests"
