#!/usr/bin/env bash
# Resolve envs/bench.in, hash-locked and without index addresses, with pip, which finds the CPU build
# of torch where uv does not look: bench-cpu.txt names that build, bench-cuda.txt the registry's with
# the libraries it needs, bench.txt all else. Environment: PYTHON (python3).
set -euo pipefail
cd "$(dirname "$0")"
python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
resolve() {
    "$python" -m pip install -q --dry-run --ignore-installed --report "$work/$1.json" -r "$2" 2>"$work/log" ||
        { cat "$work/log" >&2; exit 1; }
}
sed 's/^torch==.*/&+cpu/' bench.in >"$work/cpu.in"
resolve cpu "$work/cpu.in"
sed 's/^torch==/torch===/' bench.in >"$work/registry.in"
resolve registry "$work/registry.in"
"$python" - "$work" <<'PYTHON'
import json
import pathlib
import sys

pins: dict[str, dict[str, str]] = {"bench.txt": {}, "bench-cpu.txt": {}, "bench-cuda.txt": {}}
for report in ("cpu", "registry"):
    for item in json.loads((pathlib.Path(sys.argv[1]) / f"{report}.json").read_text())["install"]:
        name = item["metadata"]["name"].lower().replace("_", "-")
        cuda = name.startswith(("nvidia-", "cuda-")) or name == "triton"
        if name == "torch":
            file = "bench-cpu.txt" if report == "cpu" else "bench-cuda.txt"
        else:
            file = "bench-cuda.txt" if cuda else "bench.txt"
        digest = item["download_info"]["archive_info"]["hashes"]["sha256"]
        pins[file][f"{name}=={item['metadata']['version']}"] = digest
for file, found in pins.items():
    lines = (f"{pin} \\\n    --hash=sha256:{found[pin]}\n" for pin in sorted(found))
    pathlib.Path(file).write_text("".join(lines))
PYTHON
