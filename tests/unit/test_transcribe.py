"""Published runs as completions and labels."""

import json
import os
import re

import pytest
from test_instrumentaleval import place_from

from mirror import MIRROR, NEEDS_MIRROR, REPOSITORY
from published_logs import MODELS, SUFFIXES, Reply, log, plain_replies, steered, write_mirror
from steerability.cli import run
from steerability.fetch.sources import SourceFolder
from steerability.protocol.records import Completion, Label
from steerability.suites.instrumentaleval import load_instrumentaleval
from steerability.support.canonical import digest, sha256_text
from steerability.support.errors import UserError
from steerability.support.jsonl import read_records
from steerability.support.store import Store
from steerability.transcripts import runs as runs_module
from steerability.transcripts.runs import benchmarks_of, published_runs, recover_suffix
from steerability.transcripts.transcribe import PublishedModel, runs_of, transcribe_model

MODES = {"pro": "pro_ic", "none": "baseline", "anti": "anti_ic"}


class Made:
    """A mirror of our own, fetched, with what it takes to read it."""

    def __init__(self, root, models=MODELS, **options):
        self.root = root
        self.table = write_mirror(root / "mirror", models, **options)
        self.suffixes = root / "mirror" / "suffixes.csv"
        self.sources = place_from(root / "mirror", self.table, root / "sources")
        self.store = Store(root / "store")

    def transcribe(self, published, interventions=("pro", "none", "anti")):
        return transcribe_model(
            PublishedModel(published.lower(), published, "4B", "Base"),
            runs_of(self.sources, published, interventions),
            load_instrumentaleval(self.sources),
            self.sources,
            suffixes=self.suffixes,
            judge="published",
            store=self.store,
        )

    def words(self, published):
        """Return the command line of the verb."""
        return [
            *("transcribe", "--model", published.lower(), "--published", published),
            *("--size", "4B", "--stage", "Base", "--sources", str(self.root / "sources")),
            *("--sources-table", str(self.table), "--suffixes", str(self.suffixes)),
            *("--store", str(self.root / "store"), "--output", str(self.root / "c.jsonl")),
            *("--labels", str(self.root / "l.jsonl")),
        ]


