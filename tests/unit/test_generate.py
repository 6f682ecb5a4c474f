"""The verbs generate and assemble: store, files, bad input."""

import json
from pathlib import Path

import pytest

from steerability.engine import Engine
from steerability.generate.assemble import Order, join
from steerability.generate.outputs import split_thinking
from steerability.generate.run import Settings, run
from steerability.protocol.cell import Cell
from steerability.protocol.conversation import Message
from steerability.protocol.request import Output, Request, Sampling
from steerability.protocol.response import Planned, Shown
from steerability.support.errors import UserError
from steerability.support.jsonl import read_records, write_records
from steerability.support.store import Store
from support.models import sha256, smollm2, tiny


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    return tiny(tmp_path_factory.mktemp("model") / "tiny.gguf", context=512)


def requests(count: int = 5, **fields) -> list[Request]:
    return [
        Request(
            id=f"r{number}",
            messages=(Message(role="user", content=f"question {number}"),),
            **{"max_tokens": 8, **fields},
        )
        for number in range(count)
    ]


class Bench:
    """A folder with weights, requests, a store and what generate writes."""

    def __init__(self, folder: Path, weights: Path) -> None:
        self.folder, self.weights = folder, weights
        self.requests, self.output = folder / "r.jsonl", folder / "o.jsonl"
        self.store, self.facts = folder / "store", folder / "facts.json"

    def generate(self, wanted: list[Request], **options) -> list[Output]:
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
        return list(read_records(self.output, Output))

    def made(self) -> int:
        return json.loads(self.facts.read_text())["made"]

    def object(self, name: str) -> Path:
        return Store(self.store).path_of(name)

    def objects(self) -> list[Path]:
        return sorted(self.store.rglob("*.json"))


@pytest.fixture
def bench(tmp_path, weights) -> Bench:
    return Bench(tmp_path, weights)


def test_outputs_come_in_request_order_and_only_once(bench):
    wanted = requests()
    first = bench.generate(wanted)
    assert [line.id for line in first] == [request.id for request in wanted]
    assert bench.made() == len(bench.objects()) == 5
    content = bench.output.read_bytes()
    assert bench.generate(wanted, parallel=2) == first
    assert bench.made() == 0 and bench.output.read_bytes() == content
    assert bench.generate(wanted[::-1]) == first[::-1]
    more = bench.generate([*wanted, *requests(7)[5:]])
    assert bench.made() == 2 and more[:5] == first


@pytest.mark.parametrize(
    "fault",
    [
        {"tokens": "abc"},
        {"tokens": [10**6]},
        {"tokens": [-1]},
        {"tokens": [1.5]},
        {"tokens": None},
        {"finish_reason": "tired"},
    ],
)
def test_a_stored_generation_that_does_not_fit_is_set_aside_and_made_again(bench, capsys, fault):
    first = bench.generate(requests(1))
    stored = json.loads(bench.objects()[0].read_text())
    Store(bench.store).put(stored["key"], stored["value"] | fault)
    assert bench.generate(requests(1)) == first and bench.made() == 1
    assert "moved to" in capsys.readouterr().err


def test_neither_id_nor_paths_change_the_key(bench, tmp_path):
    first = bench.generate(requests(2))
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(bench.weights.read_bytes())
    renamed = [request.model_copy(update={"id": f"x/{request.id}"}) for request in requests(2)]
    again = bench.generate(renamed, weights=copy, parallel=1, threads=2)
    assert bench.made() == 0
    assert [line.key for line in again] == [line.key for line in first]


@pytest.mark.parametrize(
    "change",
    [
        {"max_tokens": 7},
        {"stop": (1, 2)},
        {"messages": (Message(role="user", content="other"),)},
        {"messages": (Message(role="system", content="question 0"),)},
        {"template": "{{ messages[0]['content'] }}"},
        {"max_prompt_tokens": 3},
        {"sampling": Sampling(temperature=0.7)},
    ],
)
def test_what_changes_a_request_s_key(bench, change):
    wanted = requests(1)
    first = bench.generate(wanted)
    second = bench.generate([wanted[0].model_copy(update=change)])
    assert first[0].key != second[0].key


@pytest.mark.parametrize(
    "change",
    [
        {"sampling": Sampling(temperature=0, seed=5, top_k=3, top_p=0.5)},
        {"max_prompt_tokens": 500},
        {"thinking": True},
    ],
)
def test_what_does_not_change_a_request_s_key(bench, change):
    wanted = requests(1)
    first = bench.generate(wanted)
    assert bench.generate([wanted[0].model_copy(update=change)])[0].key == first[0].key


def test_seeds_are_streams_of_their_own(bench):
    texts = [
        bench.generate(requests(1, sampling=Sampling(temperature=1.0, seed=seed)))[0].text
        for seed in (0, 0, 1)
    ]
    assert texts[0] == texts[1] != texts[2]


