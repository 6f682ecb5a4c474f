"""Which image each stage of a run is made in, and what the run's containers see."""

from pathlib import Path

from steerability.config.catalogue import ApiJudge, GgufModel, Judge, LlmJudge
from steerability.config.model import Config
from steerability.fetch.weights import candidates
from steerability.inputs.files import named_files, wanted_pins
from steerability.inputs.texts import places_of
from steerability.rules.binds import bind_words, weight_sources

ANALYSIS = "analysis"
ENGINE = "engine"


def image_file(home: Path, name: str, *, gpu: bool) -> Path:
    """Return the image of that name, built by ``make containers``.

    Args:
        home: the repository.
        name: ``engine`` or ``analysis``.
        gpu: the engine's image for NVIDIA cards.
    """
    name = f"{name}-cuda" if name == ENGINE and gpu else name
    return home / "containers" / "images" / f"{name}.sif"


def judge_image(judge: Judge) -> str | None:
    """Return the image that a judge labels in; None for an endpoint, which needs the network."""
    if isinstance(judge, ApiJudge):
        return None
    return ENGINE if isinstance(judge, LlmJudge) else ANALYSIS


def images_of(config: Config, home: Path, *, gpu: bool) -> list[Path]:
    """Return the images that the rules of a run name.

    Args:
        config: the run.
        home: the repository.
        gpu: jobs have an NVIDIA card.
    """
    judges = {judge_image(config.catalogue.judges[use.judge]) for use in config.judges}
    wanted = {name for name in judges if name} | {ANALYSIS}
    models = (config.catalogue.models[name] for name in config.models)
    if config.outputs == "generate" and any(isinstance(model, GgufModel) for model in models):
        wanted.add(ENGINE)
    return [image_file(home, name, gpu=gpu) for name in sorted(wanted)]


def binds_of(config: Config, home: Path, work: Path) -> tuple[str, ...]:
    """Return Apptainer's options for what a run reads and writes outside its working directory.

    Args:
        config: the run.
        home: the repository.
        work: the working directory.

    Raises:
        UserError: the weights table has no row for a weight of the run.
    """
    places = places_of(config, home)
    pins = wanted_pins(config, home)
    # what `fetch` may link to: the links are made after the containers' options are
    found = [path for pin in pins for path, _ in candidates(pin, places)]
    folders = (config.results, config.store, config.weights_dir, config.sources.folder)
    return bind_words(
        work,
        writable=map(Path, folders),
        readable=[
            home,
            *weight_sources(places.folder, found),
            *places.search,
            *named_files(config, home),
        ],
    )
