"""Generation with tiny models: why it ends, sampling, and the same bytes at any width."""

import dataclasses
from pathlib import Path

import gguf
import pytest

from steerability.engine import Engine, Job, PromptError, Sampling, WeightsError, generation_key
from steerability.engine.context import CHUNK, borders
from steerability.engine.lanes import balanced
from steerability.engine.prefixes import shared_border
from support.models import tiny


@pytest.fixture(scope="module")
def dense(tmp_path_factory) -> Path:
    return tiny(tmp_path_factory.mktemp("model") / "dense.gguf")


@pytest.fixture(scope="module")
def experts(tmp_path_factory) -> Path:
    return tiny(tmp_path_factory.mktemp("model") / "moe.gguf", moe=True)


def jobs_of(engine: Engine, count: int = 9, tokens: int = 24) -> list[Job]:
    head = "There is a thin line in the house, and the author went in. " * 3
    jobs = []
    for number in range(count):
        text = f"{head if number % 3 else ''}{'x' * number} then {number}"
        jobs.append(Job(engine.plain(text), tokens - number, engine.stop))
    jobs.append(Job((300 % engine.vocabulary.size,), tokens, engine.stop))
    jobs.append(Job(engine.plain("long " * 60)[: CHUNK * 4 + 1], tokens, engine.stop))
    sampled = Sampling(0.9, 0.95, 40, stream="ab" * 32)
    jobs.append(Job(engine.plain("the dice"), tokens, engine.stop, sampled))
    return jobs


def texts(path: Path, order: int = 1, **options) -> list[tuple[int, ...]]:
    with Engine(path, **options) as engine:
        jobs = jobs_of(engine)[::order]
        found = dict(engine.generate(jobs))
        return [found[index].tokens for index in range(len(jobs))][::order]


@pytest.mark.parametrize("model", ["dense", "experts"])
def test_tokens_do_not_depend_on_width_threads_order_or_sharing(model, request):
    path = request.getfixturevalue(model)
    alone = texts(path, parallel=1, threads=1, share_prefixes=False)
    assert len(set(alone)) > 6
    for width in (2, 3, 5, 8, 16):
        assert texts(path, parallel=width, threads=1) == alone
    assert texts(path, parallel=4, threads=2) == alone
    assert texts(path, parallel=4, threads=2, order=-1) == alone


def test_a_subset_gives_the_same_tokens(dense):
    with Engine(dense, parallel=3, threads=1) as engine:
        jobs = jobs_of(engine)
        whole = dict(engine.generate(jobs))
        part = dict(engine.generate(jobs[4:7]))
    assert [part[index] for index in range(3)] == [whole[index] for index in range(4, 7)]


def test_reasons_to_end(tmp_path):
    with Engine(tiny(tmp_path / "short.gguf", context=96), threads=1) as engine:
        prompt = engine.plain("the end")
        free = dict(engine.generate([Job(prompt, 10, frozenset())]))[0]
        assert (free.finish_reason, len(free.tokens)) == ("length", 10)
        stop = free.tokens[4]
        cut = free.tokens.index(stop)
        ended = dict(engine.generate([Job(prompt, 10, frozenset({stop}))]))[0]
        assert (ended.finish_reason, ended.tokens) == ("stop", free.tokens[:cut])
        full = dict(engine.generate([Job(prompt, 500, frozenset())]))[0]
        assert full.finish_reason == "context"
        assert len(prompt) + len(full.tokens) == 96
        exact = dict(engine.generate([Job(prompt, 96 - len(prompt), frozenset())]))[0]
        assert exact.finish_reason == "length"
        with pytest.raises(PromptError, match="96"):
            list(engine.generate([Job((9,) * 96, 1, frozenset())]))
        with pytest.raises(PromptError, match="empty"):
            list(engine.generate([Job((), 1, frozenset())]))


def test_sampling_follows_its_stream_alone(dense):
    with Engine(dense, parallel=2, threads=1) as engine:
        prompt = engine.plain("roll the dice")

        def roll(stream: str, **filters) -> tuple[int, ...]:
            sampling = Sampling(1.0, stream=stream * 32, **filters)
            job = Job(prompt, 16, engine.stop, sampling)
            return dict(engine.generate([job]))[0].tokens

        assert roll("1") == roll("1") != roll("2")
        greedy = dict(engine.generate([Job(prompt, 16, engine.stop)]))[0].tokens
        assert roll("1", top_k=1) == greedy
        assert roll("1", top_p=1e-9) == greedy


