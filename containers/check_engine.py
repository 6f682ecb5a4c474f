"""The engine image's own test: what is asked for is what was built.

Usage: python check_engine.py FLAGS [cuda], where FLAGS is envs/llama-flags.txt. A CUDA build is to
load and name its architectures with or without a driver.
"""

import sys
from pathlib import Path

import gguf
import jinja2
import llama_cpp
import numpy
import psutil
import pydantic
import rich
import typer
import yaml

imported = (gguf, jinja2, numpy, psutil, pydantic, rich, typer, yaml)
info = llama_cpp.llama_print_system_info().decode()
report = dict(part.split(":")[-1].strip().split(" = ") for part in info.split("|") if " = " in part)
flags = dict(
    line.removeprefix("-D").split("=") for line in Path(sys.argv[1]).read_text().split() if line
)
wrong = []
for flag, value in flags.items():
    name = flag.removeprefix("GGML_")
    if name in {"AVX", "AVX2", "FMA", "F16C", "BMI2", "LLAMAFILE"}:
        built = report.get(name, "0") == "1"
        if built != (value == "ON"):
            wrong.append(f"{name} is {'on' if built else 'off'}")
wrong += [f"{name} is on" for name in report if name.startswith(("AVX512", "AMX", "AVX_VNNI"))]
if ("CUDA" in info) != ("cuda" in sys.argv[2:]):
    wrong.append("CUDA is in it" if "CUDA" in info else "CUDA is not in it")
if wrong:
    sys.exit(f"llama.cpp was not built as asked: {', '.join(wrong)} ({info})")
print(f"llama-cpp-python {llama_cpp.__version__}: {info}")
