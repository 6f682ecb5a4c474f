import os
import re
import shlex
import sys
from pathlib import Path

HOME = Path(os.path.relpath(workflow.basedir))
sys.path.insert(0, str(Path(workflow.basedir) / "workflow"))

from steerability.config.load import check_config
from steerability.config.catalogue import EndpointModel
from steerability.config.study import judges_of, models_of, study_of
from steerability.fetch.pins import read_pins
from steerability.fetch.sources import SourceFolder
from steerability.inputs.availability import at_hand, training
from steerability.inputs.files import check_inputs, judge_names, suites_of
from steerability.plan.requests import plan_spec
from steerability.report.figures.names import figures_of
from steerability.rules.code import code_of
from steerability.rules.contents import digest_of_contents, input_digests
from steerability.rules.options import endpoint_options, judge_options, repeat
from steerability.support.canonical import canonical_json
from steerability.support.console import forgiving_streams
from steerability.support.errors import UserError, exit_if_wrong
from steerability.transcripts.runs import files_of, published_runs

forgiving_streams()

with exit_if_wrong():
    if "{" in str(HOME) or "}" in str(HOME):
        raise UserError("holds a brace, which Snakemake takes for a wildcard", where=HOME)
    CONFIG = check_config(dict(config))
    WEIGHTS = read_pins(HOME / CONFIG.sources.weights)
    SOURCE_FOLDER = SourceFolder(HOME / CONFIG.sources.index, Path(CONFIG.sources.folder))
    SOURCES = SOURCE_FOLDER.sources
    TRANSCRIPTS = CONFIG.outputs == "transcripts"
    AT_HAND = at_hand(CONFIG, HOME / CONFIG.sources.index) if TRANSCRIPTS else None
    CONFIG = AT_HAND.config if AT_HAND else CONFIG
    LEARNT = training(CONFIG, SOURCES, SOURCE_FOLDER.table)
    TRAINING_RUNS = LEARNT.runs
    check_inputs(CONFIG, HOME)


def absent_remark():
    """What a table must say that the mirror lacks: outputs, or what its judge would learn from."""
    absent = AT_HAND.absent if AT_HAND else ""
    return f"Not in the mirror, so not in this table: {absent}." if absent else LEARNT.remark


STUDY = study_of(CONFIG, absent_remark())
RUN = f"{CONFIG.results}/{CONFIG.run}"
SHARDS = [f"{shard:03d}" for shard in range(CONFIG.shards)]
GENERATED = [task.name for task in STUDY.labelled]
CHOSEN = [task.name for task in STUDY.chosen]
JUDGES = judge_names(CONFIG)


def one_of(names):
    """A wildcard constraint; a run without such names has a rule that fits nothing."""
    return "|".join(map(re.escape, names)) or "(?!)"


wildcard_constraints:
    task=one_of([task.name for task in STUDY.tasks]),
    model=one_of(CONFIG.models),
    judge=one_of(JUDGES),
    suite=one_of(suites_of(CONFIG)),
    shard=r"\d{3}",


def code(*verbs):
    """Files of the package that decide what a rule's verbs make; it reruns when they change."""
    package = HOME / "workflow" / "steerability"
    return sorted({str(path) for verb in verbs for path in code_of(verb, package)})


def contents(*paths):
    """One digest over files: a rule reruns when a content changes, whatever the times say."""
    with exit_if_wrong():
        return digest_of_contents(paths)


def code_contents(*verbs):
    """The same over the files of the package that decide what a rule's verbs make."""
    return contents(*code(*verbs))


def spec(record):
    """A record as canonical JSON, to be passed to a verb and tracked as a parameter."""
    return canonical_json(record.model_dump(mode="json")).decode()


def study(*without):
    """The run's study for a verb, less the fields that do not concern it."""
    return spec(STUDY.less(*without))


def suite_json(name):
    return f"{RUN}/suites/{name}.json"


def suite_words():
    """`--suite NAME=FILE` for every suite of the run."""
    return repeat("--suite", [f"{name}={suite_json(name)}" for name in suites_of(CONFIG)])


def suite_jsons():
    return [suite_json(name) for name in suites_of(CONFIG)]


def cell_file(task, name):
    folder = "choices" if task in CHOSEN else "responses"
    return f"{RUN}/{folder}/{task}/{name}.jsonl"


def cell_files(tasks):
    return [cell_file(task, name) for task in tasks for name in models_of(CONFIG, task)]


def response_files():
    return cell_files(GENERATED)


def choice_files():
    return cell_files(CHOSEN)


def label_files():
    return [
        f"{RUN}/labels/{task}/{use.judge}/{name}.jsonl"
        for task in GENERATED
        for use in judges_of(CONFIG, task)
        for name in models_of(CONFIG, task, use)
    ]


def scale_of(task):
    return spec(STUDY.scale(STUDY.task(task).scale))


def named_contents():
    """Path and digest of every file that the config names, as JSON, for the manifest."""
    with exit_if_wrong():
        return canonical_json(input_digests(CONFIG, HOME)).decode()


def published_files():
    """Everything that the manifest digests, besides the tables."""
    return [
        *suite_jsons(),
        f"{RUN}/interventions.jsonl",
        *response_files(),
        *choice_files(),
        *label_files(),
        *rules.score.output,
        *rules.figures.output,
        f"{RUN}/index.html",
    ]


def final_targets():
    return [f"{RUN}/manifest.json"]


def reported(name, title, category="Tables"):
    """A published file in `snakemake --report`, its caption by the file's own name."""
    return report(
        f"{RUN}/{name}",
        caption=f"../report/{Path(name).stem}.rst",
        category=category,
        labels={"name": title},
    )


def show_result():
    """The last thing a person sees: the table, and where it and the rest are."""
    table = Path(RUN) / "table1.md"
    if table.exists():
        print(f"\n{table.read_text(encoding='utf-8')}\nTable 1: {table}\nEverything: {RUN}/")
