"""A run's interventions: from the config's words to the texts and adapters that they are."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from steerability.cli import run
from steerability.config.load import check_config, merge
from steerability.config.model import Config
from steerability.fetch.sources import SourceFolder
from steerability.inputs.files import check_inputs, named_files, wanted_weights
from steerability.inputs.interventions import (
    Recipe,
    adapter_files,
    load_recipe,
    recipes_of,
    recovered_modes,
    text_files,
)
from steerability.inputs.texts import read_interventions
from steerability.protocol.conversation import Append, Message, Prefill, Prepend, System, Turns
from steerability.protocol.intervention import AdapterUse, Intervention
from steerability.support.canonical import sha256_file
from steerability.support.errors import UserError
from steerability.support.jsonl import read_records

PINNED = "smollm2-135m-instruct-q4_1"
CATALOGUE: dict[str, Any] = {
    "after": {"kind": "append", "text": "a.txt", "repeat": 3},
    "before": {"kind": "prepend", "text": "a.txt", "family": "plea"},
    "rule": {"kind": "system", "text": "b.txt", "place": "replace"},
    "begun": {"kind": "prefill", "text": "b.txt"},
    "worded": {"kind": "append", "wordings": ["a.txt", "published:anti_ic"]},
    "shown": {"kind": "turns", "messages": "turns.yaml"},
    "pushed": {"kind": "vector", "adapter": "v", "strengths": [-1, 0.5], "layers": [2, 5]},
    "random": {"kind": "vector", "adapter": "v", "control_of": "pushed_0.5"},
    "noise": {"kind": "vector", "adapter": "v", "strengths": [0.5], "control_of": "pushed"},
    "tuned": {"kind": "lora", "adapter": "pin", "strength": 0.25},
    "all": {"kind": "compose", "of": ["none", "rule", "random", "tuned", "shown", "begun"]},
    "two": {"kind": "compose", "of": ["after", "recovered"], "family": "pair"},
    "recovered": "published:pro_ic",
    "none": "",
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "a.txt").write_text("\n Go on. \n")
    (tmp_path / "b.txt").write_text("Sure:\n")
    turns = [{"role": "user", "content": "1?"}, {"role": "assistant", "content": "One."}]
    (tmp_path / "turns.yaml").write_text(yaml.safe_dump(turns))
    (tmp_path / "v.gguf").write_bytes(b"a vector")
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / f"{PINNED}.gguf").write_bytes(b"a lora")
    for name in ("pro", "anti"):
        (tmp_path / f"{name}.txt").write_text(f"Published {name}.\n")
    (tmp_path / "workflow").symlink_to(Path("workflow").resolve())
    (tmp_path / "config").symlink_to(Path("config").resolve())
    return tmp_path


def config_of(home: Path, *names: str, **more: Any) -> Config:
    whole = yaml.safe_load(Path("config.yaml").read_text(encoding="utf-8"))
    demo = yaml.safe_load(Path("config/demo.yaml").read_text(encoding="utf-8"))
    overlay = {
        "interventions": list(names or CATALOGUE),
        "weights_dir": str(home / "weights"),
        "catalogue": {
            "interventions": CATALOGUE,
            "adapters": {
                "v": {"source": "file", "path": "v.gguf"},
                "pin": {"source": "pinned", "weights": PINNED},
            },
        },
    }
    return check_config(merge(merge(merge(whole, demo), overlay), more))


def recipes(home: Path, *names: str, **more: Any) -> dict[str, Recipe]:
    recovered = {name: str(home / f"{name}.txt") for name in ("pro", "anti")}
    found = recipes_of(config_of(home, *names, **more), home, recovered)
    return {recipe.name: recipe for recipe in found}


def loaded(home: Path, *names: str) -> dict[str, Intervention]:
    return {name: load_recipe(recipe) for name, recipe in recipes(home, *names).items()}


def test_every_kind_is_read_into_its_edits_and_adapters(home: Path) -> None:
    found = loaded(home)
    turns = Turns(
        messages=(Message(role="user", content="1?"), Message(role="assistant", content="One."))
    )
    vector, lora = sha256_file(home / "v.gguf"), sha256_file(home / f"weights/{PINNED}.gguf")
    random = AdapterUse(kind="vector", sha256=vector)
    tuned = AdapterUse(kind="lora", sha256=lora, strength=0.25)
    assert list(found) == [
        *("after", "before", "rule", "begun", "worded_1", "worded_2", "shown"),
        *("pushed_-1", "pushed_0.5", "random", "noise_0.5", "tuned"),
        *("all", "two", "recovered", "none"),
    ]
    assert {name: (one.edits, one.adapters) for name, one in found.items()} == {
        "after": ((Append(text="Go on.\n\nGo on.\n\nGo on."),), ()),
        "before": ((Prepend(text="Go on."),), ()),
        "rule": ((System(text="Sure:", place="replace"),), ()),
        "begun": ((Prefill(text="Sure:"),), ()),
        "worded_1": ((Append(text="Go on."),), ()),
        "worded_2": ((Append(text="Published anti."),), ()),
        "shown": ((turns,), ()),
        "pushed_-1": (
            (),
            (AdapterUse(kind="vector", sha256=vector, strength=-1, layers=(2, 5)),),
        ),
        "pushed_0.5": (
            (),
            (AdapterUse(kind="vector", sha256=vector, strength=0.5, layers=(2, 5)),),
        ),
        "random": ((), (random,)),
        "noise_0.5": ((), (AdapterUse(kind="vector", sha256=vector, strength=0.5),)),
        "tuned": ((), (tuned,)),
        "all": (
            (System(text="Sure:", place="replace"), turns, Prefill(text="Sure:")),
            (random, tuned),
        ),
        "two": (
            (Append(text="Go on.\n\nGo on.\n\nGo on."), Append(text="Published pro.")),
            (),
        ),
        "recovered": ((Append(text="Published pro."),), ()),
        "none": ((), ()),
    }


def test_families_accesses_and_strengths(home: Path) -> None:
    facts = {n: (one.family, one.access, one.strength) for n, one in loaded(home).items()}
    assert facts == {
        "after": ("suffix", "prompt", 3.0),
        "before": ("plea", "prompt", None),
        "rule": ("system", "prompt", None),
        "begun": ("prefill", "conversation", None),
        "worded_1": ("suffix", "prompt", None),
        "worded_2": ("suffix", "prompt", None),
        "shown": ("turns", "conversation", None),
        "pushed_-1": ("direction", "activations", -1.0),
        "pushed_0.5": ("direction", "activations", 0.5),
        "random": ("direction", "activations", 1.0),
        "noise_0.5": ("direction", "activations", 0.5),
        "tuned": ("lora", "weights", 0.25),
        "all": ("composed", "weights", None),
        "two": ("pair", "prompt", None),
        "recovered": ("suffix", "prompt", None),
        "none": ("suffix", "prompt", None),
    }
    controls = {n: one.control_of for n, one in loaded(home).items() if one.control_of}
    assert controls == {"random": "pushed_0.5", "noise_0.5": "pushed_0.5"}


def test_what_is_composed_counts_among_a_runs_files(home: Path) -> None:
    config = config_of(home, "all", "two")
    assert text_files(config, home) == [
        *(home / "b.txt", home / "v.gguf", home / "turns.yaml", home / "a.txt"),
    ]
    assert set(text_files(config, home)) < set(named_files(config, home))
    assert recovered_modes(config) == ("pro",)
    assert recovered_modes(config_of(home, "worded", "none")) == ("anti",)
    assert PINNED in wanted_weights(config)
    paths = adapter_files(recipes(home, "all", "pushed").values())
    assert paths == {sha256_file(Path(p)): p for p in paths.values()}
    assert [Path(p).name for p in paths.values()] == ["v.gguf", f"{PINNED}.gguf"]


def test_the_verb_reads_recipes_and_writes_interventions(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = json.dumps([one.model_dump(mode="json") for one in recipes(home).values()])
    output = home / "interventions.jsonl"
    assert run(["interventions", "--spec", spec, "--output", str(output)]) == 0
    assert list(read_records(output, Intervention)) == list(loaded(home).values())
    assert "after 22 characters, before 6 characters" in capsys.readouterr().out
    names = ("after", "rule", "pushed")
    sources = SourceFolder(Path("config/sources.csv"), home)
    read = read_interventions(config_of(home, *names), sources, home)
    assert [one.name for one in read] == ["after", "rule", "pushed_-1", "pushed_0.5"]


@pytest.mark.parametrize(
    ("name", "file", "content", "said"),
    [
        ("after", "a.txt", None, "no such file"),
        ("before", "a.txt", b" \n", "is empty"),
        ("rule", "b.txt", b"\xff\xfe", "not UTF-8"),
        ("shown", "turns.yaml", None, "cannot be read"),
        ("shown", "turns.yaml", b"user: 1?", "must hold a list"),
        ("shown", "turns.yaml", b"- [", "not YAML"),
        ("shown", "turns.yaml", b"- {role: user}", "message 1: content: Field required"),
        ("shown", "turns.yaml", b"- {role: tool, content: x}", "message 1: role"),
        ("shown", "turns.yaml", b"- {role: user, content: x}", "at least 2"),
        (
            "shown",
            "turns.yaml",
            b"- {role: user, content: x}\n- {role: user, content: y}",
            "user and assistant take turns",
        ),
        ("pushed", "v.gguf", None, "no such file"),
        ("tuned", f"weights/{PINNED}.gguf", None, "no such file"),
    ],
)
def test_a_bad_file_is_one_line(
    home: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    file: str,
    content: bytes | None,
    said: str,
) -> None:
    (home / file).unlink()
    if content is not None:
        (home / file).write_bytes(content)
    spec = json.dumps([one.model_dump(mode="json") for one in recipes(home, name).values()])
    output = home / "out.jsonl"
    assert run(["interventions", "--spec", spec, "--output", str(output)]) == 2
    shown = capsys.readouterr().err
    assert said in shown and file in shown and shown.count("\n") == 1
    assert not output.exists()


def test_an_adapters_digest_is_held_to_what_the_config_says(home: Path) -> None:
    digest = sha256_file(home / "v.gguf")
    right = {"catalogue": {"adapters": {"v": {"sha256": digest}}}}
    [one] = recipes(home, "random", **right).values()
    assert load_recipe(one).adapters[0].sha256 == digest
    wrong = {"catalogue": {"adapters": {"v": {"sha256": "0" * 64}}}}
    [one] = recipes(home, "random", **wrong).values()
    with pytest.raises(UserError, match=rf"has the digest {digest}, not 0{{64}}"):
        load_recipe(one)


def test_inputs_are_checked_before_the_run_but_for_what_is_fetched_first(home: Path) -> None:
    config = config_of(home, "all", "after")
    check_inputs(config, home)
    (home / f"weights/{PINNED}.gguf").unlink()
    check_inputs(config, home)
    (home / "turns.yaml").unlink()
    with pytest.raises(UserError, match=r"no such file or directory.*correct the path"):
        check_inputs(config, home)
    (home / "turns.yaml").write_text("- {role: user, content: x}")
    with pytest.raises(UserError, match="at least 2"):
        check_inputs(config_of(home, "shown"), home)


@pytest.mark.parametrize("spec", ["", "{}", "[{}]", '[{"name": "a", "family": "b", "parts": []}]'])
def test_a_spec_that_holds_no_recipes_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], spec: str
) -> None:
    assert run(["interventions", "--spec", spec, "--output", str(tmp_path / "x")]) == 2
    said = capsys.readouterr().err
    assert "--spec" in said and said.count("\n") == 1
