#!/usr/bin/env bash
# Build a container image into containers/images/NAME.sif, from Debian packages and the hash-locked
# wheelhouse alone, as an ordinary user with --fakeroot. An image that is up to date is kept.
#
#   containers/build.sh base|engine|analysis|engine-cuda
#
# Run by root it makes the user steerability-build (with subordinate ids) and builds as that user.
# Beside the image: NAME.sif.sha256 (checked before every run) and NAME.sif.key (what it was made
# of). Environment: PYTHON (python3), MIRROR (Debian mirror; default: the one apt uses here),
# CUDA_ARCHITECTURES ("80;86;89;90"), JOBS (all cores), STEERABILITY_WHEELS (.wheels).
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
name=${1:-}
images=$root/containers/images
python=${PYTHON:-python3}
wheels=${STEERABILITY_WHEELS:-$root/.wheels}
die() { echo "containers/build.sh: $1" >&2; exit "${2:-1}"; }

case $name in base | engine | analysis | engine-cuda) ;; *) die "no image '$name'; there are base, engine, analysis, engine-cuda" 2 ;; esac
command -v apptainer >/dev/null || die "no apptainer on this host; run containers/install-apptainer.sh" 2
mkdir -p "$images" "$wheels"
exec 8>"$images/.$name.lock"
flock 8

declare -A locks=([base]="" [engine]="engine build llama" [analysis]="analysis" [engine-cuda]="engine build llama cuda")
files=("containers/$name.def")
for lock in ${locks[$name]}; do files+=("envs/$lock.txt"); done
[ "$name" = analysis ] && files+=(containers/check_analysis.py)
case $name in engine*) files+=(envs/llama-flags.txt envs/build-wheel.sh containers/check_engine.py) ;; esac
[ "$name" = engine-cuda ] && files+=(envs/llama-cuda-flags.txt)
base_key=""
if [ "$name" != base ]; then
    "${BASH_SOURCE[0]}" base
    base_key=$(cat "$images/base.sif.key")
fi
digest=$(cd "$root" && sha256sum "${files[@]}" | sha256sum | cut -d' ' -f1)
architectures=""
[ "$name" != engine-cuda ] || architectures=${CUDA_ARCHITECTURES:-80;86;89;90}
key=$(echo "$digest $base_key $architectures" | sha256sum | cut -d' ' -f1)
image=$images/$name.sif
if [ -f "$image" ] && [ "$(cat "$image.key" 2>/dev/null)" = "$key" ] && (cd "$images" && sha256sum --status -c "$name.sif.sha256"); then
    echo "containers/build.sh: $name.sif is up to date"
    exit 0
fi

# The wheelhouse: every file checked against the lock here, and again by pip inside the image.
wheelhouse() {
    local lock=$1 house
    house=$wheels/house/$(sha256sum "$root/envs/$lock.txt" | cut -c1-16)
    if [ ! -f "$house/complete" ]; then
        mkdir -p "$house"
        local options=(--only-binary :all: --python-version 3.11 --implementation cp)
        local glibc
        for glibc in 2_36 2_35 2_34 2_31 2_28 2_27 2_26 2_24 2_17 2_12 2_5; do options+=(--platform "manylinux_${glibc}_x86_64"); done
        options+=(--platform manylinux2014_x86_64 --platform manylinux2010_x86_64 --platform manylinux1_x86_64)
        [ "$lock" = llama ] && options=(--no-binary :all: --no-build-isolation)
        "$work/venv/bin/python" -m pip download -qq --no-deps --require-hashes "${options[@]}" -d "$house" -r "$root/envs/$lock.txt"
        touch "$house/complete"
    fi
    mkdir -p "$context/wheelhouse/$2"
    cp "$house"/*.* "$context/wheelhouse/$2/"
}

work=$(mktemp -d "${TMPDIR:-/var/tmp}/steerability-build.XXXXXX")
# The build leaves files of subordinate ids behind only when it is killed; root can remove those.
trap 'rm -rf "$work" 2>/dev/null || true' EXIT
context=$work/context
mkdir -p "$context/wheels" "$work/tmp" "$work/cache"
if [ "$name" != base ]; then
    "$python" -m venv "$work/venv"
    "$work/venv/bin/python" -m pip install -qq --require-hashes --no-deps -r "$root/envs/build.txt"
    cp "$images/base.sif" "$context/base.sif"
    cp -r "$root/envs" "$context/envs"
    cp "$root"/containers/check_*.py "$context/envs/"
    pip_wheel=$("$work/venv/bin/python" -m pip --version | cut -d' ' -f2)
    wheelhouse build build
    for lock in ${locks[$name]}; do
        case $lock in
            build) ;;
            llama) wheelhouse llama build ;;
            *) wheelhouse "$lock" "$lock"; cp "$context"/wheelhouse/build/pip-"$pip_wheel"-*.whl "$context/wheelhouse/$lock/" ;;
        esac
    done
    for folder in "$wheels"/*/; do
        [ "$(basename "$folder")" = house ] || cp -r "$folder" "$context/wheels/"
    done
fi

mirror=${MIRROR:-}
if [ -z "$mirror" ] && [ "$name" = base ]; then
    # shellcheck disable=SC2016
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' 2>/dev/null | grep -v security | head -n 1) || true
    [ -n "$mirror" ] || die "apt names no Debian mirror on this host; set MIRROR" 2
fi
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$root/pyproject.toml" | head -n 1)
arguments=(--build-arg "VERSION=$version")
[ "$name" != base ] || arguments+=(--build-arg "MIRROR=$mirror")
[ "$name" = base ] || arguments+=(--build-arg BASE=base.sif --build-arg "LOCKS=$digest")
case $name in engine*) arguments+=(--build-arg "JOBS=${JOBS:-$(nproc)}") ;; esac
[ "$name" = engine-cuda ] && arguments+=(--build-arg "ARCHITECTURES=$architectures")
cp "$root/containers/$name.def" "$context/"

as=()
if [ "$(id -u)" = 0 ]; then
    builder=steerability-build
    id "$builder" >/dev/null 2>&1 || useradd --system --create-home --home-dir "/var/lib/$builder" --shell /usr/sbin/nologin "$builder"
    for ids in uid gid; do
        grep -q "^$builder:" "/etc/sub$ids" 2>/dev/null && continue
        first=$(awk -F: 'BEGIN { top = 100000 } $2 + $3 > top { top = $2 + $3 } END { print top }' "/etc/sub$ids" 2>/dev/null || echo 100000)
        usermod "--add-sub${ids}s" "$first-$((first + 65535))" "$builder"
    done
    chown -R "$builder:" "$work"
    as=(runuser -u "$builder" --)
fi

echo "containers/build.sh: building $name.sif"
began=$SECONDS
(cd "$context" && "${as[@]}" env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \
    HOME="$work" APPTAINER_TMPDIR="$work/tmp" APPTAINER_CACHEDIR="$work/cache" \
    ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} \
    apptainer build --fakeroot "${arguments[@]}" "$name.sif" "$name.def") >"$work/log" 2>&1 || {
    tail -n 40 "$work/log" >&2
    die "building $name.sif failed (its last lines are above)"
}
rm -f "$image.key"
mv "$context/$name.sif" "$image"
[ "$(id -u)" != 0 ] || chown root: "$image"
(cd "$images" && sha256sum "$name.sif" >"$name.sif.sha256")
echo "$key" >"$image.key"
echo "containers/build.sh: $name.sif, $(du -m "$image" | cut -f1) MB, $((SECONDS - began)) s, sha256 $(cut -d' ' -f1 "$image.sha256")"
