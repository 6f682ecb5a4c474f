import os
import shlex
import sys
from pathlib import Path

HOME = Path(os.path.relpath(workflow.basedir))
sys.path.insert(0, str(Path(workflow.basedir) / "workflow"))

from steerability.support.canonical import canonical_json
from steerability.inputs.files import check_inputs
from steerability.config.load import check_config
from steerability.config.model import EndpointModel
from steerability.support.console import forgiving_streams
from steerability.support.errors import UserError, exit_if_wrong
from steerability.fetch.pins import read_pins
from steerability.fetch.sources import SourceFolder
from steerability.rules.code import code_of
from steerability.rules.contents import digest_of_contents, input_digests
from steerability.inputs.availability import at_hand, training
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

RUN = f"{CONFIG.results}/{CONFIG.run}"
SHARDS = [f"{shard:03d}" for shard in range(CONFIG.shards)]


wildcard_constraints:
    model="|".join(map(re.escape, CONFIG.models)),
    judge="|".join(re.escape(chosen.judge) for chosen in CONFIG.judges),
    shard=r"\d{3}",


def code(*verbs):
    """Files of the package that decide what a rule's verbs make; it reruns when they change."""
    package = HOME / "workflow" / "steerability"
    return sorted({str(path) for verb in verbs for path in code_of(verb, package)})


def contents(*paths):
    """One digest over files that the config names: a rule reruns when a content changes.

    Times do not tell: a file may be replaced by one that is older.
    """
    with exit_if_wrong():
        return digest_of_contents(paths)


def code_contents(*verbs):
    """The same over the files of the package that decide what a rule's verbs make."""
    return contents(*code(*verbs))


def spec(record):
    """A part of the config as canonical JSON, to be passed to a verb and tracked as a parameter."""
    return canonical_json(record.model_dump(mode="json")).decode()


def repeat(option, values):
    """An option before each of its values, quoted for the shell."""
    return shlex.join(word for value in values for word in (option, str(value)))


def model(name):
    return CONFIG.catalogue.models[name]


def judge(name):
    return CONFIG.catalogue.judges[name]


def is_endpoint(name):
    return isinstance(model(name), EndpointModel)


def endpoint_models():
    return [name for name in CONFIG.models if is_endpoint(name)]


def gguf_models():
    return [name for name in CONFIG.models if not is_endpoint(name)]


def one_of(names):
    """A wildcard constraint; a run without such names has a rule that fits nothing."""
    return "|".join(map(re.escape, names)) or "(?!)"


def endpoint_options(name):
    entry = model(name)
    words = ["--url", entry.url, "--model", entry.model, "--limit-field", entry.limit_field]
    words += ["--concurrency", str(entry.concurrency)]
    return shlex.join(words + (["--key-env", entry.key_env] if entry.key_env else []))


def weights_file(name):
    """A link to the weights, which lie beside it under their digest.

    Snakemake deletes the outputs of a job before it runs it: that must not be gigabytes.
    """
    return f"{CONFIG.weights_dir}/{name}.gguf"


def judged_models(name):
    chosen = next(chosen for chosen in CONFIG.judges if chosen.judge == name)
    return chosen.models or CONFIG.models


def label_files():
    return [
        f"{RUN}/labels/{chosen.judge}/{name}.jsonl"
        for chosen in CONFIG.judges
        for name in judged_models(chosen.judge)
    ]


def completion_files():
    return expand(f"{RUN}/completions/{{model}}.jsonl", model=CONFIG.models)


def judge_notes():
    """`--note JUDGE=TEXT` for every judge whose figures need a warning beside them."""
    return [
        word
        for chosen in CONFIG.judges
        if judge(chosen.judge).note
        for word in ("--note", f"{chosen.judge}={judge(chosen.judge).note}")
    ]


def published_files():
    """Everything that the manifest digests, besides the tables."""
    return [
        f"{RUN}/suite.json",
        f"{RUN}/interventions.jsonl",
        *completion_files(),
        *label_files(),
        f"{RUN}/cells.csv",
        *rules.figures.output,
        f"{RUN}/index.html",
    ]


def final_targets():
    return [f"{RUN}/manifest.json"]


def template_input(name):
    template = getattr(model(name), "template", "gguf")
    return [] if template in ("gguf", "none") else [str(HOME / template)]


def weights_digest(name):
    digest = WEIGHTS[name].sha256
    return f"--weights-sha256 {digest}" if digest else ""


def judges_of_kind(kind):
    return [use.judge for use in CONFIG.judges if judge(use.judge).kind == kind]


DISTILS = bool(judges_of_kind("distilled"))
TRAINING = f"{RUN}/training"
TRAINING_SUITE = f"{RUN if TRANSCRIPTS else TRAINING}/suite.json"


def training_files(published):
    return [source_file(name) for name in files_of(TRAINING_RUNS[published])]


def published_label_files(names=CONFIG.models):
    return expand(f"{RUN}/labels/{published_judge()}/{{model}}.jsonl", model=names)