def test_borders_depend_on_the_length_alone():
    assert borders(1) == [1]
    assert borders(CHUNK) == [CHUNK]
    assert borders(CHUNK + 1) == [CHUNK + 1]
    assert borders(CHUNK + 2) == [CHUNK, CHUNK + 2]
    assert borders(2 * CHUNK + 1) == [CHUNK, 2 * CHUNK + 1]


@pytest.mark.parametrize(("jobs", "width"), [(1, 1), (16, 16), (17, 9), (24, 12), (72, 15)])
def test_rounds_are_balanced(jobs, width):
    assert balanced(jobs, 16) == width


def test_shared_border_lies_on_both_grids():
    base = list(range(3 * CHUNK))
    assert shared_border(base, base) == 2 * CHUNK
    assert shared_border(base, [*base[: CHUNK + 5], 0, 0]) == CHUNK
    assert shared_border(base, base[: CHUNK + 1]) == 0
    assert shared_border(base, [7]) == 0


def test_weights_that_cannot_be_loaded(tmp_path, dense):
    with pytest.raises(WeightsError, match="cannot be read"):
        Engine(tmp_path / "none.gguf")
    (tmp_path / "text.gguf").write_text("hello, this is text")
    with pytest.raises(WeightsError, match="not a GGUF"):
        Engine(tmp_path / "text.gguf")
    content = dense.read_bytes()
    for size in (len(content) - 1000, 200):
        (tmp_path / "cut.gguf").write_bytes(content[:size])
        with pytest.raises(WeightsError, match="cut short"):
            Engine(tmp_path / "cut.gguf")


def test_a_model_whose_sequences_cannot_be_cut_is_refused(tmp_path):
    """A header is enough: llama.cpp knows the kind by the architecture's name."""
    path = tmp_path / "mamba.gguf"
    writer = gguf.GGUFWriter(path, "mamba")
    writer.add_context_length(1024)
    writer.add_embedding_length(64)
    writer.add_block_count(2)
    writer.add_ssm_conv_kernel(4)
    writer.add_ssm_inner_size(128)
    writer.add_ssm_state_size(16)
    writer.add_ssm_time_step_rank(4)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(["a", "b", "ab"])
    writer.add_token_types([gguf.TokenType.NORMAL] * 3)
    writer.add_token_merges(["a b"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with pytest.raises(WeightsError, match="mamba is a recurrent model"):
        Engine(path)


BASE = {"weights_sha256": "a" * 64, "prompt": (1, 2), "max_tokens": 5, "stop": (2, 3)}


@pytest.mark.parametrize(
    "change",
    [
        {"weights_sha256": "b" * 64},
        {"prompt": (1, 3)},
        {"prompt": (1, 2, 2)},
        {"max_tokens": 6},
        {"stop": (2,)},
        {"sampling": {"temperature": 0.5, "top_p": 1.0, "top_k": 0, "seed": 0}},
    ],
)
def test_what_changes_the_key(change):
    assert generation_key(**BASE) != generation_key(**{**BASE, **change})


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("steerability.engine.context.CHUNK", 32),
        ("steerability.engine.context.FLASH", False),
        ("steerability.engine.key.VERSION", 99),
        ("steerability.engine.key.NAME", "other"),
        ("steerability.engine.library.ENVIRONMENT", {}),
        ("steerability.engine.library.version", lambda: "0.0.0"),
        ("steerability.engine.library.build_flags", lambda: ("LLAMAFILE = 1",)),
    ],
)
def test_what_of_the_engine_changes_the_key(attribute, value, monkeypatch):
    before = generation_key(**BASE)
    monkeypatch.setattr(attribute, value)
    assert generation_key(**BASE) != before


def test_the_batch_plan_is_part_of_the_key_on_an_accelerator_only(dense):
    from steerability.engine import BatchPlan

    plan = BatchPlan("card", 99, 8)
    keys = [generation_key(**BASE, plan=plan)]
    for change in ({"device": "other"}, {"gpu_layers": 1}, {"width": 9}):
        keys.append(generation_key(**BASE, plan=dataclasses.replace(plan, **change)))
    assert all(key not in keys[:at] for at, key in enumerate(keys))
    with Engine(dense, parallel=3) as narrow, Engine(dense, parallel=9, threads=1) as wide:
        assert narrow.settle(100) is wide.settle(100) is None


def test_the_order_of_stop_tokens_is_not_in_the_key():
    assert generation_key(**BASE) == generation_key(**{**BASE, "stop": (3, 2, 3)})
