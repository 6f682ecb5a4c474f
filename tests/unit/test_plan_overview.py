"""What ``steerability plan`` says of a config before anything is fetched or generated."""

from pathlib import Path

import pytest

from conftest import Run
from mirror import MIRROR, NEEDS_MIRROR
from steerability.cli import run
from steerability.config.load import load_config
from steerability.fetch.sources import SourceFolder
from steerability.inputs.files import published_mode
from steerability.inputs.texts import suffix_run, wanted_sources
from steerability.needs.overview import plan_models
from steerability.protocol.records import Intervention
from steerability.suites.load import load_suite
from steerability.support.errors import UserError
from steerability.transcripts.runs import published_runs

NONE = Intervention(name="none", text="")
SOURCES = SourceFolder(Path("config/sources.csv"), Path("nowhere"))


@NEEDS_MIRROR
def test_the_papers_config_plans_1278_cells(steerability: Run, root: Path) -> None:
    done = steerability("plan", "--configfile", "config.yaml", "--mirror", MIRROR, cwd=root)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "1,278 cells" in lines
    rows = [line.split() for line in lines if line.startswith("qwen3-")]
    assert [row[3:7] for row in rows] == [["71", "71", "71", "213"]] * 6
    new = [int(row[7].replace(",", "")) for row in rows]
    assert new == [213 * limit for limit in (1024, 1024, 8096) * 2]
    assert any(line.startswith(f"at most {sum(new):,} new tokens") for line in lines)


def test_without_network_and_mirror_it_says_what_it_would_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    overlay = tmp_path / "offline.yaml"
    overlay.write_text(
        f"results: {tmp_path}/results\nweights_dir: {tmp_path}/weights\n"
        "sources: {base_url: 'http://127.0.0.1:9'}\n"
    )
    monkeypatch.setattr("steerability.fetch.download.WAIT_SECONDS", 0.0)
    status = run(["plan", "--configfile", "config.yaml", "--configfile", str(overlay)])
    said = capsys.readouterr()
    assert status == 2
    assert len(said.err.splitlines()) == 1 and "--mirror DIR" in said.err
    assert "weights qwen3-30b-a3b-base-q4_k_m: to fetch from mradermacher/" in said.out
    assert "file instrumentaleval/evading_shutdown.csv: to fetch, 22,230 bytes" in said.out


def test_the_demo_needs_nothing_from_outside(steerability: Run, root: Path) -> None:
    words = ("--configfile", "config.yaml", "--configfile", "config/demo.yaml")
    done = steerability("plan", *words, cwd=root)
    assert done.returncode == 0, done.stderr
    assert "weights smollm2-135m-instruct-q4_1: here, " in done.stdout
    pilot = load_suite(root / "workflow/suites/builtin/suite.yaml").pilot(6)
    assert f"{2 * 3 * len(pilot.scenarios):,} cells" in done.stdout


def test_a_runs_own_limit_lowers_every_model() -> None:
    config = load_config([Path("config.yaml")]).model_copy(update={"max_tokens": 16})
    suite = load_suite(Path("workflow/suites/builtin/suite.yaml"))
    plans = plan_models(config, suite, [NONE])
    assert {plan.new_tokens for plan in plans} == {16 * len(suite.scenarios)}


def test_a_suffix_is_taken_from_the_smallest_log(tmp_path: Path) -> None:
    run = suffix_run(SOURCES, "pro")
    sizes = [
        source.bytes
        for name, source in SOURCES.sources.items()
        if name.endswith("pro_ic/stdout.log")
    ]
    assert SOURCES.source(run.log).bytes == min(sizes)
    other = next(
        run
        for run in published_runs(SOURCES.sources)
        if run.model.endswith("Thinking-2507") and run.intervention == "pro"
    )
    assert suffix_run(SOURCES, "pro", None, [other]) == other
    assert suffix_run(SOURCES, "anti", None, [other]).intervention == "anti"
    path = tmp_path / SOURCES.source(other.log).path
    path.parent.mkdir(parents=True)
    path.touch()
    assert suffix_run(SOURCES, "pro", tmp_path) == other
    path.unlink()
    with pytest.raises(UserError, match="no published log of the condition pro_ic"):
        suffix_run(SOURCES, "pro", tmp_path)


def test_published_labels_are_known() -> None:
    assert published_mode("published:pro_ic") == "pro"
    assert published_mode("published:baseline") == "none"
    assert published_mode("some/file.txt") is None
    with pytest.raises(UserError, match="published:anti_ic"):
        published_mode("published:pro")


def test_wanted_sources_are_six_files_and_two_logs_with_settings() -> None:
    assert len(wanted_sources(load_config([Path("config.yaml")]), SOURCES)) == 10
    demo = load_config([Path("config.yaml"), Path("config/demo.yaml")])
    assert wanted_sources(demo, SOURCES) == []
