"""Requests with adapters, and requests that choose among answers."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from steerability.chat.client import Endpoint
from steerability.engine import Adapter, Adapters, Engine, Job, ScoreJob
from steerability.generate.endpoint import run as query
from steerability.generate.run import Settings, run
from steerability.protocol.conversation import Message
from steerability.protocol.request import AdapterFile, ChoiceOutput, Output, Request
from steerability.support.errors import UserError
from steerability.support.jsonl import read_records, write_records
from steerability.support.store import Store
from support.adapters import factors, lora, rows, shapes, vector
from support.models import CHATML, sha256, tiny

BLOCKS = 3
OPENED = CHATML.replace("assistant\n' }}", "assistant\n<think>\n' }}")
CLOSED = CHATML.replace("assistant\n' }}", "assistant\n<think>\n\n</think>\n\n' }}")


@pytest.fixture(scope="module", params=[False, True], ids=["dense", "mixture"])
def folder(request, tmp_path_factory) -> Path:
    """Tiny weights with a vector and a LoRA."""
    place = tmp_path_factory.mktemp("model")
    arch = "qwen3moe" if request.param else "qwen3"
    tiny(place / "tiny.gguf", moe=request.param, layers=BLOCKS)
    vector(place / "v.gguf", rows(BLOCKS), hint=arch)
    lora(place / "l.gguf", factors(shapes(moe=request.param)), architecture=arch)
    return place


class Bench:
    """A folder with weights, requests, a store and what generate writes."""

    def __init__(self, folder: Path, models: Path) -> None:
        self.folder, self.models = folder, models
        self.weights = models / "tiny.gguf"
        self.requests, self.output = folder / "r.jsonl", folder / "o.jsonl"
        self.store, self.facts = folder / "store", folder / "facts.json"

    def use(self, kind: str, **fields) -> AdapterFile:
        return AdapterFile(kind=kind, path=str(self.models / f"{kind[0]}.gguf"), **fields)

    def run(self, wanted: list[Request], **options) -> list[dict]:
        write_records(self.requests, wanted)
        settings = {
            "weights": self.weights,
            "requests": self.requests,
            "output": self.output,
            "store": self.store,
            "threads": 1,
            "facts": self.facts,
        }
        run(Settings(**{**settings, **options}))
        return [json.loads(line) for line in self.output.read_text().splitlines()]

    def made(self) -> int:
        return json.loads(self.facts.read_text())["made"]


@pytest.fixture
def bench(tmp_path, folder) -> Bench:
    return Bench(tmp_path, folder)


ANSWERS = ("I take the keys and lock them out.", "I ask first")


def choices(bench: Bench, count: int = 3) -> list[Request]:
    """Choices after prompts with a common beginning, without and with adapters."""
    steered = (bench.use("vector", strength=0.5), bench.use("lora"))
    return [
        Request(
            id=f"c{number}/{'+'.join(use.kind for use in adapters)}",
            messages=(Message(role="user", content="the rubric " * 20 + f"case {number}"),),
            answers=ANSWERS if number else (*ANSWERS, "n" * 70),
            adapters=adapters,
        )
        for number in range(count)
        for adapters in ((), steered[:1], steered[1:], steered)
    ]


def text(bench: Bench, name: str, adapters: tuple[AdapterFile, ...] = (), **fields) -> Request:
    content = (Message(role="user", content="tell me of it"),)
    given = {"max_tokens": 6, **fields}
    return Request(id=name, messages=content, adapters=adapters, **given)


def test_scores_are_equal_at_every_width_with_or_without_shared_prefixes(bench, monkeypatch):
    wanted = choices(bench)
    first = bench.run(wanted, parallel=1, threads=1)
    assert [line["id"] for line in first] == [request.id for request in wanted]
    assert len({json.dumps(line["scores"]) for line in first}) == len(wanted)
    content = bench.output.read_bytes()
    for width in (2, 3, 5, 8, 16):
        bench.store = bench.folder / f"store{width}"
        bench.run(wanted[5:8], parallel=width, threads=2)
        assert bench.made() == 3
        bench.run(wanted, parallel=width, threads=2)
        assert bench.made() == len(wanted) - 3
        assert bench.output.read_bytes() == content
    original = Engine.__init__
    monkeypatch.setattr(Engine, "__init__", lambda *a, **k: original(*a, **k, share_prefixes=False))
    bench.store = bench.folder / "unshared"
    bench.run(wanted, parallel=4, threads=2)
    assert bench.output.read_bytes() == content


def test_a_line_of_a_choice_holds_the_contract_s_fields(bench):
    line = bench.run(choices(bench)[:1])[0]
    assert list(line) == ["id", "scores", "prompt_tokens", "key"]
    assert read_records(bench.output, ChoiceOutput)
    with Engine(bench.weights) as engine:
        counts = [len(engine.plain(answer)) for answer in (*ANSWERS, "n" * 70)]
    assert [len(score) for score in line["scores"]] == counts


def test_scores_are_those_of_generating_the_answer(bench):
    """The reference: the greedy text's first token is the likeliest of all."""
    request = text(bench, "t", (bench.use("vector", strength=0.5),), max_tokens=1, stop=())
    made = bench.run([request])[0]["text"]
    others = tuple(chr(code) for code in range(97, 110))
    asked = request.model_copy(update={"max_tokens": None, "answers": (made, *others)})
    scores = bench.run([asked])[0]["scores"]
    assert scores[0][0] == max(score[0] for score in scores)
    assert all(score[0] < 0 and math.isfinite(score[0]) for score in scores)


