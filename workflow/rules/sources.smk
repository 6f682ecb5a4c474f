# Outside files: where they come from, which ones a run reads, and what it lacks before it starts.

from steerability.inputs.files import intervention_files, recovered_suffixes
from steerability.inputs.texts import suffix_run
from steerability.inputs.outside import to_fetch
from steerability.suites.instrumentaleval import ORDER, source_name
from steerability.inputs.availability import digest_of_pins
from steerability.transcripts.layout import MODES


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
    words = []
    if entry.kind == "instrumentaleval":
        words += ["--instrumentaleval", entry.selection, read_sources_from()]
    if CONFIG.scenarios_per_category:
        words += ["--per-category", str(CONFIG.scenarios_per_category)]
    return " ".join(words)


def run_names(published, mode):
    return [f"transcripts/{published}/{mode}/{file}" for file in ("stdout.log", "config.json")]


def suffix_log(mode):
    """The run that a published suffix is recovered from: one of this run's, or one at hand."""
    own = [run for runs in AT_HAND.runs.values() for run in runs] if AT_HAND else []
    mirror = CONFIG.sources.mirror and Path(CONFIG.sources.mirror)
    return suffix_run(SOURCE_FOLDER, mode, mirror, own)


def intervention_texts():
    """Name → file of the text, as named or recovered; nothing for no suffix."""
    files = {name: str(path) for name, path in intervention_files(CONFIG, HOME).items()}
    for name, mode in recovered_suffixes(CONFIG).items():
        files[name] = f"{CONFIG.sources.folder}/suffixes/{mode}.txt"
    return {name: files.get(name, "") for name in CONFIG.interventions}


def intervention_contents():
    """The digest of the texts that the config names; recovered ones follow from pinned files."""
    return contents(*intervention_files(CONFIG, HOME).values())


def intervention_inputs():
    return [text for text in intervention_texts().values() if text]


def runs_of(name):
    return AT_HAND.runs[name]


def run_files(name):
    return [source_file(file) for file in files_of(runs_of(name))]


def run_pins(name):
    return pins(files_of(runs_of(name)))


def wanted_files():
    """Names of the outside files that this run reads."""
    runs = [suffix_log(mode) for mode in recovered_suffixes(CONFIG).values()]
    runs += [run for chosen in TRAINING_RUNS.values() for run in chosen]
    runs += [run for name in CONFIG.models if AT_HAND for run in runs_of(name)]
    suite = suite_sources() if suite_files() or runs else []
    return list(dict.fromkeys(suite + files_of(runs)))


def show_outside():
    """Say in the main process, of a dry run too, what is to be fetched, and what is not to be had."""
    if workflow.is_main_process:
        lines = to_fetch(CONFIG, HOME, SOURCE_FOLDER, wanted_files())
        for line in filter(None, [*lines, LEARNT.remark]):
            print(line, file=sys.stderr)


with exit_if_wrong():
    show_outside()
