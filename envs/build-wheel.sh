#!/usr/bin/env bash
# Build llama-cpp-python once, from its hash-locked source package, with the flags of
# envs/llama-flags.txt, and print the wheel's path. Used by the Makefile and by containers/*.def.
#
#   envs/build-wheel.sh          the wheel's path; builds it when it is not there
#   envs/build-wheel.sh --key    the digest of all that can change the wheel
#
# Environment: PYTHON (python3), CXX and CC (g++-12 and gcc-12 where they exist, else c++ and cc),
# STEERABILITY_WHEELS (folder of the built wheels, .wheels in the repository), JOBS (all cores).
# CUDA_ARCHITECTURES, for example "80;90": a CUDA build, with envs/llama-cuda-flags.txt besides.
# pip's own settings (PIP_NO_INDEX, PIP_FIND_LINKS, ...) choose where the source package comes from.
set -euo pipefail
envs=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${PYTHON:-python3}
if [ -z "${CXX:-}" ]; then
    if command -v g++-12 >/dev/null && command -v gcc-12 >/dev/null; then
        CXX=g++-12 CC=gcc-12
    else
        CXX=c++ CC=${CC:-cc}
    fi
fi
export CXX CC=${CC:-cc}
command -v "$CXX" >/dev/null || {
    echo "build-wheel: no C++ compiler ($CXX); install one, for example Debian's g++-12" >&2
    exit 2
}

flags=$(cat "$envs/llama-flags.txt")
nvcc=none
if [ -n "${CUDA_ARCHITECTURES:-}" ]; then
    flags+=" $(cat "$envs/llama-cuda-flags.txt") -DCMAKE_CUDA_ARCHITECTURES=$CUDA_ARCHITECTURES"
    nvcc=$(nvcc --version | tail -n 1)
fi
key=$({
    cat "$envs/llama.txt" "$envs/build.txt" "$envs/build-wheel.sh"
    echo "$flags" "$nvcc"
    "$CXX" --version | sed 's/^[^ ]* //;q'
    ld --version | head -n 1
    uname -m
    getconf GNU_LIBC_VERSION
} | sha256sum | cut -d' ' -f1)
if [ "${1:-}" = --key ]; then echo "$key"; exit; fi

folder=${STEERABILITY_WHEELS:-$(dirname "$envs")/.wheels}/$key
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
wheel() { find "$folder" -maxdepth 1 -name 'llama_cpp_python-*.whl' | head -n 1; }
exec 9>"$folder/.lock"
flock 9
if [ -z "$(wheel)" ]; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    # Not isolated: pip's hash checking does not reach into the environments it builds in.
    "$python" -m venv "$work/venv"
    "$work/venv/bin/python" -m pip install -qq --require-hashes --no-deps -r "$envs/build.txt" >&2
    export PATH="$work/venv/bin:$PATH" GIT_CEILING_DIRECTORIES=$work SOURCE_DATE_EPOCH=1767225600
    pip=("$work/venv/bin/python" -m pip --no-cache-dir)
    "${pip[@]}" download -qq --no-deps --no-build-isolation --no-binary llama-cpp-python \
        --require-hashes -d "$work" -r "$envs/llama.txt" >&2
    mkdir "$work/source"
    tar -xzf "$work"/llama_cpp_python-*.tar.gz -C "$work/source" --strip-components 1
    rm -rf "$work/source/.git" # else the binaries name whatever commit git reads there
    echo "build-wheel: building $(cd "$work" && echo llama_cpp_python-*.tar.gz) with $("$CXX" --version | head -n 1); this takes some minutes" >&2
    # No build folder in the binaries: the same key gives the same bytes wherever it is built.
    map="-ffile-prefix-map=$work=."
    CMAKE_BUILD_PARALLEL_LEVEL=${JOBS:-$(nproc)} CFLAGS="$map" CXXFLAGS="$map" \
        CUDAHOSTCXX=$CXX CUDAFLAGS="-Xcompiler=$map" \
        CMAKE_ARGS=${flags//$'\n'/ } \
        "${pip[@]}" wheel --no-deps --no-build-isolation -C build-dir="$work/build" \
        -C "wheel.exclude=/lib/**;/include/**;/bin/**" \
        -w "$work/wheel" "$work/source" >"$work/log" 2>&1 || {
        tail -n 40 "$work/log" >&2
        echo "build-wheel: the build failed (its last lines are above)" >&2
        exit 1
    }
    for built in "$work"/wheel/*.whl; do
        cp "$built" "$folder/.part"
        mv "$folder/.part" "$folder/$(basename "$built")"
    done
fi
wheel
