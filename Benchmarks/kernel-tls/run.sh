#!/usr/bin/env bash
# Serves over TLS in a small virtual machine whose kernel makes the records, and checks every byte.
# The same kernel first runs without its `tls` module, so that both ways are seen. Nothing is
# installed here: Debian's packages are downloaded, opened in a temporary directory and deleted.
#
#   Benchmarks/kernel-tls/run.sh .build/release/spate [--packages DIR]
#
# --packages keeps what was downloaded, for the next run.
set -euo pipefail

readonly guest_seconds_max=240
here=$(dirname "$(readlink -f "$0")")

fail() {
  echo "kernel-tls: $*" >&2
  exit 1
}

usage='usage: run.sh path/to/spate [--packages DIR]'
spate=$(readlink -f "${1:?$usage}")
[ -x "$spate" ] || fail "$1 is no program: make it with make release"
packages=
case "$# ${2-}" in
  "1 ") ;;
  "3 --packages") packages=$(realpath -m "$3") ;;
  *) fail "$usage" ;;
esac

[ "$(uname -m)" = x86_64 ] || fail "the machine that is emulated is an x86_64, this is none"
for program in apt-get apt-cache dpkg-deb curl openssl ldd gzip timeout; do
  command -v "$program" >/dev/null || fail "$program is missing (this needs a Debian system)"
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# --- What it takes: an emulator, a kernel with its modules, a shell for the guest.

apt_options=(
  -o Debug::NoLocking=1 -o APT::Sandbox::User= -o APT::Install-Recommends=false
  -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache"
)

download() {
  mkdir -p "$work"/{lists,cache/archives}/partial "$packages"
  echo "downloading an emulator and a kernel ..." >&2
  apt-get "${apt_options[@]}" -qq update >&2 || fail "apt-get update failed: is there a network?"
  local image
  image=$(apt-cache "${apt_options[@]}" show linux-image-cloud-amd64 |
    sed -n 's/^Depends: \(linux-image-[^ ,]*\).*/\1/p' | head -n 1)
  [ -n "$image" ] || fail "no package linux-image-cloud-amd64: are these Debian's sources?"
  # The emulator with the libraries that this system lacks; of the others the package alone.
  apt-get "${apt_options[@]}" -qq -y --reinstall --download-only install qemu-system-x86 >&2
  cp "$work"/cache/archives/*.deb "$packages"
  (cd "$packages" && apt-get "${apt_options[@]}" -qq download busybox-static cpio "$image" >&2)
}

if [ -z "$packages" ]; then packages="$work/packages"; fi
ls "$packages"/linux-image-*.deb >/dev/null 2>&1 || download
tree="$work/tree"
for package in "$packages"/*.deb; do dpkg-deb -x "$package" "$tree"; done
kernel=$(ls "$tree"/boot/vmlinuz-*) || fail "no kernel in $packages"
version=${kernel##*/vmlinuz-}
modules="$tree/lib/modules/$version/kernel"
grep -q '^CONFIG_TLS=m' "$tree/boot/config-$version" || fail "$version has TLS as no module"

# --- The guest's files.

guest="$work/guest"
mkdir -p "$guest"/{bin,dev,proc,sys,tmp,etc,srv,sbin,"lib/modules/$version/kernel"}
cp "$tree/bin/busybox" "$guest/bin/"
ln -s busybox "$guest/bin/sh"
ln -s ../bin/busybox "$guest/sbin/modprobe"
cp "$here/init" "$guest/init"
chmod 755 "$guest/init"

# A program by a name, and the libraries it was linked with where the loader looks for them.
add_program() {
  cp -L "$1" "$guest/bin/$2"
  local library
  for library in $(ldd "$1" | grep -o '/[^ ]*'); do
    mkdir -p "$guest$(dirname "$library")"
    cp -L "$library" "$guest$library"
  done
}
add_program "$spate" spate
add_program "$(command -v curl)" curl
add_program "$(command -v openssl)" openssl
cp "$(openssl version -d | sed 's/.*"\(.*\)"/\1/')/openssl.cnf" "$guest/etc/" 2>/dev/null || true

# ChaCha20 is left out on purpose: the kernel refuses that cipher, and the process takes over.
for module in net/tls/tls crypto/gcm crypto/ctr crypto/ghash-generic crypto/gf128mul \
  crypto/cryptd crypto/crypto_simd crypto/seqiv \
  arch/x86/crypto/aesni-intel arch/x86/crypto/ghash-clmulni-intel; do
  for file in "$modules/$module".ko*; do
    [ -e "$file" ] || continue
    mkdir -p "$guest/lib/modules/$version/kernel/$(dirname "$module")"
    cp "$file" "$guest/lib/modules/$version/kernel/$(dirname "$module")/"
  done
done
cp "$tree/lib/modules/$version"/modules.{builtin,order} "$guest/lib/modules/$version/"
"$guest/bin/busybox" depmod -b "$guest" "$version"

for name in localhost other.example; do
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
    -subj "/CN=$name" -addext "subjectAltName=DNS:$name,IP:127.0.0.1" \
    -keyout "$guest/etc/$name.key" -out "$guest/etc/$name.pem" 2>/dev/null
done
printf '127.0.0.1 localhost other.example\n' >"$guest/etc/hosts"

cpio=$(command -v cpio || echo "$tree/bin/cpio")
(cd "$guest" && find . | "$cpio" --quiet -o -H newc) | gzip -1 >"$work/initramfs"

# --- The run. Only qemu gets the downloaded libraries.

libraries="$tree/usr/lib/x86_64-linux-gnu:$tree/lib/x86_64-linux-gnu"
console="$work/console"
echo "starting $version, emulated: this takes one to three minutes ..." >&2
status=0
LD_LIBRARY_PATH=$libraries timeout "$guest_seconds_max" "$tree/usr/bin/qemu-system-x86_64" \
  -L "$tree/usr/share/qemu" -L "$tree/usr/share/seabios" -accel tcg -cpu max -smp 1 -m 1G \
  -nodefaults -no-user-config -display none -serial "file:$console" -no-reboot \
  -kernel "$kernel" -initrd "$work/initramfs" \
  -append "console=ttyS0 quiet panic=-1 mitigations=off" </dev/null >&2 || status=$?

# Lines of the guest: RESULT | records made by | what | ok or FAILED | what was seen
results=$(tr -d '\r' <"$console" | sed -n 's/^RESULT | //p')
if [ "$status" -ne 0 ] || ! grep -q '^DONE' "$console"; then
  tail -n 30 "$console" >&2
  [ "$status" -ne 124 ] || fail "the guest was not done within $guest_seconds_max s"
  fail "the guest did not come to its end (qemu: $status)"
fi
printf '| records made by | what | | seen |\n|---|---|---|---|\n'
sed 's/^/| /; s/$/ |/' <<<"$results"
if grep -q '| FAILED |' <<<"$results"; then
  tr -d '\r' <"$console" | sed -n 's/^NOTE /  /p' >&2
  fail "something failed"
fi