def test_samples_have_keys_and_streams_of_their_own_and_the_first_has_todays(bench):
    warm = Sampling(temperature=1.0, seed=5)
    alone = bench.generate(requests(1, sampling=warm))[0]
    wanted = [
        request.model_copy(update={"id": f"r{sample}", "sample": sample})
        for sample, request in enumerate(requests(1, sampling=warm) * 3)
    ]
    lines = bench.generate(wanted)
    assert bench.made() == 2 and lines[0].key == alone.key and lines[0].text == alone.text
    assert len({line.key for line in lines}) == len({line.text for line in lines}) == 3
    keys = [json.loads(bench.object(line.key).read_text())["key"] for line in lines]
    assert "sample" not in keys[0]
    assert keys[1:] == [keys[0] | {"sample": 1}, keys[0] | {"sample": 2}]
    assert bench.generate(wanted[::-1], parallel=1) == lines[::-1]
    other = wanted[1].model_copy(update={"sampling": Sampling(temperature=1.0, seed=6)})
    assert bench.generate([other])[0].text not in {line.text for line in lines}


def test_a_greedy_sample_is_the_same_object(bench):
    first = bench.generate(requests(1))[0]
    again = bench.generate([requests(1)[0].model_copy(update={"sample": 3})])[0]
    assert again == first and bench.made() == 0


def test_a_long_prompt_is_cut_and_says_so(bench):
    wanted = requests(1, max_prompt_tokens=4)
    line = bench.generate(wanted)[0]
    assert line.truncated and line.prompt_tokens == 4
    assert not bench.generate(requests(1))[0].truncated


def test_a_killed_run_goes_on_where_it_stopped(bench, monkeypatch):
    whole = bench.generate(requests(6), parallel=2)
    bench.store = bench.folder / "second"
    put, calls = "steerability.support.store.Store.put", []

    original = Store.put

    def full(self, key, value):
        calls.append(key)
        if len(calls) > 3:
            raise OSError(28, "No space left on device")
        return original(self, key, value)

    monkeypatch.setattr(put, full)
    with pytest.raises(OSError, match="make room"):
        bench.generate(requests(6), parallel=2)
    monkeypatch.undo()
    assert len(bench.objects()) == 3
    assert bench.generate(requests(6), parallel=2) == whole
    assert bench.made() == 3


def test_thinking_is_split_at_the_last_end(bench):
    with Engine(bench.weights) as engine:
        vocabulary = engine.vocabulary
        end = vocabulary.token("</think>")
        a, b, c = (tuple(vocabulary.tokenize(text)) for text in ("one", " two", "\n\nthree"))
        assert split_thinking((*a, end, *b, end, *c), vocabulary) == ("one two", "\n\nthree")
        assert split_thinking((*a, *b), vocabulary) == (None, "one two")
        written = tuple(vocabulary.tokenize("</think>x"))
        assert end not in written
        assert split_thinking(written, vocabulary) == (None, "</think>x")


def test_thinking_that_never_ends_is_flagged(bench):
    line = bench.generate(requests(1, thinking=True))[0]
    assert line.thinking_cut and line.thinking == "" and line.text


PLAIN = '{"id": "a", "prompt": "x", "max_tokens": 3}\n'


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{nonsense\n", "line 1"),
        (PLAIN + PLAIN, "comes twice"),
        ("", "no requests"),
        ('{"id": "a", "prompt": "x", "max_tokens": 3, "wat": 1}\n', "wat"),
        ('{"id": "a", "prompt": "x", "max_tokens": 0}\n', "max_tokens"),
        (f'{{"id": "a", "prompt": "x", "max_tokens": {2**53 + 1}}}\n', "max_tokens"),
        (
            '{"id": "a", "prompt": "x", "max_tokens": 3, '
            f'"sampling": {{"temperature": 1, "top_k": {2**53 + 1}}}}}\n',
            "top_k",
        ),
        ('{"id": "a", "prompt": "x", "max_tokens": 3, "stop": [999999]}\n', "999999"),
        (f'{{"id": "big", "prompt": "{"x" * 600}", "max_tokens": 3}}\n', "request big"),
        (
            '{"id": "a", "messages": [{"role": "user", "content": "x"}], "max_tokens": 3, '
            '"template": "{%"}\n',
            "request a",
        ),
    ],
)
def test_bad_requests_are_one_line_and_touch_nothing(bench, steerability, content, words):
    bench.requests.write_text(content)
    found = steerability(
        "generate", "--weights", bench.weights, "--requests", bench.requests, "--output",
        bench.output, "--store", bench.store,
    )  # fmt: skip
    assert found.returncode == 2
    assert words in found.stderr and found.stderr.count("\n") == 1
    assert not bench.store.exists() and not bench.output.exists()