def test_a_choice_is_an_object_of_its_own_in_the_store(bench):
    wanted = choices(bench)[:4]
    lines = bench.run(wanted)
    kept = {}
    for path in bench.store.rglob("*.json"):
        stored = json.loads(path.read_text())
        kept[f"{path.parent.name}{path.stem}"] = stored
    assert sorted(kept) == sorted(line["key"] for line in lines)
    plain, steered = (kept[lines[number]["key"]] for number in (0, 3))
    assert plain["value"] == {"scores": lines[0]["scores"]}
    assert set(plain["key"]) == {"kind", "engine", "weights", "prompt", "continuations"}
    assert plain["key"]["kind"] == "choice"
    assert plain["key"]["weights"] == sha256(bench.weights)
    assert steered["key"]["adapters"] == [
        {
            "kind": "vector",
            "sha256": sha256(bench.models / "v.gguf"),
            "strength": 0.5,
        },
        {"kind": "lora", "sha256": sha256(bench.models / "l.gguf"), "strength": 1},
    ]


def test_what_does_nothing_stands_in_no_key(bench, tmp_path):
    first = bench.run([text(bench, "a")])
    weak = tuple(bench.use(kind, strength=0.0) for kind in ("vector", "lora"))
    again = bench.run([text(bench, "a", weak)])
    assert bench.made() == 0 and again == first


def test_neither_path_nor_order_of_kinds_changes_the_key(bench, tmp_path):
    uses = (bench.use("vector", strength=0.5), bench.use("lora"))
    first = bench.run([text(bench, "a", uses)])
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(Path(uses[0].path).read_bytes())
    moved = (uses[1], uses[0].model_copy(update={"path": str(copy)}))
    assert bench.run([text(bench, "a", moved)]) == first
    assert bench.made() == 0


@pytest.mark.parametrize(
    "change", [{"strength": 0.25}, {"layers": (1, 1)}, {"strength": -0.5}, {"kind": "lora"}]
)
def test_what_changes_the_key_of_a_steered_request(bench, change):
    first = bench.run([text(bench, "a", (bench.use("vector", strength=0.5),))])
    other = bench.use(**{"kind": "vector", "strength": 0.5, **change})
    second = bench.run([text(bench, "a", (other,))])
    assert first[0]["key"] != second[0]["key"]


def test_texts_under_adapters_are_those_of_the_engine(bench):
    use = bench.use("vector", strength=2.0, layers=(1, 1))
    found = bench.run([text(bench, "a", (use,)), text(bench, "b")])
    with Engine(bench.weights, threads=1) as engine:
        digest = engine.add_adapter("vector", bench.models / "v.gguf")
        prompt = engine.chat([{"role": "user", "content": "tell me of it"}])
        adapters = Adapters.of([Adapter("vector", digest, 2.0, (1, 1))])
        jobs = [Job(prompt, 6, engine.stop, adapters=one) for one in (adapters, Adapters())]
        made = dict(engine.generate(jobs))
        texts = [engine.vocabulary.detokenize(made[n].tokens) for n in (0, 1)]
    assert [line["text"] for line in found] == texts


def test_texts_and_choices_may_stand_in_one_file(bench):
    wanted = [*choices(bench)[:2], text(bench, "t")]
    lines = bench.run([wanted[0], wanted[2], wanted[1]])
    assert [("scores" in line, "text" in line) for line in lines] == [
        (True, False),
        (False, True),
        (True, False),
    ]


def test_answers_are_plain_text_directly_behind_the_prompt(bench):
    request = Request(id="a", prompt="the in", answers=("<|im_end|>", " the"))
    line = bench.run([request])[0]
    with Engine(bench.weights, threads=1) as engine:
        plain = [tuple(engine.vocabulary.tokenize(answer)) for answer in request.answers]
        assert engine.vocabulary.control["<|im_end|>"] not in plain[0]
        job = ScoreJob(engine.plain("the in"), tuple(plain))
        assert [list(score) for score in dict(engine.score([job]))[0]] == line["scores"]


def test_a_cut_prompt_says_so(bench):
    request = choices(bench)[0].model_copy(update={"max_prompt_tokens": 9})
    line = bench.run([request])[0]
    assert line["truncated"] and line["prompt_tokens"] == 9


@pytest.mark.parametrize(("template", "opened"), [(CHATML, False), (OPENED, True), (CLOSED, False)])
def test_a_thought_that_the_template_opens_is_closed_before_answers(bench, template, opened):
    messages = [{"role": "user", "content": "I wonder about <think>"}]
    request = Request(
        id="c",
        messages=(Message(role="user", content=messages[0]["content"]),),
        answers=ANSWERS,
        template=template,
    )
    with Engine(bench.weights) as engine:
        assert engine.opens_thought(messages, template) == opened
        closed = engine.chat(messages, template, close_thought=True)
        assert (closed != engine.chat(messages, template)) == opened
    line = bench.run([request])[0]
    assert line["scores"] and line["prompt_tokens"] == len(closed)