def training_tables():
    """Completions, then labels, that the distilled judge learns from."""
    completions = expand(f"{RUN}/completions/{{name}}.jsonl", name=LEARNT.own)
    labels = published_label_files(LEARNT.own)
    completions += expand(f"{TRAINING}/completions/{{name}}.jsonl", name=TRAINING_RUNS)
    labels += expand(f"{TRAINING}/labels/published/{{name}}.jsonl", name=TRAINING_RUNS)
    return completions, labels


def training_pins():
    """One digest over everything that is pinned of the models that the judge learns from."""
    names = {model(name).transcripts for name in LEARNT.own} | set(TRAINING_RUNS)
    return pins(files_of(run for run in published_runs(SOURCES) if run.model in names))


def distilled_files(name):
    """What a trained judge is: its file, and in a replay its labels on cells it did not see."""
    if judge(name).kind != "distilled":
        return []
    files = [f"{RUN}/distilled/distilled.json", f"{RUN}/distilled/out_of_fold.jsonl"]
    return files if TRANSCRIPTS else files[:1]


def judge_inputs(name):
    """The rubric and the weights of a judge, as far as it has them."""
    entry = judge(name)
    rubric = getattr(entry, "rubric", None)
    weights = getattr(entry, "weights", None)
    files = [str(HOME / rubric)] if rubric else []
    return files + ([weights_file(weights)] if weights else []) + distilled_files(name)


def named_contents():
    """Path and digest of every file that the config names, as JSON, for the manifest."""
    with exit_if_wrong():
        return canonical_json(input_digests(CONFIG, HOME)).decode()


def judge_contents(name):
    """The digest of a judge's rubric, where it has one."""
    rubric = getattr(judge(name), "rubric", None)
    return contents(*([HOME / rubric] if rubric else []))


def judge_options(name):
    entry = judge(name)
    rubric = getattr(entry, "rubric", None)
    weights = getattr(entry, "weights", None)
    words = ["--definition", str(HOME / rubric)] if rubric else []
    words += ["--weights", weights_file(weights)] if weights else []
    if entry.kind == "api":
        words += ["--url", entry.url, "--model", entry.model, "--parallel", str(entry.concurrency)]
        words += ["--key-env", entry.key_env] if entry.key_env else []
        for option in ("prompt_price", "completion_price"):
            price = getattr(entry, option)
            words += [f"--{option.replace('_', '-')}", str(price)] if price is not None else []
    for option, path in zip(("--weights", "--held-out"), distilled_files(name)):
        words += [option, path]
    words += ["--blind"] if getattr(entry, "blind", False) else []
    return shlex.join(words)


def judge_weights(name):
    return getattr(judge(name), "weights", None)


def judge_threads(name):
    return all_cores() if judge_weights(name) else 1


def published_judge():
    """The folder that published labels go to: the name of their judge."""
    named = (use.judge for use in CONFIG.judges if judge(use.judge).kind == "published")
    return next(named, "published")


def generated_judges():
    """Judges that label completions here; the published labels come with the transcripts."""
    kinds = {use.judge: judge(use.judge).kind for use in CONFIG.judges}
    return [name for name, kind in kinds.items() if kind != "published"]


def absent_remark():
    """What a table must say that the mirror lacks: outputs, or what its judge would learn from."""
    absent = AT_HAND.absent if AT_HAND else ""
    remark = f"Not in the mirror, so not in this table: {absent}." if absent else LEARNT.remark
    return ["--remark", remark] if remark else []


def measured():
    """agreement.csv and calibration.csv, in this order, where a rule of this run makes them."""
    made = any(rule.name == "agreement" for rule in workflow.rules)
    return list(rules.agreement.output) if made else []


def figure_names():
    """What is drawn of this run; judges' agreement where it is measured."""
    always = "convergence delta outcomes categories flips ablations judges".split()
    return always + ("agreement confusion calibration".split() if measured() else [])


def figure_files():
    """The further tables that figures are drawn from, as options."""
    words = [
        word
        for option, path in zip(("--agreement", "--calibration"), measured())
        for word in (option, path)
    ]
    for name, path in CONFIG.analysis.ablations.items():
        words += ["--ablation", f"{name}={path}"]
    return words


def reported(name, title, category="Tables"):
    """A published file in `snakemake --report`, its caption by the file's own name."""
    return report(
        f"{RUN}/{name}",
        caption=f"../report/{Path(name).stem}.rst",
        category=category,
        labels={"name": title},
    )


def drawn():
    """Every figure as SVG, with its caption in the report, and as PNG."""
    names = figure_names()
    vector = [reported(f"figures/{name}.svg", name.capitalize(), "Figures") for name in names]
    return vector + [f"{RUN}/figures/{name}.png" for name in names]


def comparison():
    """The comparison with the published table, which goes with published outputs."""
    return [f"{RUN}/comparison.csv"] if TRANSCRIPTS else []


def show_result():
    """The last thing a person sees: the table, and where it and the rest are."""
    table = Path(RUN) / "table1.md"
    if table.exists():
        print(f"\n{table.read_text(encoding='utf-8')}\nTable 1: {table}\nEverything: {RUN}/")
