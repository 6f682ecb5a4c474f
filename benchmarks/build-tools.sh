#!/usr/bin/env bash
# Build llama-server and llama-batched-bench from the very source package of the installed
# llama-cpp-python, with the flags of envs/llama-flags.txt, and print the folder of the binaries.
# Needs `make setup`. Environment: STEERABILITY_TOOLS (.wheels/tools), JOBS (all cores).
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bin=${BIN:-$root/.venv/bin}
command -v g++-12 >/dev/null && export CXX=g++-12 CC=gcc-12
key=$(cat "$root/envs/llama.txt" "$root/envs/llama-flags.txt" "${BASH_SOURCE[0]}" | sha256sum | cut -c1-16)
folder=${STEERABILITY_TOOLS:-$root/.wheels/tools}/$key
mkdir -p "$folder"
exec 9>"$folder/.lock"
flock 9
if [ ! -x "$folder/bin/llama-server" ]; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    echo "build-tools: building llama-server and llama-batched-bench; this takes some minutes" >&2
    "$bin/pip" --no-cache-dir download -q --no-deps --no-build-isolation \
        --no-binary llama-cpp-python --require-hashes -d "$work" -r "$root/envs/llama.txt" >&2
    mkdir "$work/source"
    tar -xzf "$work"/llama_cpp_python-*.tar.gz -C "$work/source" --strip-components 1
    {
        PATH="$bin:$PATH" cmake -G Ninja -S "$work/source/vendor/llama.cpp" -B "$work/build" \
            $(tr '\n' ' ' <"$root/envs/llama-flags.txt") \
            -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF \
            -DBUILD_SHARED_LIBS=OFF
        PATH="$bin:$PATH" cmake --build "$work/build" --parallel "${JOBS:-$(nproc)}" \
            --target llama-server llama-batched-bench
    } >"$work/log" 2>&1 || {
        tail -n 40 "$work/log" >&2
        echo "build-tools: the build failed (its last lines are above)" >&2
        exit 1
    }
    mkdir -p "$folder/bin"
    cp "$work/build/bin/llama-batched-bench" "$folder/bin/"
    cp "$work/build/bin/llama-server" "$folder/bin/llama-server.part"
    mv "$folder/bin/llama-server.part" "$folder/bin/llama-server"
fi
echo "$folder/bin"
