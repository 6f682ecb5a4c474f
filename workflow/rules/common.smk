import os
import shlex
import sys
from pathlib import Path

HOME = Path(os.path.relpath(workflow.basedir))
sys.path.insert(0, str(Path(workflow.basedir) / "workflow"))

from steerability.canonical import canonical_json
from steerability.config.inputs import check_inputs
from steerability.config.load import check_config
from steerability.config.model import EndpointModel
from steerability.containers.binds import bind_words, weight_sources
from steerability.containers.preflight import preflight
from steerability.errors import UserError
from steerability.fetch.package import installed_file
from steerability.fetch.pins import read_pins
from steerability.fetch.sources import read_sources
from steerability.suites.instrumentaleval import ORDER, source_name
from steerability.transcripts.availability import at_hand, digest_of_pins
from steerability.transcripts.layout import MODES
from steerability.transcripts.runs import published_runs

try:
    CONFIG = check_config(dict(config))
    WEIGHTS = read_pins(HOME / CONFIG.sources.weights)
    SOURCES = read_sources(HOME / CONFIG.sources.index)
    TRANSCRIPTS = CONFIG.outputs == "transcripts"
    AT_HAND = at_hand(CONFIG, HOME / CONFIG.sources.index) if TRANSCRIPTS else None
    CONFIG = AT_HAND.config if AT_HAND else CONFIG
    check_inputs(CONFIG, HOME)
except UserError as error:
    print(f"steerability: {error}", file=sys.stderr)
    sys.exit(2)

RUN = f"{CONFIG.results}/{CONFIG.run}"
SHARDS = [f"{shard:03d}" for shard in range(CONFIG.shards)]


wildcard_constraints:
    model="|".join(map(re.escape, CONFIG.models)),
    judge="|".join(re.escape(chosen.judge) for chosen in CONFIG.judges),
    shard=r"\d{3}",


# In a container the image's python and its packages are used, outside the one that runs Snakemake.
shell.prefix(
    '[ -n "${{APPTAINER_CONTAINER:-}}" ] || '
    f"export PATH={Path(sys.executable).parent}:$PATH; "
    f"export PYTHONPATH={Path(workflow.basedir) / 'workflow'} PYTHONHASHSEED=0; "
)


def code(*rooms):
    """Files of the package that decide a stage's result: Snakemake does not track imports."""
    package = HOME / "workflow" / "steerability"
    kinds = {".py", ".j2", ".css", ".js"}
    paths = (path for room in rooms for path in (package / room).glob("*"))
    return sorted(str(path) for path in paths if path.suffix in kinds)


DEPLOYMENT = workflow.deployment_settings
IN_CONTAINERS = "apptainer" in {str(method) for method in DEPLOYMENT.deployment_method}
GPU = "--nv" in (DEPLOYMENT.apptainer_args or "").split()


