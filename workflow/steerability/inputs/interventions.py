"""The interventions of a run: which texts and adapters they are made of, and reading them."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, TypeAdapter, ValidationError

from steerability.config.catalogue import FileAdapter
from steerability.config.interventions import (
    AdapterIntervention,
    ComposedIntervention,
    InterventionEntry,
    TextIntervention,
    TurnsIntervention,
    Variant,
    controlled,
)
from steerability.config.load import read_yaml_list
from steerability.config.model import Config
from steerability.protocol.base import Name, Record
from steerability.protocol.conversation import (
    Append,
    Edit,
    Message,
    Prefill,
    Prepend,
    System,
    Turns,
)
from steerability.protocol.intervention import Access, AdapterUse, Intervention, widest
from steerability.suites.load import load_intervention_text
from steerability.support.canonical import sha256_file
from steerability.support.errors import UserError
from steerability.support.jsonl import explain
from steerability.transcripts.layout import MODES

PUBLISHED = "published:"
_FAMILIES = {
    "append": "suffix",
    "prepend": "prefix",
    "system": "system",
    "prefill": "prefill",
    "turns": "turns",
    "vector": "direction",
    "lora": "lora",
}
_ACCESS: dict[str, Access] = {
    "append": "prompt",
    "prepend": "prompt",
    "system": "prompt",
    "prefill": "conversation",
    "turns": "conversation",
    "vector": "activations",
    "lora": "weights",
}


class Part(Record):
    """One edit or adapter of an intervention, its text still in a file.

    Attributes:
        kind: of the edit or adapter.
        file: the text, the turns or the adapter; empty for an empty text.
        place: of a system text.
        repeat: how often a text is said.
        strength: of an adapter.
        layers: of a vector.
        sha256: the digest that an adapter must have; None takes it as it is.
    """

    kind: Literal["append", "prepend", "system", "prefill", "turns", "vector", "lora"]
    file: str
    place: Literal["replace", "before", "after"] = "before"
    repeat: int = 1
    strength: float = 1.0
    layers: tuple[int, int] | None = None
    sha256: str | None = None


class Recipe(Record):
    """An intervention before its files are read; the verb ``interventions`` takes them as JSON."""

    name: Name
    family: Name
    strength: float | None = None
    control_of: Name | None = None
    parts: tuple[Part, ...] = Field(min_length=1)


def published_mode(text: str) -> str | None:
    """Return ``pro``, ``anti`` or ``none`` for a text ``published:LABEL``, else None.

    Raises:
        UserError: no published run has that label.
    """
    if not text.startswith(PUBLISHED):
        return None
    label = text.removeprefix(PUBLISHED)
    for name, mode in MODES.items():
        if mode == label:
            return name
    raise UserError(
        f"no published run is labelled {label}",
        where="catalogue.interventions",
        mend=f"use one of {', '.join(PUBLISHED + mode for mode in MODES.values())}",
    )


def entries_of(config: Config) -> dict[str, InterventionEntry]:
    """Return the entries that a run uses, by name, those that others are composed of too."""
    catalogue = config.catalogue.interventions
    found: dict[str, InterventionEntry] = {}
    for name in config.interventions:
        entry = catalogue[name]
        found[name] = entry
        if isinstance(entry, ComposedIntervention):
            found |= {part: catalogue[part] for part in entry.of}
    return found


def _texts(entry: InterventionEntry) -> tuple[str, ...]:
    if isinstance(entry, TextIntervention):
        return entry.wordings or (entry.text or "",)
    return (entry.messages,) if isinstance(entry, TurnsIntervention) else ()


def recovered_modes(config: Config) -> tuple[str, ...]:
    """Return ``pro`` or ``anti`` for every text of a run that is recovered from a log, each once.

    ``published:baseline`` is no suffix: nothing is recovered for it.

    Raises:
        UserError: no published run has that label.
    """
    texts = (text for entry in entries_of(config).values() for text in _texts(entry))
    modes = (published_mode(text) for text in texts)
    return tuple(dict.fromkeys(mode for mode in modes if mode and mode != "none"))


def text_files(config: Config, home: Path) -> list[Path]:
    """Return every file of the run's interventions that lies in the repository, each once.

    Args:
        config: the run.
        home: the repository, which the config's own files are relative to.
    """
    files = []
    for entry in entries_of(config).values():
        files += [home / t for t in _texts(entry) if t and published_mode(t) is None]
        if isinstance(entry, AdapterIntervention):
            adapter = config.catalogue.adapters[entry.adapter]
            files += [home / adapter.path] if isinstance(adapter, FileAdapter) else []
    return list(dict.fromkeys(files))


def recipes_of(config: Config, home: Path, recovered: Mapping[str, str]) -> tuple[Recipe, ...]:
    """Return the recipes of a run's interventions, in its order.

    Args:
        config: the run.
        home: the repository, which the config's own files are relative to.
        recovered: the file of each recovered text by its mode, ``pro`` or ``anti``.
    """
    resolver = _Resolver(config, home, recovered)
    return tuple(resolver.recipe(variant) for variant in config.variants())


class _Resolver:
    def __init__(self, config: Config, home: Path, recovered: Mapping[str, str]) -> None:
        self.config, self.home, self.recovered = config, home, recovered

    def recipe(self, variant: Variant) -> Recipe:
        entry = self.config.catalogue.interventions[variant.entry]
        catalogue = self.config.catalogue.interventions
        of = [entry]
        if isinstance(entry, ComposedIntervention):
            of = [catalogue[name] for name in entry.of]
        parts = tuple(self.part(one, variant) for one in of)
        kinds = list(dict.fromkeys(part.kind for part in parts))
        strength = variant.strength
        if strength is None and isinstance(entry, AdapterIntervention):
            strength = entry.strength if entry.strength is not None else 1.0
        if isinstance(entry, TextIntervention) and entry.repeat > 1:
            strength = float(entry.repeat)
        family = _FAMILIES[kinds[0]] if len(kinds) == 1 else "composed"
        return Recipe(
            name=variant.name,
            family=entry.family or family,
            strength=strength,
            control_of=controlled(variant, catalogue),
            parts=parts,
        )

    def part(self, entry: InterventionEntry, variant: Variant) -> Part:
        if isinstance(entry, AdapterIntervention):
            adapter = self.config.catalogue.adapters[entry.adapter]
            if isinstance(adapter, FileAdapter):
                path, digest = str(self.home / adapter.path), adapter.sha256
            else:
                path, digest = f"{self.config.weights_dir}/{adapter.weights}.gguf", None
            own = entry.strength if entry.strength is not None else 1.0
            return Part(
                kind=entry.kind,
                file=path,
                strength=own if variant.strength is None else variant.strength,
                layers=entry.layers,
                sha256=digest,
            )
        if isinstance(entry, TurnsIntervention):
            return Part(kind="turns", file=self.file(entry.messages))
        assert isinstance(entry, TextIntervention)
        text = entry.wordings[variant.number or 0] if entry.wordings else entry.text
        return Part(
            kind=entry.kind, file=self.file(text or ""), place=entry.place, repeat=entry.repeat
        )

    def file(self, text: str) -> str:
        mode = published_mode(text)
        if mode is not None:
            return "" if mode == "none" else self.recovered[mode]
        return str(self.home / text) if text else ""


def read_recipes(text: str) -> tuple[Recipe, ...]:
    """Return the recipes that a verb's ``--spec`` holds.

    Raises:
        UserError: it is no JSON or does not fit.
    """
    try:
        return TypeAdapter(tuple[Recipe, ...]).validate_json(text)
    except ValidationError as error:
        raise UserError(explain(error), where="--spec") from error


def load_recipe(recipe: Recipe) -> Intervention:
    """Read the files of a recipe and return the intervention.

    Raises:
        UserError: a file cannot be read, is empty, or has another digest than it must have.
    """
    edits: list[Edit] = []
    adapters: list[AdapterUse] = []
    for part in recipe.parts:
        if part.kind in ("vector", "lora"):
            adapters.append(_adapter(part))
        elif part.kind == "turns" or part.file:
            edits.append(_edit(recipe.name, part))
    return Intervention(
        name=recipe.name,
        family=recipe.family,
        access=widest(_ACCESS[part.kind] for part in recipe.parts),
        strength=recipe.strength,
        edits=tuple(edits),
        adapters=tuple(adapters),
        control_of=recipe.control_of,
    )


def _edit(name: str, part: Part) -> Edit:
    if part.kind == "turns":
        return _turns(Path(part.file))
    text = "\n\n".join([load_intervention_text(name, Path(part.file))] * part.repeat)
    if part.kind == "system":
        return System(text=text, place=part.place)
    kinds: dict[str, type[Append | Prepend | Prefill]] = {
        "append": Append,
        "prepend": Prepend,
        "prefill": Prefill,
    }
    return kinds[part.kind](text=text)


def _turns(path: Path) -> Turns:
    messages = tuple(_messages(path))
    try:
        return Turns(messages=messages)
    except ValidationError as error:
        raise UserError(
            explain(error), where=path, mend="user and assistant take turns, in pairs"
        ) from error


def _messages(path: Path) -> Iterator[Message]:
    for number, entry in enumerate(read_yaml_list(path), start=1):
        try:
            yield Message.model_validate(entry)
        except ValidationError as error:
            raise UserError(explain(error), where=f"{path} message {number}") from error


def _adapter(part: Part) -> AdapterUse:
    path = Path(part.file)
    try:
        digest = sha256_file(path)
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise UserError(reason.lower(), where=path, mend="correct the adapter's path") from error
    if part.sha256 not in (None, digest):
        raise UserError(
            f"the adapter has the digest {digest}, not {part.sha256}",
            where=path,
            mend="name the right file, or correct the digest",
        )
    kind: Literal["vector", "lora"] = "vector" if part.kind == "vector" else "lora"
    return AdapterUse(kind=kind, sha256=digest, strength=part.strength, layers=part.layers)


def adapter_files(recipes: Iterable[Recipe]) -> dict[str, str]:
    """Return the paths of adapters by their digest.

    Args:
        recipes: those of a run; their files are read.
    """
    files = [p.file for recipe in recipes for p in recipe.parts if p.kind in ("vector", "lora")]
    return {sha256_file(Path(file)): file for file in dict.fromkeys(files)}
