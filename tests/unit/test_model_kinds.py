"""Which models the engine takes, and that no file of weights takes the process down."""

import math
import os
import struct
import subprocess
import sys
from pathlib import Path

import gguf
import pytest

from conftest import Run
from steerability.engine import Engine, Job, WeightsError, library, rehearsal
from steerability.engine.rehearsal import rehearse
from support.models import SPECIALS, byte_letters, tiny


def header_only(
    path: Path, arch: str, fields: dict[str, bool | int] | None = None, *, kind: str = "gpt2"
) -> Path:
    """Write a header with a vocabulary of bytes, as far as llama.cpp reads it without tensors."""
    writer = gguf.GGUFWriter(path, arch)
    writer.add_context_length(512)
    writer.add_embedding_length(64)
    writer.add_block_count(2)
    writer.add_feed_forward_length(64)
    writer.add_head_count(4)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_layer_norm_eps(1e-6)
    for name, value in (fields or {}).items():
        (writer.add_bool if value is True or value is False else writer.add_uint32)(
            f"{arch}.{name}", value
        )
    letters = [letter for _, letter in sorted(byte_letters().items())]
    writer.add_tokenizer_model(kind)
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list([*SPECIALS, *letters])
    writer.add_token_types([3] * len(SPECIALS) + [1] * len(letters))
    writer.add_token_merges(["t h"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize(
    ("arch", "fields", "words"),
    [
        ("bert", {"attention.causal": False, "pooling_type": 1}, "bert is a model whose attention"),
        ("bert", {"pooling_type": 1}, "bert is a model that pools"),
        ("qwen3", {"pooling_type": 3}, "qwen3 is a model that pools"),
        ("qwen3", {"attention.causal": False}, "qwen3 is a model whose attention is not causal"),
        ("dream", {}, "dream is a diffusion model"),
        ("llada", {}, "llada is a diffusion model"),
        ("t5encoder", {}, "t5encoder is a model with an encoder"),
        ("rwkv7", {}, "rwkv7 is a recurrent model"),
    ],
)
def test_only_causal_decoders_are_taken(
    tmp_path: Path, arch: str, fields: dict[str, bool | int], words: str
) -> None:
    path = header_only(tmp_path / "header.gguf", arch, fields)
    with pytest.raises(WeightsError, match=words):
        Engine(path)


def test_what_the_header_does_not_say_the_loaded_model_does(tmp_path: Path) -> None:
    """Causal attention switched off where only a context knows of it."""
    path = tiny(tmp_path / "tiny.gguf", header={"qwen3.attention.causal": False})
    with pytest.raises(WeightsError, match="not causal"):
        Engine(path)
    from steerability.engine.context import Context, Layout
    from steerability.engine.selfcheck import check_sound
    from steerability.engine.weights import Weights

    with Weights(tiny(tmp_path / "sound.gguf")) as weights:
        context = Context(weights, Layout(1, 256, 1))
        check_sound(context)
        context.causal = False
        with pytest.raises(WeightsError, match="attention is not causal"):
            check_sound(context)
        context.causal, context.pools = True, True
        with pytest.raises(WeightsError, match="pools"):
            check_sound(context)
        context.close()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_weights_that_are_no_numbers_are_refused(tmp_path: Path, value: float) -> None:
    with (
        Engine(tiny(tmp_path / "tiny.gguf", spoiled=value), threads=1) as engine,
        pytest.raises(WeightsError, match="no finite numbers"),
    ):
        list(
            engine.generate([Job(engine.chat([{"role": "user", "content": "a"}]), 4, engine.stop)])
        )


def test_a_header_that_llama_cpp_asserts_on_is_one_line(tmp_path: Path, steerability: Run) -> None:
    """Two tokens of one text: an assertion of its, in the vocabulary."""
    path = header_only(tmp_path / "header.gguf", "qwen3")
    length = struct.pack("<Q", 2)
    twice = tmp_path / "twice.gguf"
    twice.write_bytes(path.read_bytes().replace(length + "ā".encode(), length + "Ā".encode()))
    requests = tmp_path / "r.jsonl"
    requests.write_text('{"id": "a", "prompt": "x", "max_tokens": 1}\n')
    words = ["generate", "--weights", twice, "--requests", requests, "--output", tmp_path / "o"]
    done = steerability(*words)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "GGML_ASSERT" in line and "twice.gguf" in line and "Traceback" not in line


def test_a_value_that_a_step_asserts_on_is_one_line(tmp_path: Path) -> None:
    fields = {"qwen3.attention.layer_norm_rms_epsilon": -1.0}
    with (
        Engine(tiny(tmp_path / "tiny.gguf", header=fields), threads=1) as engine,
        pytest.raises(WeightsError, match=r"llama\.cpp gives up on the weights: .*eps"),
    ):
        engine.load()


@pytest.mark.parametrize("signal", ["SIGSEGV", "SIGFPE", "SIGKILL"])
def test_a_process_that_is_killed_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signal: str
) -> None:
    import signal as signals

    number = getattr(signals, signal)
    monkeypatch.setattr(rehearsal, "perform", lambda path, only: os.kill(os.getpid(), number))
    path = tiny(tmp_path / "tiny.gguf")
    with pytest.raises(WeightsError, match=rf"breaks on the weights \(status -{int(number)}\)"):
        rehearse(path, vocabulary_only=True)


def test_it_is_rehearsed_once_for_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forks = []
    fork = os.fork
    monkeypatch.setattr(os, "fork", lambda: forks.append(1) or fork())
    path = tiny(tmp_path / "tiny.gguf")
    for _ in range(3):
        rehearse(path, vocabulary_only=True)
    assert len(forks) == 1
    rehearse(path, vocabulary_only=False)
    assert len(forks) == 2
    os.utime(path, (1, 1))
    rehearse(path, vocabulary_only=True)
    assert len(forks) == 3


def test_beside_an_accelerator_a_new_process_does_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "offloads", lambda: True)
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("forked"))
    rehearse(tiny(tmp_path / "tiny.gguf"), vocabulary_only=False)
    spoiled = tiny(tmp_path / "spoiled.gguf", spoiled=math.nan)
    with pytest.raises(WeightsError, match="no finite numbers"):
        rehearse(spoiled, vocabulary_only=False)
    fields = {"qwen3.attention.layer_norm_rms_epsilon": -1.0}
    with pytest.raises(WeightsError, match="gives up on the weights"):
        rehearse(tiny(tmp_path / "eps.gguf", header=fields), vocabulary_only=False)


def test_advice_to_fetch_again_only_where_that_may_help(tmp_path: Path) -> None:
    whole = tiny(tmp_path / "tiny.gguf").read_bytes()
    cut, odd = tmp_path / "cut.gguf", tmp_path / "odd.gguf"
    cut.write_bytes(whole[: len(whole) // 2])
    odd.write_bytes(whole.replace(b"qwen3", b"qwe!3"))
    for path, mend in ((cut, "fetch the file again"), (odd, "name other weights")):
        with pytest.raises(WeightsError) as raised:
            Engine(path).load()
        assert raised.value.mend == mend


def test_a_process_with_the_engine_open_ends_as_it_should(tmp_path: Path) -> None:
    """The forks leave nothing behind: no second flush of what was printed, no zombie."""
    path = tiny(tmp_path / "tiny.gguf")
    code = (
        "from pathlib import Path; from steerability.engine import Engine; print('once', end='')\n"
        f"e = Engine(Path({str(path)!r})); e.load(); e.close()\n"
        "import psutil; print(len(psutil.Process().children()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "once0\n"
