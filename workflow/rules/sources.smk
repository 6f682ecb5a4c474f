# Outside files: where they come from, which ones a run reads, and what it lacks before it starts.

from steerability.inputs.interventions import recipes_of, recovered_modes, text_files
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


def suite_file(name):
    """The suite's own file; none for the published suite."""
    path = getattr(CONFIG.catalogue.suites[name], "path", None)
    return [str(HOME / path)] if path else []


def suite_files(name):
    """The fetched files of the published suite; none for one of this project's format."""
    published = CONFIG.catalogue.suites[name].kind == "instrumentaleval"
    return [source_file(file) for file in suite_sources() if published]


def suite_options(name):
    entry = CONFIG.catalogue.suites[name]
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


def recovered_files():
    """File of each text that is recovered from a log, by its mode."""
    return {
        mode: f"{CONFIG.sources.folder}/suffixes/{mode}.txt" for mode in recovered_modes(CONFIG)
    }


def recipes():
    """What the run's interventions are made of."""
    return recipes_of(CONFIG, HOME, recovered_files())


def recipes_json():
    """What the run's interventions are made of, as JSON."""
    return canonical_json([recipe.model_dump(mode="json") for recipe in recipes()]).decode()


def adapter_files():
    """Control vectors and LoRA of the run's interventions, each once."""
    parts = [part for recipe in recipes() for part in recipe.parts]
    files = [part.file for part in parts if part.kind in ("vector", "lora")]
    return list(dict.fromkeys(files))


def intervention_contents():
    """The digest of the texts that the config names; recovered ones follow from pinned files."""
    return contents(*intervention_files(CONFIG, HOME).values())


def intervention_inputs():
    return list(
        dict.fromkeys(
            [*map(str, text_files(CONFIG, HOME)), *recovered_files().values(), *adapter_files()]
        )
    )


def runs_of(name):
    return AT_HAND.runs[name]


def run_files(name):
    return [source_file(file) for file in files_of(runs_of(name))]


def run_pins(name):
    return pins(files_of(runs_of(name)))


def wanted_files():
    """Names of the outside files that this run reads."""
    runs = [suffix_log(mode) for mode in recovered_modes(CONFIG)]
    runs += [run for chosen in TRAINING_RUNS.values() for run in chosen]
    runs += [run for name in CONFIG.models if AT_HAND for run in runs_of(name)]
    published = any(suite_files(name) for name in suites_of(CONFIG))
    suite = suite_sources() if published or runs else []
    return list(dict.fromkeys(suite + files_of(runs)))


def show_outside():
    """Say in the main process, of a dry run too, what is to be fetched, and what is not to be had."""
    if workflow.is_main_process:
        lines = to_fetch(CONFIG, HOME, SOURCE_FOLDER, wanted_files())
        for line in filter(None, [*lines, LEARNT.remark]):
            print(line, file=sys.stderr)


with exit_if_wrong():
    show_outside()
