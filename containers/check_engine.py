"""The engine image's own test: what is asked for is what was built.

Usage: python check_engine.py FLAGS, where FLAGS is envs/llama-flags.txt.
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
report = dict(
    part.strip().split(" = ") for part in info.split(":", 1)[-1].split("|") if " = " in part
)
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
if wrong:
    sys.exit(f"llama.cpp was not built as asked: {', '.join(wrong)} ({info})")
print(f"llama-cpp-python {llama_cpp.__version__}: {info}")
