#!/usr/bin/env bash
# Resolve envs/bench.in, hash-locked and without index addresses, with pip, which finds the CPU
# build of torch where uv does not look. Environment: PYTHON (python3).
set -euo pipefail
cd "$(dirname "$0")"
${PYTHON:-python3} -m pip install -q --dry-run --ignore-installed --report - -r bench.in 2>/dev/null |
    ${PYTHON:-python3} -c '
import json, sys
for item in sorted(json.load(sys.stdin)["install"], key=lambda item: item["metadata"]["name"].lower()):
    name, version = item["metadata"]["name"].lower().replace("_", "-"), item["metadata"]["version"]
    digest = item["download_info"]["archive_info"]["hashes"]["sha256"]
    print(f"{name}=={version} \\\n    --hash=sha256:{digest}")
' >bench.txt.part
mv bench.txt.part bench.txt