def all_cores():
    """Threads of the jobs that use a whole machine, shared among its graphics cards.

    On a cluster the profile's set-threads says.
    """
    cards = workflow.global_resources.get("gpu", 1) if GPU else 1
    return max(1, (workflow.resource_settings.cores or 8) // max(1, cards))


def memory_mb(weights):
    """Memory, in MB, of a job that loads weights: their size, its cache beside them, and Python.

    A size that is not known yet (`steerability lock`) counts as that of the largest pinned model.
    """
    size = (WEIGHTS[weights].bytes or 20_000_000_000) if weights else 0
    return 4000 + round(1.25e-6 * size)


def image(name):
    """The Apptainer image of a stage, built by `make containers`."""
    name = "engine-cuda" if name == "engine" and GPU else name
    return str(HOME / "containers" / "images" / f"{name}.sif")


def judge_image_of(name):
    entry = judge(name)
    if getattr(entry, "url", None):
        return None
    return image("engine" if getattr(entry, "weights", None) else "analysis")


def judge_image(wildcards):
    """Judges with weights need the engine, those without the analysis packages, APIs the network."""
    return judge_image_of(wildcards.judge)


def images():
    """The images that the rules of this run name."""
    if not IN_CONTAINERS:
        return []
    wanted = {judge_image_of(chosen.judge) for chosen in CONFIG.judges} | {image("analysis")}
    if CONFIG.outputs == "generate" and not all(map(is_endpoint, CONFIG.models)):
        wanted.add(image("engine"))
    return [Path(path) for path in wanted - {None}]


def files_of_config():
    """Files that the config names, wherever they lie."""
    templates = [file for name in CONFIG.models for file in template_input(name)]
    rubrics = [getattr(judge(chosen.judge), "rubric", None) for chosen in CONFIG.judges]
    return [
        *suite_file(),
        *suite_files(),
        *intervention_inputs(),
        *templates,
        *(str(HOME / rubric) for rubric in filter(None, rubrics)),
    ]


def check_host():
    """Fail now, with one line, for what would fail later; let containers see what they need."""
    # A cluster's jobs bring their own host, where this is read again.
    here = workflow.resource_settings.cores is not None or workflow.remote_exec
    preflight(images=images(), store=Path(CONFIG.store), gpu=GPU and here)
    installed = [installed_file(pin) for pin in WEIGHTS.values() if pin.source == "package"]
    words = bind_words(
        Path.cwd(),
        writable=[Path(CONFIG.results), Path(CONFIG.store), Path(CONFIG.weights_dir)],
        readable=[
            Path(workflow.basedir),
            *weight_sources(Path(CONFIG.weights_dir), filter(None, installed)),
            *map(Path, files_of_config()),
        ],
    )
    options = " ".join(map(shlex.quote, words))
    if IN_CONTAINERS and options not in (DEPLOYMENT.apptainer_args or ""):
        DEPLOYMENT.apptainer_args = f"{DEPLOYMENT.apptainer_args or ''} {options}"


def spec(record):
    """A part of the config as canonical JSON, to be passed to a verb and tracked as a parameter."""
    return canonical_json(record.model_dump(mode="json")).decode()


def repeat(option, files):
    return " ".join(f"{option} {file}" for file in files)


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
    generated = CONFIG.outputs == "generate"
    shards = [f"{name}/{shard}.jsonl" for name in CONFIG.models for shard in SHARDS]
    return [
        f"{RUN}/suite.json",
        f"{RUN}/interventions.jsonl",
        *(
            f"{RUN}/{kind}/{path}"
            for kind in ("requests", "outputs")
            for path in shards
            if generated
        ),
        *completion_files(),
        *label_files(),
        f"{RUN}/cells.csv",
        *rules.figures.output,
        f"{RUN}/index.html",
    ]


def final_targets():
    return [f"{RUN}/manifest.json"]


def source_file(name):
    return f"{CONFIG.sources.folder}/{name}"


def from_sources():
    """Where `fetch` takes files from."""
    mirror = CONFIG.sources.mirror
    words = ["--sources-table", HOME / CONFIG.sources.index, "--output-dir", CONFIG.sources.folder]
    words += ["--mirror", mirror] if mirror else ["--base-url", CONFIG.sources.base_url]
    return shlex.join(map(str, words))


def read_sources_from():
    """Where the fetched files are, and what they must be."""
    words = ["--sources-table", HOME / CONFIG.sources.index, "--sources", CONFIG.sources.folder]
    return shlex.join(map(str, words))


def pins(names):
    return digest_of_pins(SOURCES, names)


def suite_sources():
    return [source_name(category) for category in ORDER]


def suite_file():
    """The suite's own file; none for the published suite."""
    path = getattr(CONFIG.catalogue.suites[CONFIG.suite], "path", None)
    return [str(HOME / path)] if path else []


def suite_files():
    """The fetched files of the published suite; none for one of this project's format."""
    entry = CONFIG.catalogue.suites[CONFIG.suite]
    return [source_file(name) for name in suite_sources() if entry.kind == "instrumentaleval"]


def suite_options():
    entry = CONFIG.catalogue.suites[CONFIG.suite]
    if entry.kind == "instrumentaleval":
        return f"--instrumentaleval {entry.selection} {read_sources_from()}"
    return ""


def run_names(published, mode):
    return [f"transcripts/{published}/{mode}/{file}" for file in ("stdout.log", "config.json")]


def suffix_run(intervention):
    """The run that a published suffix is recovered from: one of this run's, or one at hand."""
    mirror = CONFIG.sources.mirror
    own = [run for runs in AT_HAND.runs.values() for run in runs] if AT_HAND else []
    runs = [run for run in own + published_runs(SOURCES) if run.intervention == intervention]
    held = [run for run in runs if not mirror or (Path(mirror) / SOURCES[run.log].path).is_file()]
    return (held or runs)[0]


def intervention_text(text):
    """File of a text: as named, or recovered where it is `published:LABEL`; empty for none."""
    label = text.removeprefix("published:")
    if label != text:
        names = {mode: name for name, mode in MODES.items()}
        return f"{CONFIG.sources.folder}/suffixes/{names.get(label, label)}.txt"
    return str(HOME / text) if text else ""


def intervention_texts():
    """Name → file of the text, or nothing for no suffix."""
    texts = {name: CONFIG.catalogue.interventions[name] for name in CONFIG.interventions}
    return {name: intervention_text(text) for name, text in texts.items()}


def intervention_inputs():
    return [text for text in intervention_texts().values() if text]


def template_input(name):
    template = getattr(model(name), "template", "gguf")
    return [] if template in ("gguf", "none") else [str(HOME / template)]


def weights_digest(name):
    digest = WEIGHTS[name].sha256
    return f"--weights-sha256 {digest}" if digest else ""


def judges_of_kind(kind):
    return [use.judge for use in CONFIG.judges if judge(use.judge).kind == kind]


DISTILS = bool(judges_of_kind("distilled"))
TRAINING = RUN if TRANSCRIPTS else f"{RUN}/training"


def training_runs():
    """Published model → its runs at hand, for a run that generates and has a trained judge."""
    if TRANSCRIPTS or not DISTILS:
        return {}
    mirror = CONFIG.sources.mirror
    runs = {}
    for run in published_runs(SOURCES):
        if not mirror or (Path(mirror) / SOURCES[run.log].path).is_file():
            runs.setdefault(run.model, []).append(run)
    return runs


TRAINING_RUNS = training_runs()


def training_files(published):
    return [source_file(f) for run in TRAINING_RUNS[published] for f in (run.log, run.settings)]


def training_completions():
    own = expand(f"{TRAINING}/completions/{{name}}.jsonl", name=TRAINING_RUNS)
    return completion_files() if TRANSCRIPTS else own


def published_label_files():
    return expand(f"{RUN}/labels/{published_judge()}/{{model}}.jsonl", model=CONFIG.models)


def training_labels():
    own = expand(f"{TRAINING}/labels/published/{{name}}.jsonl", name=TRAINING_RUNS)
    return published_label_files() if TRANSCRIPTS else own


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
    return " ".join(words)


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


def runs_of(name):
    return AT_HAND.runs[name]


def run_files(name):
    return [source_file(file) for run in runs_of(name) for file in (run.log, run.settings)]


def run_pins(name):
    return pins([file for run in runs_of(name) for file in (run.log, run.settings)])


def absent_remark():
    """What a table of published outputs must say that it lacks."""
    absent = AT_HAND.absent if AT_HAND else ""
    return ["--remark", f"Not in the mirror, so not in this table: {absent}."] if absent else []


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


try:
    check_host()
except UserError as error:
    print(f"steerability: {error}", file=sys.stderr)
    sys.exit(2)
