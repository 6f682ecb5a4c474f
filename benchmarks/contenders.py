"""The contenders of the benchmark, each a process of its own behind one interface."""

import json
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from unittest.mock import patch

import httpx
import psutil

HERE = Path(__file__).resolve().parent
# What every contender's process sees; ``choose_waiting`` adds how llama.cpp's threads wait.
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(HERE.parent / "workflow")}
WAITING = {"sleeping": {"OMP_WAIT_POLICY": "passive"}, "spinning": {}}


@dataclass(frozen=True)
class Prompt:
    """One request of a case."""

    tokens: tuple[int, ...]
    max_tokens: int


@dataclass(frozen=True)
class Outcome:
    """What a contender made of a case, and how long it took."""

    tokens: tuple[tuple[int, ...], ...]
    seconds: float
    cpu_seconds: float
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def generated(self) -> int:
        """Tokens generated in all."""
        return sum(map(len, self.tokens))


def cpu_seconds(process: subprocess.Popen[Any]) -> float:
    """Return the processor time of a running process, all its threads together."""
    times = psutil.Process(process.pid).cpu_times()
    return float(times.user + times.system)


class Contender(Protocol):
    """Something that generates."""

    name: str

    def forget(self) -> None:
        """Drop whatever an earlier run left that would make the next one faster."""

    def run(self, prompts: Sequence[Prompt], stop: Sequence[int]) -> Outcome:
        """Generate all prompts greedily and say how long it took."""

    def close(self) -> None:
        """End the process."""


class Worker:
    """A contender inside a Python process (``worker.py``)."""

    def __init__(
        self, name: str, kind: str, weights: Path, options: dict[str, Any], python: str = ""
    ) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [python or sys.executable, HERE / "worker.py", kind, weights, json.dumps(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=ENVIRONMENT,
            text=True,
        )
        self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended (see above)")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def forget(self) -> None:
        """Do nothing: no run leaves anything behind."""

    def run(self, prompts: Sequence[Prompt], stop: Sequence[int]) -> Outcome:
        """Generate all prompts greedily and say how long it took."""
        requests = [{"prompt": list(p.tokens), "max_tokens": p.max_tokens} for p in prompts]
        assert self._process.stdin is not None
        begun = cpu_seconds(self._process)
        self._process.stdin.write(json.dumps({"requests": requests, "stop": list(stop)}) + "\n")
        self._process.stdin.flush()
        answer = self._read()
        return Outcome(
            tuple(map(tuple, answer["tokens"])),
            answer["seconds"],
            cpu_seconds(self._process) - begun,
            answer["facts"],
        )

    def close(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(30)


class Server:
    """llama-server, asked by as many clients as it has slots."""

    def __init__(
        self, binaries: Path, weights: Path, threads: int, *, slots: int, flash: bool, cache: bool
    ) -> None:
        self.name = (
            f"llama-server, {slots} slot{'s' * (slots > 1)}, "
            f"flash attention {'on' if flash else 'off'}, prompt cache {'on' if cache else 'off'}"
        )
        self.slots, self.flash, self.cache = slots, flash, cache
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        words = [binaries / "llama-server", "-m", weights, "--host", "127.0.0.1", "--port", port]
        words += ["-c", 2048 * slots, "-np", slots, "-t", threads, "-fa", "on" if flash else "off"]
        words += [] if cache else ["--no-cache-prompt", "-cram", 0]
        self._words = list(map(str, words))
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=600)
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            self._words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT
        )
        for _ in range(600):
            try:
                if self._client.get("/health").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            if self._process.poll() is not None:
                break
            time.sleep(0.1)
        raise RuntimeError(f"{self.name} did not start")

    def forget(self) -> None:
        """Start anew where prompts are cached: they would answer a repetition of the case."""
        if self.cache:
            self._process.terminate()
            self._process.wait(30)
            self._start()

    def run(self, prompts: Sequence[Prompt], stop: Sequence[int]) -> Outcome:
        """Generate all prompts greedily and say how long it took."""

        def ask(prompt: Prompt) -> tuple[int, ...]:
            body = {
                "prompt": list(prompt.tokens),
                "n_predict": prompt.max_tokens,
                "temperature": 0,
                "cache_prompt": self.cache,
                "return_tokens": True,
            }
            answer = self._client.post("/completion", json=body).raise_for_status().json()
            return tuple(token for token in answer["tokens"] if token not in stop)

        cpu, begun = cpu_seconds(self._process), time.perf_counter()
        with ThreadPoolExecutor(self.slots) as pool:
            tokens = tuple(pool.map(ask, prompts))
        seconds = time.perf_counter() - begun
        return Outcome(tokens, seconds, cpu_seconds(self._process) - cpu)

    def close(self) -> None:
        """End the process."""
        self._client.close()
        self._process.terminate()
        self._process.wait(30)


def batched_bench(
    binaries: Path,
    weights: Path,
    threads: int,
    *,
    width: int,
    prompt: int,
    tokens: int,
    flash: bool,
) -> tuple[float, float]:
    """Let llama-batched-bench decode ``width`` x ``tokens`` tokens.

    Returns:
        wall seconds of decoding as it measures them, and processor seconds (of a run with so
        many tokens less those of a run with one).
    """
    words = [binaries / "llama-batched-bench", "-m", weights, "-t", threads, "-tb", threads]
    words += ["-npp", prompt, "-npl", width, "-fa", "on" if flash else "off", "-no-kvu"]
    words += ["-c", (prompt + tokens) * width + 256 * width, "--output-format", "jsonl"]

    def run(count: int) -> tuple[float, float]:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        found = subprocess.run(
            [*map(str, words), "-ntg", str(count)],
            capture_output=True,
            text=True,
            check=True,
            env=ENVIRONMENT,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        line = next(line for line in found.stdout.splitlines() if line.startswith("{"))
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return float(json.loads(line)["t_tg"]), used

    first = run(1)
    whole = run(1 + tokens)
    return whole[0] - first[0], whole[1] - first[1]


def choose_waiting(
    binaries: Path, weights: Path, threads: int, prompts: Sequence[Prompt], stop: Sequence[int]
) -> str:
    """Let waiting threads of all contenders sleep or spin, whichever makes llama-server faster.

    Spinning is the OpenMP library's default; on a machine with anything else to do it is many
    times slower. An ``OMP_WAIT_POLICY`` in the environment stands.

    Returns:
        how they wait, in a word.
    """
    if policy := ENVIRONMENT.get("OMP_WAIT_POLICY"):
        return policy
    seconds = {}
    for name, variables in WAITING.items():
        with patch.dict(ENVIRONMENT, variables):
            server = Server(binaries, weights, threads, slots=8, flash=True, cache=False)
        try:
            server.run(prompts[:1], stop)
            seconds[name] = min(server.run(prompts, stop).seconds for _ in range(2))
        finally:
            server.close()
    best = min(seconds, key=lambda name: seconds[name])
    ENVIRONMENT.update(WAITING[best])
    return best
