"""The verbs direction, erase and controls: files, bytes, what they do to a model, bad input."""

import json
from pathlib import Path

import gguf
import numpy as np
import pytest

from steerability.engine import Adapter, Adapters, Engine, ReadJob
from steerability.learn.erasure import projections
from steerability.verbs.controls import controls
from steerability.verbs.direction import direction
from steerability.verbs.erase import erase
from support.models import requantize, sha256, smollm2, tiny
from support.numpy_qwen import blocks as second
from support.numpy_qwen import read as read_tensors

BLOCKS = 3


@pytest.fixture(scope="module", params=[False, True], ids=["dense", "mixture"])
def weights(request, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    return tiny(folder / "tiny.gguf", moe=request.param, layers=BLOCKS)


def chat(text: str, answer: str | None = None) -> dict:
    side = {"messages": [{"role": "user", "content": text}]}
    return side if answer is None else side | {"answer": answer}


def write_pairs(path: Path, *, answers: bool = False, count: int = 5) -> Path:
    lines = []
    for number in range(count):
        text = f"case {number}: the keys of the house are in the hall. "
        sides = (
            (chat(text, "I take them"), chat(text, "I ask the others first"))
            if answers
            else (chat(text + "Seize them."), chat(text + "Leave them."))
        )
        lines.append(json.dumps({"id": f"p{number}", "a": sides[0], "b": sides[1]}))
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def pairs(tmp_path) -> Path:
    return write_pairs(tmp_path / "pairs.jsonl")


def tensors(path: Path) -> dict[str, np.ndarray]:
    return {t.name: np.array(t.data) for t in gguf.GGUFReader(path).tensors}


def learn(weights: Path, pairs: Path, output: Path, **options) -> dict:
    facts = output.with_suffix(".json")
    direction(weights, pairs, output, **{"threads": 1, "facts": facts, "layers": "", **options})
    return json.loads(facts.read_text())


@pytest.mark.parametrize("answers", [False, True])
def test_a_direction_is_the_mean_difference_of_a_second_implementation(tmp_path, answers):
    path = tiny(tmp_path / "tiny.gguf", layers=BLOCKS)
    pairs = write_pairs(tmp_path / "pairs.jsonl", answers=answers)
    learn(path, pairs, tmp_path / "v.gguf")
    values = read_tensors(path)
    with Engine(path) as engine:
        sides = {"a": [], "b": []}
        for line in map(json.loads, pairs.read_text().splitlines()):
            for name, found in sides.items():
                prompt = engine.chat(line[name]["messages"])
                answer = engine.vocabulary.tokenize(line[name].get("answer", ""))
                stream = second(values, [*prompt, *answer])
                found.append(stream[:, -len(answer) or -1 :].mean(1) if answer else stream[:, -1])
    wanted = np.mean(sides["a"], 0) - np.mean(sides["b"], 0)
    written = tensors(tmp_path / "v.gguf")
    assert list(written) == [f"direction.{block}" for block in range(1, BLOCKS)]
    for block in range(1, BLOCKS):
        row = written[f"direction.{block}"].astype(float)
        cosine = row @ wanted[block] / np.linalg.norm(row) / np.linalg.norm(wanted[block])
        assert cosine > 0.9999


@pytest.mark.parametrize("method", ["mean", "pca"])
@pytest.mark.parametrize("answers", [False, True])
def test_the_bytes_are_the_same_on_a_rerun_and_at_other_widths_and_threads(
    weights, tmp_path, method, answers, monkeypatch
):
    pairs = write_pairs(tmp_path / "pairs.jsonl", answers=answers)
    first = learn(weights, pairs, tmp_path / "first.gguf", method=method)
    assert first["sha256"] == sha256(tmp_path / "first.gguf")
    original = Engine.__init__
    for number, options in enumerate(
        ({}, {"parallel": 1}, {"parallel": 7}, {"parallel": 16, "share_prefixes": False})
    ):
        monkeypatch.setattr(
            Engine, "__init__", lambda *a, given=options, **k: original(*a, **k, **given)
        )
        path = tmp_path / f"{number}.gguf"
        again = learn(weights, pairs, path, method=method, threads=1 + number % 2)
        assert path.read_bytes() == (tmp_path / "first.gguf").read_bytes()
        assert again == first


def test_what_was_learnt_fits_the_engine_and_names_its_model(weights, pairs, tmp_path):
    facts = learn(weights, pairs, tmp_path / "v.gguf", layers="2:2")
    fields = gguf.GGUFReader(tmp_path / "v.gguf").fields
    arch = facts["architecture"]
    assert fields["general.architecture"].contents() == "controlvector"
    assert fields["controlvector.model_hint"].contents() == arch
    assert fields["controlvector.layer_count"].contents() == BLOCKS - 1
    assert list(tensors(tmp_path / "v.gguf")) == ["direction.2"]
    assert [layer["layer"] for layer in facts["layers"]] == [2]
    assert facts["weights_sha256"] == sha256(weights) and facts["pairs"] == 5
    row = tensors(tmp_path / "v.gguf")["direction.2"]
    prompt = tuple(range(9, 60))
    with Engine(weights, threads=1) as engine:
        digest = engine.add_adapter("vector", tmp_path / "v.gguf")
        assert digest == facts["sha256"]
        steered = Adapters.of([Adapter("vector", digest)])
        found = dict(engine.read([ReadJob(prompt), ReadJob(prompt, (), steered)]))
    np.testing.assert_allclose(found[1][2] - found[0][2], row, atol=1e-5)
    assert np.array_equal(found[1][:2], found[0][:2])


def left_over(weights: Path, lora: Path, direction: np.ndarray, *, strength: float) -> float:
    """Return the share of r·(h − embedding) that an erasure leaves, over texts and blocks."""
    table = next(t for t in gguf.GGUFReader(weights).tensors if t.name == "token_embd.weight")
    prompts = [tuple(range(9 + number, 70 + 9 * number)) for number in range(4)]
    with Engine(weights, threads=2) as engine:
        digest = engine.add_adapter("lora", lora)
        erased = Adapters.of([Adapter("lora", digest, strength)])
        jobs = [ReadJob(p, (), one) for one in (Adapters(), erased) for p in prompts]
        found = dict(engine.read(jobs))
    sizes = []
    for half in (range(4), range(4, 8)):
        stream = []
        for number in half:
            row = table.data[prompts[number % 4][-1]]
            embedding = gguf.quants.dequantize(row, table.tensor_type).reshape(-1)
            stream.append(found[number] - embedding)
        sizes.append(np.abs(projections(np.concatenate(stream), direction)).mean())
    return sizes[1] / sizes[0]


@pytest.mark.parametrize("kind", ["F32", "Q4_1", "Q8_0"])
@pytest.mark.parametrize("moe", [False, True])
def test_erasure_leaves_at_most_a_hundredth_of_the_projection(tmp_path, kind, moe):
    path = tiny(tmp_path / "f32.gguf", moe=moe, layers=BLOCKS, width=256)
    if kind != "F32":
        path = requantize(path, tmp_path / "q.gguf", kind)
    learn(path, write_pairs(tmp_path / "pairs.jsonl"), tmp_path / "v.gguf")
    erase(path, tmp_path / "v.gguf", tmp_path / "l.gguf", layer=1)
    row = tensors(tmp_path / "v.gguf")["direction.1"].astype(float)
    assert left_over(path, tmp_path / "l.gguf", row, strength=1.0) <= 0.01
    half = left_over(path, tmp_path / "l.gguf", row, strength=0.5)
    assert 0.2 < half < 0.8


def test_the_factors_of_an_erasure_are_those_of_its_definition(weights, pairs, tmp_path):
    learn(weights, pairs, tmp_path / "v.gguf")
    erase(weights, tmp_path / "v.gguf", tmp_path / "l.gguf", layer=2)
    row = tensors(tmp_path / "v.gguf")["direction.2"].astype(float)
    unit = row / np.linalg.norm(row)
    model, found = tensors(weights), tensors(tmp_path / "l.gguf")
    writers = [n for n in model if "attn_output" in n or "ffn_down" in n]
    assert len(writers) == 2 * BLOCKS and len(found) == 2 * len(writers)
    for name in writers:
        a, b = found[f"{name}.lora_a"], found[f"{name}.lora_b"]
        np.testing.assert_allclose(a[..., 0, :], unit @ model[name].astype(float), atol=1e-5)
        np.testing.assert_allclose(b[..., 0], np.broadcast_to(-unit, b.shape[:-1]), atol=1e-7)
    again = tmp_path / "again.gguf"
    erase(weights, tmp_path / "v.gguf", again, layer=2)
    assert again.read_bytes() == (tmp_path / "l.gguf").read_bytes()
    erase(weights, tmp_path / "v.gguf", again)
    assert again.read_bytes() == (tmp_path / "l.gguf").read_bytes(), "the upper of two"


def test_an_erasure_behind_a_norm_takes_the_norm_s_weights_in():
    """Gemma's way: what is added is diag(w) W x, up to a factor."""
    from steerability.learn.erasure import _factors

    generator = np.random.default_rng(5)
    weight, norm = generator.standard_normal((6, 4)), generator.uniform(0.5, 2, 6)
    unit = generator.standard_normal(6)
    unit /= np.linalg.norm(unit)
    a, b = _factors(weight, unit * norm)
    changed = weight + b.astype(float) @ a.astype(float)
    np.testing.assert_allclose(unit @ (norm[:, None] * changed), 0, atol=1e-6)


@pytest.mark.heavy
def test_the_real_model_s_direction_and_erasure(tmp_path):
    path = smollm2()
    pairs = write_pairs(tmp_path / "pairs.jsonl", count=8)
    facts = learn(path, pairs, tmp_path / "v.gguf", threads=2)
    assert facts["architecture"] == "llama"
    assert [layer["layer"] for layer in facts["layers"]] == list(range(1, 30))
    assert all(0 < layer["norm"] < layer["activation_norm"] for layer in facts["layers"])
    again = learn(path, pairs, tmp_path / "again.gguf", threads=1)
    assert again == facts
    erase(path, tmp_path / "v.gguf", tmp_path / "l.gguf")
    row = tensors(tmp_path / "v.gguf")["direction.15"].astype(float)
    assert left_over(path, tmp_path / "l.gguf", row, strength=1.0) <= 0.01


def test_controls_are_files_as_long_as_the_direction(weights, pairs, tmp_path):
    learn(weights, pairs, tmp_path / "v.gguf")
    for folder in ("one", "two"):
        controls(weights, tmp_path / "v.gguf", tmp_path / folder, count=3, seed=7)
    made = sorted((tmp_path / "one").iterdir())
    assert [path.name for path in made] == [f"random-0{n}.gguf" for n in (1, 2, 3)]
    learnt = tensors(tmp_path / "v.gguf")
    for path in made:
        drawn = tensors(path)
        assert (tmp_path / "two" / path.name).read_bytes() == path.read_bytes()
        for name, row in learnt.items():
            assert np.linalg.norm(drawn[name]) == pytest.approx(np.linalg.norm(row), rel=1e-6)


PAIR = {"id": "a", "a": chat("x"), "b": chat("y")}


@pytest.mark.parametrize(
    ("lines", "options", "words"),
    [
        ([], [], "holds 0 pairs, 1 are needed"),
        ([PAIR, PAIR], [], "pair id a comes twice"),
        ([PAIR], ["--method", "pca"], "holds 1 pairs, 3 are needed"),
        ([{"id": "a", "a": chat("x")}], [], "line 1: b"),
        ([{**PAIR, "b": chat("y", "z")}], [], "both sides have an answer"),
        ([{**PAIR, "b": {}}], [], "give either messages or prompt"),
        ([{**PAIR, "b": chat("z" * 2000)}], [], "pair a: the prompt has"),
        ([{**PAIR, "b": chat("x")}], [], "do not differ in any layer"),
        ([PAIR], ["--layers", "5"], "'5' is not FIRST:LAST"),
        ([PAIR], ["--layers", "0:2"], "none can be added to block 0"),
        ([PAIR], ["--layers", "1:3"], "name blocks from 1 to 2"),
    ],
)
def test_bad_pairs_are_one_line(weights, tmp_path, steerability, lines, options, words):
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    found = steerability(
        "direction", "--weights", weights, "--pairs", path, "--output", tmp_path / "v.gguf",
        "--threads", "1", *options,
    )  # fmt: skip
    assert found.returncode == 2, found.stderr
    assert words in found.stderr and found.stderr.strip().count("\n") == 0
    assert not (tmp_path / "v.gguf").exists()


@pytest.mark.parametrize(
    ("vector", "options", "words"),
    [
        ("missing.gguf", [], "missing.gguf: cannot be read"),
        ("tiny.gguf", [], "is no control vector"),
        ("v.gguf", ["--layer", "9"], "holds no direction for layer 9"),
    ],
)
def test_bad_directions_are_one_line(weights, tmp_path, steerability, vector, options, words):
    learn(weights, write_pairs(tmp_path / "pairs.jsonl"), tmp_path / "v.gguf")
    (tmp_path / "tiny.gguf").write_bytes(weights.read_bytes())
    found = steerability(
        "erase", "--weights", weights, "--direction", tmp_path / vector, "--output",
        tmp_path / "l.gguf", *options,
    )  # fmt: skip
    assert found.returncode == 2, found.stderr
    assert words in found.stderr and found.stderr.count("\n") == 1
    assert not (tmp_path / "l.gguf").exists()


def test_the_verbs_work_as_a_person_calls_them(weights, pairs, tmp_path, steerability):
    made = steerability(
        "direction", "--weights", weights, "--pairs", pairs, "--output", tmp_path / "v.gguf",
        "--threads", "1",
    )  # fmt: skip
    assert made.returncode == 0 and f"2, {sha256(tmp_path / 'v.gguf')}" in made.stderr
    erased = steerability(
        "erase", "--weights", weights, "--direction", tmp_path / "v.gguf", "--output",
        tmp_path / "l.gguf",
    )  # fmt: skip
    assert erased.returncode == 0 and "6 weights" in erased.stderr