@pytest.mark.parametrize("fault", ["missing", "cut", "digest", "text"])
def test_bad_weights_are_one_line_and_touch_nothing(bench, steerability, fault):
    bench.requests.write_text(PLAIN)
    path, words = bench.folder / "bad.gguf", []
    if fault == "cut":
        path.write_bytes(bench.weights.read_bytes()[:-100])
    elif fault == "digest":
        path.write_bytes(bench.weights.read_bytes())
        words = ["--weights-sha256", "0" * 64]
    elif fault == "text":
        path.write_text("no model")
    found = steerability(
        "generate", "--weights", path, "--requests", bench.requests, "--output", bench.output,
        "--store", bench.store, *words,
    )  # fmt: skip
    assert found.returncode == 2
    assert "bad.gguf" in found.stderr and found.stderr.count("\n") == 1
    assert not bench.objects() and not bench.output.exists()


def test_a_named_digest_is_the_key_s(bench):
    digest = sha256(bench.weights)
    first = bench.generate(requests(2), weights_sha256=digest)
    assert bench.generate(requests(2)) == first
    assert bench.made() == 0


def test_the_closing_line_and_the_facts(bench, steerability):
    write_records(bench.requests, requests(3))
    log = bench.folder / "log.txt"
    words = (
        "generate", "--weights", bench.weights, "--requests", bench.requests, "--output",
        bench.output, "--store", bench.store, "--facts", bench.facts, "--log", log,
        "--parallel", "2", "--threads", "1",
    )  # fmt: skip
    found = steerability(*words)
    assert found.returncode == 0, found.stderr
    assert "generate: 3 cells wanted, 0 found in the store, 3 made" in found.stderr
    assert "3 made" in log.read_text()
    facts = json.loads(bench.facts.read_text())
    assert facts["width"] == 2 and facts["threads"] == 1 and facts["made"] == 3
    assert facts["engine"]["llama_cpp_python"]
    again = steerability(*words)
    assert "3 found in the store, 0 made" in again.stderr


def planned(scenario: str, intervention: str) -> Planned:
    shown = Shown(category="c", context="ctx", prompt="st", plain_context="pc", plain_prompt="sp")
    return Planned(
        cell=Cell(model="m", intervention=intervention, scenario=scenario),
        shown=shown,
        sent=(Message(role="user", content="x"),),
        plain=True,
    )


def test_the_plan_passes_by_generate_and_is_assembled(bench):
    plan = [planned(scenario, name) for scenario in "abc" for name in ("pro", "none")]
    lines = bench.generate([Request(id=one.id, prompt="x", max_tokens=3) for one in plan])
    files = [bench.folder / f"{n}.jsonl" for n in range(4)]
    for path, part in zip(files, [plan[::-1], plan[:4], lines[:4], lines[4:][::-1]], strict=True):
        write_records(path, part)
    order = Order(["behaviour"], {"behaviour": "abc"}, ("pro", "none"))
    rows, chosen = join(files[0], files[2:], order)
    assert [row.id for row in rows] == [one.id for one in plan], "whatever the split"
    assert [row.response for row in rows] == [line.text for line in lines]
    assert [row.key for row in rows] == [line.key for line in lines]
    assert (rows[0].context, rows[0].prompt, rows[0].category) == ("ctx", "st", "c")
    assert (rows[0].plain_context, rows[0].plain_prompt) == ("pc", "sp")
    assert rows[0].plain and [sent.content for sent in rows[0].sent] == ["x"]
    assert chosen == []
    for outputs, words in (
        ([files[2]], r"m/none/c has no output \(and 1 more\)"),
        ([*files[2:], files[3]], "comes twice"),
    ):
        with pytest.raises(UserError, match=words):
            join(files[0], outputs, order)
    with pytest.raises(
        UserError, match=r"m/none/c belongs to no request of the plan \(and 1 more\)"
    ):
        join(files[1], files[2:], order)


@pytest.mark.heavy
def test_the_real_model_answers_the_same_at_any_width(tmp_path):
    bench = Bench(tmp_path, smollm2())
    wanted = [
        Request(
            id=str(number),
            messages=(
                Message(role="system", content="You are a helpful assistant."),
                Message(role="user", content=f"Name {number + 2} animals.{tail}"),
            ),
            max_tokens=24,
        )
        for number in range(4)
        for tail in ("", " Be brief.")
        if not tail or number
    ]
    wanted = [r.model_copy(update={"id": str(at)}) for at, r in enumerate(wanted)]
    first = bench.generate(wanted, parallel=1, threads=2)
    assert all(line.text for line in first)
    for width in (3, 8):
        bench.store = tmp_path / f"store{width}"
        assert bench.generate(wanted, parallel=width, threads=2) == first
