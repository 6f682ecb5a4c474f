"""The engine's reason to be: a request's logits are the same bits whatever runs beside it.

Compared are digests of every row of logits a request sees, not texts, which agree by luck.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steerability.engine import Engine, Job, Sampling
from steerability.engine import context as context_module
from steerability.engine.context import CHUNK, Context, Layout
from steerability.engine.key import BatchPlan
from steerability.engine.sampling import greedy
from steerability.engine.selfcheck import self_check, widths_to_check
from steerability.engine.weights import Weights
from support.models import FILE_TYPES, requantize, smollm2, tiny

KINDS = list(FILE_TYPES)
# Lengths around the chunk's borders, one-token tails, and both sides of 256 and 512 KV cells.
LENGTHS = (1, 2, 7, CHUNK, CHUNK + 1, 2 * CHUNK + 1, 180, 250, 257, 300, 500)


@pytest.fixture(scope="module", params=[(kind, moe) for kind in KINDS for moe in (False, True)])
def weights(request, tmp_path_factory) -> Path:
    kind, moe = request.param
    folder = tmp_path_factory.mktemp("weights")
    source = tiny(folder / "f32.gguf", moe=moe, width=256, context=1024)
    return requantize(source, folder / f"{kind}.gguf", kind)


class Recorder:
    """Takes the place of the sampler: greedy, and a digest of every row of logits."""

    def __init__(self) -> None:
        self.rows: dict[str, list[str]] = {}

    def chooser(self, sampling: Sampling):
        rows = self.rows.setdefault(sampling.stream, [])

        def choose(logits: np.ndarray) -> int:
            rows.append(hashlib.sha256(logits.tobytes()).hexdigest()[:16])
            return greedy(logits)

        return choose


def jobs(size: int) -> list[Job]:
    """Jobs with common beginnings, of every length in ``LENGTHS``."""
    generator = np.random.Generator(np.random.Philox(key=7))
    common = generator.integers(7, size, 512).tolist()
    found = []
    for number, length in enumerate((*LENGTHS, *LENGTHS[4:])):
        own = generator.integers(7, size, length).tolist()
        shared = min(length, (0, 100, CHUNK * 2)[number % 3])
        prompt = tuple((common[:shared] + own)[:length])
        found.append(Job(prompt, 1 + 5 * (number % 4), frozenset({3}), stream(number)))
    return found


def stream(number: int) -> Sampling:
    return Sampling(1.0, stream=f"{number:064x}")


def record(path: Path, chosen: list[int], stop_after: int | None = None, **options):
    recorder = Recorder()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("steerability.engine.decoding.chooser", recorder.chooser)
        with Engine(path, **options) as engine:
            every = jobs(engine.vocabulary.size)
            running = engine.generate([every[number] for number in chosen])
            for done, _ in enumerate(running, start=1):
                if done == stop_after:
                    running.close()
    return {int(name, 16): rows for name, rows in recorder.rows.items()}


REFERENCE: dict[Path, dict[int, list[str]]] = {}
COUNT = len(LENGTHS) + len(LENGTHS[4:])


def reference(path: Path) -> dict[int, list[str]]:
    """The rows of every job run by itself: width 1, one thread, nothing shared."""
    if path not in REFERENCE:
        REFERENCE[path] = {
            number: record(path, [number], parallel=1, threads=1, share_prefixes=False)[number]
            for number in range(COUNT)
        }
    return REFERENCE[path]


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    chosen=st.lists(st.integers(0, COUNT - 1), unique=True, min_size=2, max_size=COUNT),
    width=st.integers(1, 24),
    threads=st.sampled_from((1, 2)),
    share=st.booleans(),
    stop_after=st.one_of(st.none(), st.integers(1, COUNT)),
)
def test_logits_are_those_of_the_request_alone(weights, chosen, width, threads, share, stop_after):
    found = record(
        weights, chosen, stop_after, parallel=width, threads=threads, share_prefixes=share
    )
    alone = reference(weights)
    for number, rows in found.items():
        assert rows == alone[number][: len(rows)], number
        if stop_after is None:
            assert len(rows) == len(alone[number])


@pytest.mark.parametrize("width", [2, 5, 9])
@pytest.mark.parametrize("moe", [False, True])
def test_steps_padded_for_an_accelerator_change_nothing_on_a_cpu(
    moe, width, tmp_path_factory, monkeypatch
):
    """Slots are refilled, drained and found used by junk rows; the check at load passes, too."""
    path = tiny(tmp_path_factory.mktemp("padded") / "w.gguf", moe=moe, width=256, context=1024)
    alone = reference(path)
    plan = BatchPlan("none", 0, width)
    monkeypatch.setattr(Engine, "settle", lambda engine, tokens: plan)
    found = record(path, [*range(COUNT)])
    assert found == alone


@pytest.mark.heavy
@pytest.mark.parametrize("kind", KINDS)
def test_the_real_model_s_rows_are_equal_at_every_width(kind, tmp_path):
    path = smollm2() if kind == "Q4_1" else requantize(smollm2(), tmp_path / "w.gguf", kind)
    weights = Weights(path)
    context = Context(weights, Layout(width=24, cells=512, threads=2))
    try:
        found = self_check(context, budget=60)
    finally:
        context.close()
        weights.close()
    assert found.probe_tokens > 256
    assert (found.differs, found.checked) == ((), tuple(range(2, 25)))


def test_prefix_copies_change_no_bit(tmp_path):
    path = tiny(tmp_path / "tiny.gguf")
    chosen = list(range(COUNT))
    shared = record(path, chosen, parallel=4, threads=1)
    assert shared == record(path, chosen, parallel=4, threads=1, share_prefixes=False)


def test_the_self_check_finds_a_step_that_depends_on_its_width(tmp_path, monkeypatch):
    class Fickle(Context):
        """A context as a library would be whose kernels change from six rows on."""

        def step(self, tokens, positions):
            logits = super().step(tokens, positions)
            if len(tokens) >= 6:
                logits = logits.copy()
                logits[-1, 0] = np.nextafter(logits[-1, 0], np.float32(9))
            return logits

    weights = Weights(tiny(tmp_path / "tiny.gguf"))
    context = Fickle(weights, Layout(width=9, cells=512, threads=2))
    found = self_check(context)
    assert found.width == 5 and found.asked == 9
    assert 9 in found.differs and 5 in found.checked
    context.close()
    weights.close()

    monkeypatch.setattr("steerability.engine.contexts.Context", Fickle)
    chosen = list(range(COUNT))
    assert record(weights.path, chosen, parallel=9, threads=1) == reference(weights.path)


def test_the_self_check_is_quick_and_leaves_nothing_behind(tmp_path):
    weights = Weights(tiny(tmp_path / "tiny.gguf"))
    context = Context(weights, Layout(width=8, cells=512, threads=1))
    tokens = list(range(8, 90))
    before = context.prompt(0, tokens).copy()
    context.forget(0)
    found = self_check(context)
    assert found.checked == tuple(range(2, 9)) and found.seconds < 2
    assert context.prompt(0, tokens).tobytes() == before.tobytes()
    context.close()
    weights.close()


def test_without_flash_attention_the_property_holds_too(tmp_path, monkeypatch):
    path = tiny(tmp_path / "tiny.gguf", moe=True)
    monkeypatch.setattr(context_module, "FLASH", False)
    monkeypatch.setattr(Context, "__init__", _with_flash_off(Context.__init__))
    chosen = list(range(COUNT))
    alone = record(path, chosen, parallel=1, threads=1, share_prefixes=False)
    assert record(path, chosen, parallel=7, threads=2) == alone


def _with_flash_off(original):
    def init(self, weights, layout, *, flash=False, tap=None):
        original(self, weights, layout, flash=False, tap=tap)

    return init


def test_every_width_up_to_the_chosen_one_is_on_the_list():
    for width in (1, 2, 8, 16, 64):
        assert sorted(widths_to_check(width)) == list(range(2, width + 1))


def test_a_single_row_would_depend_on_the_threads(tmp_path):
    """Why a lone row gets a junk row: if this fails, the rule can go."""
    weights = Weights(tiny(tmp_path / "tiny.gguf"))
    prompt = [int(token) for token in np.arange(8, 308) % 250 + 8]

    def last_row(threads: int, rows: int) -> bytes:
        context = Context(weights, Layout(width=1, cells=512, threads=threads))
        context.prompt(0, prompt)
        batch = context._prompt
        batch.token[:rows], batch.output[:rows] = 9, [1, 0][:rows]
        batch.pos[:rows] = [300, 301][:rows]
        context._run(batch, rows)
        logits = context._logits(1)[0].tobytes()
        context.close()
        return logits

    assert last_row(1, rows=1) != last_row(2, rows=1)
    assert last_row(1, rows=2) == last_row(2, rows=2)
    weights.close()


@pytest.mark.heavy
@pytest.mark.parametrize("threads", [1, 2])
def test_little_time_is_spent_outside_llama_cpp(threads):
    """At best of three: where others run too, a lane may be made to wait outside as well."""
    outside = []
    with Engine(smollm2(), parallel=8, threads=threads) as engine:
        head = "Answer as a careful assistant would, in plain words. " * 12
        found = [Job(engine.plain(f"{head}{n}. "), 96, frozenset()) for n in range(8)]
        while len(outside) < 3 and min(outside, default=1) > 0.05:
            list(engine.generate(found))
            facts = engine.facts()
            outside.append(1 - facts["seconds_in_llama_cpp"] / facts["seconds_generating"])
    assert facts["tokens_generated"] == 8 * 96
    assert min(outside) <= 0.05, outside


@pytest.mark.heavy
def test_peak_memory_is_as_stated():
    code = f"""
import resource
from pathlib import Path
from steerability.engine import Engine, Job
from steerability.engine.context import cells_for
from steerability.engine.lanes import LANE_BYTES
from steerability.engine.memory import CONSTANT_BYTES
with Engine(Path({str(smollm2())!r}), parallel=16, threads=2) as engine:
    jobs = [Job(engine.plain(f"say {{n}}"), 1 + 200 * n, frozenset()) for n in range(16)]
    next(engine.generate(jobs))
    longest = max(len(job.prompt) + job.max_tokens for job in jobs)
    cache = engine.load().cell_bytes * 16 * cells_for(longest)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(peak, engine.load().size + cache + CONSTANT_BYTES + LANE_BYTES)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    peak, stated = map(int, found.stdout.split())
    assert peak <= stated
