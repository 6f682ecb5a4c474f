"""Files of llama.cpp that llama-cpp-python's pinned source package carries.

The package is downloaded as ``envs/llama.txt`` locks it, once, into the ignored folder of built
wheels; two files are taken out of it. Nothing of it is committed.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from filelock import FileLock

from steerability.support.canonical import sha256_file

VOCABULARY = "ggml-vocab-qwen2.gguf"
TEMPLATE = "Qwen-Qwen3-0.6B.jinja"
_MEMBERS = {
    VOCABULARY: "vendor/llama.cpp/models/ggml-vocab-qwen2.gguf",
    TEMPLATE: "vendor/llama.cpp/models/templates/Qwen-Qwen3-0.6B.jinja",
}
_ROOT = Path(__file__).resolve().parents[2]
_LOCK = _ROOT / "envs" / "llama.txt"


def source_file(name: str) -> Path:
    """Return the path of one of the files, fetching the package when it is not there yet."""
    wheels = Path(os.environ.get("STEERABILITY_WHEELS", _ROOT / ".wheels"))
    folder = wheels / f"source-{sha256_file(_LOCK)[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        if not (folder / name).exists():
            _extract(folder)
    return folder / name


def _extract(folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as work:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--no-build-isolation", "--no-binary", "llama-cpp-python"]
        command += ["--require-hashes", "--dest", work, "-r", str(_LOCK)]
        subprocess.run(command, check=True)
        package = next(Path(work).glob("*.tar.gz"))
        with tarfile.open(package) as archive:
            root = package.name.removesuffix(".tar.gz")
            for name, member in _MEMBERS.items():
                source = archive.extractfile(f"{root}/{member}")
                assert source is not None
                part = folder / f".{name}.part"
                with source, part.open("wb") as file:
                    shutil.copyfileobj(source, file)
                part.replace(folder / name)
