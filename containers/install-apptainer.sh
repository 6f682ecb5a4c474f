#!/usr/bin/env bash
# Install Apptainer on a bare Debian 12 (x86-64), without touching the system's libc.
#
# Debian 12 has no Apptainer; Debian's unstable suite has one, linked against a newer libc. Its
# package and the libraries it needs are fetched from the mirror that this machine's own apt uses
# (apt checks every file against the signed index), laid into /opt/apptainer-libs, and the two
# executables are pointed there. What was fetched, with versions and digests, is written to
# /opt/apptainer-libs/PACKAGES. A host that has Apptainer or SingularityCE new enough is left as
# it is. Exit status: 0 there is a working one; 2 this host is not supported; 1 anything else.
set -euo pipefail

minimum=1.2.0
suite=sid
libs=/opt/apptainer-libs
triplet=/usr/lib/x86_64-linux-gnu
tools=(squashfs-tools uidmap fakeroot squashfuse fuse-overlayfs fuse3 debootstrap ca-certificates
    containernetworking-plugins patchelf debian-archive-keyring)
libraries=(libc6 libseccomp2 libsqlite3-0 libgcc-s1 libzstd1 zlib1g liblzma5 liblz4-1 liblzo2-2)

say() { echo "install-apptainer: $*"; }
die() { echo "install-apptainer: $1" >&2; exit "${2:-1}"; }
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

for name in apptainer singularity; do # in the order in which Snakemake looks
    command -v "$name" >/dev/null || continue
    version=$("$name" --version 2>/dev/null | grep -oE '[0-9]+\.[0-9]+\.[0-9]+' | head -n 1) || true
    if [ -z "$version" ]; then
        # One that this script laid down and that has since lost its libraries is laid down anew.
        grep -q "$libs" "$(command -v "$name")" && break
        die "$(command -v "$name") does not say its version; remove or repair it" 2
    fi
    least=$minimum
    [ "$name" = apptainer ] || "$name" --version | grep -q apptainer || least=3.11.0
    at_least "$least" "$version" ||
        die "$(command -v "$name") is $version, older than $least; upgrade it with the tool that installed it" 2
    say "$("$name" --version) is here already; nothing to do"
    exit 0
done

# shellcheck disable=SC1091
. /etc/os-release 2>/dev/null || true
[ "${ID:-}" = debian ] && [ "${VERSION_ID:-}" = 12 ] && [ "$(uname -m)" = x86_64 ] ||
    die "only Debian 12 on x86-64 is supported, this is ${PRETTY_NAME:-unknown} on $(uname -m); install Apptainer $minimum or later as its documentation tells" 2
[ "$(id -u)" = 0 ] || die "must run as root (try: sudo $0)" 2

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
quietly() { "$@" >"$work/log" 2>&1 || { tail -n 15 "$work/log" >&2; die "'$*' failed (its last lines are above)"; }; }

missing=()
for tool in "${tools[@]}"; do
    dpkg-query -W -f '${db:Status-Status}' "$tool" 2>/dev/null | grep -qx installed || missing+=("$tool")
done
if [ ${#missing[@]} -gt 0 ]; then
    quietly apt-get update
    DEBIAN_FRONTEND=noninteractive quietly apt-get install -y --no-install-recommends "${missing[@]}"
fi

# The mirror is the one this machine takes Debian 12 itself from.
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Codename: bookworm' 'Component: main' | head -n 1)
[ -n "$mirror" ] || die "apt knows no source of Debian 12 (bookworm main) on this machine; add one and run apt-get update" 2

# A private apt configuration: the machine's own sources, lists and pins stay as they are.
mkdir -p "$work"/{lists,cache/archives,debs}/partial "$work/root"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$work/sources.list"
apt=(-o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=- -o Dir::Etc::preferencesparts=-
    -o Dir::Etc::preferences=- -o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work/cache"
    -o APT::Sandbox::User=root -o APT::Default-Release=)
quietly apt-get "${apt[@]}" update
(cd "$work/debs" && quietly apt-get "${apt[@]}" download apptainer "${libraries[@]}")
for deb in "$work"/debs/*.deb; do dpkg -x "$deb" "$work/root"; done

# The libraries as plain files in one folder, with the loader itself.
rm -rf "$libs.new"
mkdir -p "$libs.new"
while read -r library; do
    cp -L "$library" "$libs.new/$(basename "$library")"
done < <(find "$work/root" -path '*/x86_64-linux-gnu/*.so*' -not -path '*/x86_64-linux-gnu/*/*')
loader=$(find "$work/root" -type f -name 'ld-linux-x86-64.so.2' | head -n 1)
[ -n "$loader" ] || die "libc6 of $suite holds no ld-linux-x86-64.so.2"
cp --remove-destination "$loader" "$libs.new/ld-linux-x86-64.so.2"
(cd "$work/debs" && for deb in *.deb; do
    echo "$(dpkg-deb -f "$deb" Package) $(dpkg-deb -f "$deb" Version) sha256:$(sha256sum "$deb" | cut -d' ' -f1)"
done) >"$libs.new/PACKAGES"

lib=$work/root$triplet/apptainer
for program in "$work/root/usr/bin/apptainer" "$lib/bin/starter"; do
    patchelf --set-interpreter "$libs/ld-linux-x86-64.so.2" --force-rpath --set-rpath "$libs" "$program"
    lost=$("$libs.new/ld-linux-x86-64.so.2" --library-path "$libs.new" --list "$program" 2>&1 |
        sed -n 's/^\s*\(\S*\) => not found.*/\1/p' | sort -u | tr '\n' ' ')
    [ -z "$lost" ] || die "$(basename "$program") needs libraries that this script does not bring: $lost"
done

# Root without CAP_SYS_RESOURCE (as in many sandboxes) cannot take Apptainer's full set.
if [ $((0x$(sed -n 's/^CapBnd:\s*//p' /proc/self/status) >> 24 & 1)) = 0 ]; then
    sed -i 's/^root default capabilities = .*/root default capabilities = file/' "$work/root/etc/apptainer/apptainer.conf"
fi

rm -rf "$libs" "$triplet/apptainer"
mv "$libs.new" "$libs"
mkdir -p "$triplet" /etc/apptainer /var/lib/apptainer
cp -a "$lib" "$triplet/apptainer"
cp -an "$work/root/etc/apptainer/." /etc/apptainer/
cp -a "$work/root/var/lib/apptainer/." /var/lib/apptainer/
install -m 755 "$work/root/usr/bin/apptainer" /usr/bin/apptainer
ln -sf apptainer /usr/bin/singularity

apptainer --version >/dev/null 2>&1 || die "the installed apptainer does not start: $(apptainer --version 2>&1 | head -n 1)"
say "installed $(apptainer --version) (packages and digests: $libs/PACKAGES)"