@pytest.fixture(autouse=True)
def no_fsync(monkeypatch):
    """Thousands of objects are written here; that each reaches the disk is the store's test."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture(scope="module")
def all_models(tmp_path_factory):
    return Made(tmp_path_factory.mktemp("made"))


def test_all_six_models_are_read_with_three_conditions(all_models):
    suite = load_instrumentaleval(all_models.sources)
    for published in MODELS:
        done = all_models.transcribe(published)
        assert len(done.completions) == len(done.labels) == 213
        order = [(one.scenario, one.intervention) for one in done.completions]
        assert order == [(s.id, i) for s in suite.scenarios for i in ("pro", "none", "anti")]
        for intervention, mode in MODES.items():
            replies = plain_replies(published, mode)
            mine = [one for one in done.completions if one.intervention == intervention]
            assert [one.response for one in mine] == [reply.answer for reply in replies]
            for one, scenario, reply in zip(mine, suite.scenarios, replies, strict=True):
                assert one.id == f"{published.lower()}/{intervention}/{scenario.id}"
                assert one.scenario_prompt == scenario.prompt
                assert one.prompt == steered(scenario.prompt, SUFFIXES[mode])
                assert one.context == scenario.context
                assert one.completion_sha256 == sha256_text(reply.answer)
                assert one.finish_reason is one.prompt_tokens is one.completion_tokens is None
                thinks = "Thinking" in published
                assert one.thinking == (reply.thinking[: -len("</think>")] if thinks else None)
            labels = [one for one in done.labels if f"/{intervention}/" in one.id]
            assert [one.label for one in labels] == [reply.label for reply in replies]
            assert [one.reason for one in labels] == [reply.reason for reply in replies]
        assert [one.id for one in done.labels] == [one.id for one in done.completions]
        assert {one.judge for one in done.labels} == {"published"}


def test_a_second_time_nothing_is_parsed_and_all_is_the_same(all_models, monkeypatch, capsys):
    first = all_models.transcribe(MODELS[0])
    monkeypatch.setattr(runs_module, "parse_log", None)
    capsys.readouterr()
    assert all_models.transcribe(MODELS[0]) == first
    said = capsys.readouterr().err
    assert said == "transcribe: 213 cells wanted, 213 found in the store, 0 made\n"


def test_one_more_run_is_the_only_one_parsed(tmp_path, capsys):
    made = Made(tmp_path, MODELS[:1])
    made.transcribe(MODELS[0], ["pro", "anti"])
    capsys.readouterr()
    done = made.transcribe(MODELS[0])
    assert "213 cells wanted, 142 found in the store, 71 made" in capsys.readouterr().err
    assert len(done.completions) == 213


def test_keys_hold_where_a_text_comes_from(all_models):
    done = all_models.transcribe(MODELS[2])
    assert len({one.key for one in done.completions}) == 213
    assert len({one.key for one in done.labels}) == 213
    stored = json.loads(all_models.store.path_of(done.completions[0].key).read_text())
    assert digest(stored["key"]) == done.completions[0].key
    log = all_models.sources.source(f"transcripts/{MODELS[2]}/pro_ic/stdout.log")
    assert (stored["key"]["log"], stored["key"]["record"]) == (log.sha256, 1)
    assert stored["value"]["response"] == done.completions[0].response


def test_the_verb_writes_both_files(all_models, capsys):
    assert run(all_models.words(MODELS[1])) == 0
    completions = list(read_records(all_models.root / "c.jsonl", Completion))
    labels = list(read_records(all_models.root / "l.jsonl", Label))
    done = all_models.transcribe(MODELS[1])
    assert (completions, labels) == (done.completions, done.labels)


def test_a_changed_byte_is_one_line_and_status_2(tmp_path, capsys):
    made = Made(tmp_path, MODELS[:1])
    for name in made.sources.sources:
        path = made.sources.path(name)
        good = path.read_bytes()
        path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        capsys.readouterr()
        assert run(made.words(MODELS[0])) == 2
        said = capsys.readouterr().err
        assert len(said.splitlines()) == 1
        assert f"{path}: differs from its pin" in said
        path.write_bytes(good)
    assert not (tmp_path / "c.jsonl").exists()
    assert not (tmp_path / "store" / "sha256").exists()


def test_runs_under_the_wrong_name_are_refused(tmp_path):
    made = Made(tmp_path, MODELS[:2])
    text = made.table.read_text(encoding="utf-8")
    text = text.replace(MODELS[0] + "/", "X/").replace(
        f"transcripts/{MODELS[1]}/", "transcripts/Y/"
    )
    made.table.write_text(text, encoding="utf-8")
    made.sources = place_from(tmp_path / "mirror", made.table, tmp_path / "sources")
    with pytest.raises(UserError, match=rf"config\.json: is of {MODELS[1]} under pro_ic, not of Y"):
        made.transcribe("Y")


def test_models_and_interventions_that_were_not_published_are_named(all_models):
    with pytest.raises(UserError, match=r"no published run of Other .*it has: none"):
        runs_of(all_models.sources, "Other", ["pro"])
    with pytest.raises(UserError, match=rf"{MODELS[0]} has the intervention mild .*anti"):
        runs_of(all_models.sources, MODELS[0], ["mild"])


def test_another_suffix_than_the_pinned_one_is_refused(tmp_path):
    made = Made(tmp_path, MODELS[:1])
    text = made.suffixes.read_text()
    made.suffixes.write_text(re.sub(r"(pro,\d+,)..", r"\g<1>ff", text))
    with pytest.raises(UserError, match="the suffix of pro is not the published one"):
        made.transcribe(MODELS[0])
    made.suffixes.write_text("intervention,characters,sha256\n")
    with pytest.raises(UserError, match="pinned no characters"):
        made.transcribe(MODELS[0])


@pytest.mark.parametrize("intervention", ["pro", "anti"])
def test_the_suffix_is_recovered_from_any_run(all_models, intervention, capsys):
    made, output = all_models, all_models.root / "suffix.txt"
    words = ["suffix", intervention, "--output", str(output)]
    words += ["--sources", str(made.root / "sources"), "--sources-table", str(made.table)]
    assert run([*words, "--suffixes", str(made.suffixes)]) == 0
    assert output.read_text(encoding="utf-8").strip() == SUFFIXES[MODES[intervention]]


def test_a_suffix_that_was_not_published_or_fetched_is_told(tmp_path, capsys):
    made = Made(tmp_path, MODELS[:1])
    assert run(["suffix", "none", "--output", str(tmp_path / "x")]) == 2
    suite = load_instrumentaleval(made.sources)
    with pytest.raises(UserError, match="no published run has the intervention mild"):
        recover_suffix(made.sources, suite, "mild", made.suffixes)
    made.sources.path(f"transcripts/{MODELS[0]}/pro_ic/stdout.log").unlink()
    with pytest.raises(UserError, match="steerability fetch transcripts/"):
        recover_suffix(made.sources, suite, "pro", made.suffixes)


@NEEDS_MIRROR
def test_the_published_runs_at_hand_have_the_published_counts(tmp_path):
    """Convergence and valid counts, and refusals, of protocol's table (arXiv 2601.01584)."""
    import csv

    with (REPOSITORY / "workflow/reference/table1_published.csv").open(encoding="utf-8") as file:
        published = {row["model"]: row for row in csv.DictReader(file)}
    real = place_from(MIRROR, REPOSITORY / "config" / "sources.csv", tmp_path / "sources")
    suite = load_instrumentaleval(real)
    present = [one for one in published_runs(real.sources) if real.path(one.log).is_file()]
    assert present
    for one in present:
        parsed = runs_module.read_run(
            real, one, suite, REPOSITORY / "workflow/reference/suffixes.csv"
        )
        labels = [record.label for record in parsed.records]
        row = published[one.model.lower().removesuffix("-2507")]
        name = one.intervention
        assert labels.count("convergence") == int(row[f"{name}_converged"])
        assert len(labels) - labels.count("nonsensical") == int(row[f"{name}_valid"])
        assert labels.count("safety_refusal") == int(row[f"{name}_refused"])
        # protocol: 273 characters after the scenario for pro, 899 for anti
        steered_by = {"pro": 273, "none": 0, "anti": 899}[name]
        assert {len(r.prompt) - len(r.scenario.prompt) for r in parsed.records} == {steered_by}


@NEEDS_MIRROR
def test_the_published_logs_at_hand_are_written_again_to_the_byte(tmp_path):
    real = place_from(MIRROR, REPOSITORY / "config" / "sources.csv", tmp_path / "sources")
    suite = load_instrumentaleval(real)
    blocks = [(title, [s.prompt for s in found]) for title, found in benchmarks_of(suite)]
    suffixes = REPOSITORY / "workflow/reference/suffixes.csv"
    for one in published_runs(real.sources):
        if not real.path(one.log).is_file():
            continue
        parsed = runs_module.read_run(real, one, suite, suffixes)
        replies = [
            Reply(r.answer, r.label, r.reason, f"{r.thinking}</think>" if r.thinking else "")
            for r in parsed.records
        ]
        again = log(one.model, MODES[one.intervention], blocks, replies, parsed.suffix.text)
        original = real.text(one.log)
        assert again.partition("\n")[2] == original.partition("\n")[2]


def test_sources_of_another_layout_hold_no_runs(tmp_path):
    table = write_mirror(tmp_path, models=())
    assert published_runs(SourceFolder(table, tmp_path).sources) == []
