"""``snakemake -n`` on the untouched ``config.yaml``, with neither network nor mirror."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from support.small_run import Place


def test_a_dry_run_plans_the_six_models_and_says_what_it_would_fetch(
    root: Path, tmp_path: Path
) -> None:
    words = [sys.executable, "-m", "snakemake", "-n", "--snakefile", str(root / "Snakefile")]
    nowhere = "http://127.0.0.1:9"
    done = subprocess.run(
        words,
        cwd=tmp_path,
        env=os.environ
        | {"HF_ENDPOINT": nowhere, "HF_HOME": str(tmp_path / "hf"), "https_proxy": nowhere},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    stats = dict(re.findall(r"(?m)^(\w+) +(\d+)$", said))
    assert {name: stats[name] for name in ("plan", "generate", "fetch_weights", "judge")} == {
        "plan": "6",
        "generate": "6",
        "fetch_weights": "6",
        "judge": "12",
    }
    wanted = [line for line in said.splitlines() if line.startswith("to fetch: ")]
    assert len([line for line in wanted if " weights qwen3-" in line]) == 6
    assert any(re.search(r"\d+ pinned files, [\d,]+ bytes, from https://", line) for line in wanted)
    assert "weights_search" in said and "mirror: DIR" in said
    assert not any((tmp_path / "results").rglob("*.gguf"))


def test_what_a_config_says_reaches_the_shell_as_single_words(tmp_path: Path) -> None:
    place = Place(tmp_path / "a place").create()
    folder = place.folder
    for name in ("my template.jinja", "my rubric.yaml", "a & b.md", "human labels.jsonl"):
        (folder / name).write_text("{}\n")
    url = "http://127.0.0.1:9/v1/a&b=$HOME;c"
    place.write(
        results="my results",
        store="my results/the store",
        weights_dir="my results/the weights",
        weights_search=[str(folder / "more weights")],
        models=["smollm2-135m-chat", "templated", "remote"],
        judges=["mine", "small", "far"],
        primary_judge="mine",
        analysis={"reference_labels": [str(folder / "human labels.jsonl")]},
        catalogue={
            "suites": {"small": {"kind": "file", "path": str(folder / "suite.yaml")}},
            "interventions": {name: str(folder / f"{name}.txt") for name in ("pro", "anti")},
            "models": {
                "templated": {
                    "source": "gguf",
                    "weights": "smollm2-135m-instruct-q4_1",
                    "size": "135M",
                    "stage": "Instruct; or so",
                    "template": str(folder / "my template.jinja"),
                },
                "remote": {
                    "source": "endpoint",
                    "url": url,
                    "model": "a model",
                    "size": "?",
                    "stage": "Chat",
                },
            },
            "judges": {
                "mine": {"kind": "rules", "rubric": str(folder / "my rubric.yaml")},
                "small": {"kind": "llm", "weights": "smollm2-135m-instruct-q4_1"},
                "far": {
                    "kind": "api",
                    "url": url,
                    "model": "a judge; or two",
                    "rubric": str(folder / "a & b.md"),
                },
            },
        },
    )
    done = place.snakemake("-n", "-p", "--quiet", "host")
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout + done.stderr
    lines = re.findall(r"python -m steerability .+", said)
    commands = [shlex.split(line, comments=False) for line in lines]
    verbs = {words[words.index("--log") + 2]: [] for words in commands}
    for words in commands:
        assert not {"my", "the", "a", "&", ";", "human", "more", "results"} & set(words), words
        assert words[words.index("--log") + 1].startswith("my results/")
        verbs[words[words.index("--log") + 2]].append(words)

    def given(verb: str, option: str) -> set[str]:
        return {w[w.index(option) + 1] for w in verbs[verb] if option in w}

    assert {"suite", "plan", "generate", "query", "assemble", "judge", "score"} <= set(verbs)
    assert given("judge", "--url") == given("query", "--url") == {url}
    assert given("judge", "--model") == {"a judge; or two"}
    assert {str(folder / "my rubric.yaml"), str(folder / "a & b.md")} <= given(
        "judge", "--definition"
    )
    weights = "my results/the weights/smollm2-135m-instruct-q4_1.gguf"
    assert given("judge", "--weights") == given("generate", "--weights") == {weights}
    assert given("plan", "--template") == {str(folder / "my template.jinja")}
    assert given("statistics", "--reference") == {str(folder / "human labels.jsonl")}
    assert given("judge", "--store") == {"my results/the store"}
    assert given("fetch", "--search") == {str(folder / "more weights")}