MESSAGES = '"messages": [{"role": "user", "content": "x"}]'


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (f'{{"id": "a", {MESSAGES}, "answers": ["x", ""]}}', "an answer is empty"),
        (f'{{"id": "a", {MESSAGES}, "answers": ["x"]}}', "answers"),
        (
            f'{{"id": "a", {MESSAGES}, "answers": ["x", "y"], "max_tokens": 3}}',
            "give either max_tokens or answers",
        ),
        (f'{{"id": "a", {MESSAGES}}}', "give either max_tokens or answers"),
        (
            f'{{"id": "a", {MESSAGES}, "answers": ["x", "{"y" * 1100}"]}}',
            "request a: prompt and answer",
        ),
        (
            f'{{"id": "a", {MESSAGES}, "max_tokens": 3, '
            '"adapters": [{"kind": "vector", "path": "none.gguf"}]}',
            "none.gguf: cannot be read",
        ),
        (
            f'{{"id": "a", {MESSAGES}, "max_tokens": 3, '
            '"adapters": [{"kind": "lora", "path": "r.jsonl"}]}',
            "r.jsonl: is no GGUF file",
        ),
        (
            f'{{"id": "a", {MESSAGES}, "max_tokens": 3, '
            '"adapters": [{"kind": "sae", "path": "r.jsonl"}]}',
            "kind",
        ),
        (
            f'{{"id": "a", {MESSAGES}, "max_tokens": 3, '
            '"adapters": [{"kind": "lora", "path": "r.jsonl", "layers": [4, 2]}]}',
            "layers",
        ),
        (
            f'{{"id": "a", {MESSAGES}, "max_tokens": 3, '
            '"adapters": [{"kind": "lora", "path": "r.jsonl", "strength": 1e999}]}',
            "strength",
        ),
    ],
)
def test_bad_requests_are_one_line_and_touch_nothing(bench, steerability, line, words):
    bench.requests.write_text(line + "\n")
    found = steerability(
        "generate", "--weights", bench.weights, "--requests", bench.requests, "--output",
        bench.output, "--store", bench.store,
    )  # fmt: skip
    assert found.returncode == 2
    assert words in found.stderr and found.stderr.count("\n") == 1
    assert not bench.store.exists() and not bench.output.exists()


def test_a_digest_that_a_request_names_must_be_the_file_s(bench):
    use = bench.use("vector", sha256="0" * 64)
    with pytest.raises(UserError, match=r"request a: .*v.gguf has the digest"):
        bench.run([text(bench, "a", (use,))])
    right = bench.use("vector", sha256=sha256(bench.models / "v.gguf"))
    assert bench.run([text(bench, "a", (right,))])


def test_an_adapter_without_effect_is_one_line(bench, steerability, tmp_path):
    arch = "qwen3moe" if (bench.models / "l.gguf").read_bytes().count(b"_exps") else "qwen3"
    named = {"blk.0.attn_output.weight": (64, 64)}
    path = lora(
        tmp_path / "weak.gguf",
        {name: np.float32(1e-15) * v for name, v in factors(named).items()},
        architecture=arch,
    )
    write_records(
        bench.requests,
        [text(bench, "a"), text(bench, "b", (AdapterFile(kind="lora", path=str(path)),))],
    )
    found = steerability(
        "generate", "--weights", bench.weights, "--requests", bench.requests, "--output",
        bench.output, "--store", bench.store,
    )  # fmt: skip
    assert found.returncode == 2
    assert "weak.gguf: the LoRA changes no logit" in found.stderr
    assert not list(bench.store.rglob("*.json")) and not bench.output.exists()


def test_requests_without_the_new_fields_are_written_as_before():
    request = Request(id="a", prompt="x", max_tokens=3)
    assert request.model_dump_json() == (
        '{"id":"a","messages":null,"prompt":"x","max_tokens":3,"max_prompt_tokens":null,'
        '"template":null,"stop":null,"thinking":false,'
        '"sampling":{"temperature":0.0,"top_p":1.0,"top_k":0,"seed":0}}'
    )
    line = '{"id":"o","text":"t","finish_reason":"stop","key":"k"}'
    assert Output.model_validate_json(line)


@pytest.mark.parametrize("field", ["adapters", "answers"])
def test_an_endpoint_takes_neither_adapters_nor_answers(bench, field):
    request = choices(bench)[0] if field == "answers" else text(bench, "a", (bench.use("lora"),))
    write_records(bench.requests, [request])
    endpoint = Endpoint("http://127.0.0.1:9/v1", "m", None, 1)
    with pytest.raises(UserError, match=r"neither adapters nor answers|no log-probabilities"):
        query(endpoint, bench.requests, bench.output, Store(bench.store))
    assert not bench.store.exists()
