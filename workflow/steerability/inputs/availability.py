"""Which published runs are at hand, and a config that asks for no others.

Without a mirror all of them can be fetched. With one, a model takes part with those of its
conditions that the mirror holds; what it lacks is named, in the table too, and never fetched from
elsewhere, so that a run's result follows from its mirror.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from steerability.config.catalogue import DistilledJudge
from steerability.config.model import Config
from steerability.fetch.download import from_mirror
from steerability.fetch.sources import Source, read_sources
from steerability.support.errors import UserError
from steerability.transcripts.runs import PublishedRun, files_of, published_runs


class AtHand(NamedTuple):
    """A config limited to what is at hand.

    Attributes:
        config: the config, with the models that have a run.
        runs: the runs of each model, in the order of the config's interventions.
        absent: what the config asks for and the mirror lacks, as words; empty where it lacks
            nothing.
    """

    config: Config
    runs: dict[str, tuple[PublishedRun, ...]]
    absent: str


def check_mirror(sources: Mapping[str, Source], mirror: Path) -> set[str]:
    """Check every pinned file that a mirror holds and return their names.

    Raises:
        UserError: the mirror is no folder, or one of its files is not the pinned one.
    """
    if not mirror.is_dir():
        raise UserError("no such folder", where=mirror, mend="correct the path of the mirror")
    held = {name for name, source in sources.items() if (mirror / source.path).is_file()}
    for name in held:
        from_mirror(sources[name], mirror)
    return held


def at_hand(config: Config, table: Path) -> AtHand:
    """Limit a config of published outputs to the runs that can be had.

    Args:
        config: with ``outputs: transcripts``.
        table: the sources table.

    Raises:
        UserError: a model or intervention was not published, the mirror holds no run of any
            model, or one of its files is not the pinned one.
    """
    sources = read_sources(table)
    mirror = config.sources.mirror
    held = set(sources) if mirror is None else check_mirror(sources, Path(mirror))
    published = published_runs(sources)
    runs: dict[str, tuple[PublishedRun, ...]] = {}
    absent: list[str] = []
    for name in config.models:
        theirs = getattr(config.catalogue.models[name], "transcripts", None)
        mine = {run.intervention: run for run in published if run.model == theirs}
        wanted = _wanted(config, name, mine, table)
        found = tuple(run for run in wanted if held.issuperset(files_of([run])))
        if found:
            runs[name] = found
        lacking = [run.intervention for run in wanted if run not in found]
        if lacking:
            absent.append(f"{name} ({', '.join(lacking)})" if found else name)
    if not runs:
        raise UserError(
            f"holds no run of {', '.join(config.models)}",
            where=mirror,
            mend="add one, name other models, or leave the mirror out",
        )
    return AtHand(_limited(config, tuple(runs)), runs, ", ".join(absent))


class Training(NamedTuple):
    """What a trained judge learns from.

    Attributes:
        runs: published model → its runs at hand, besides those that are this run's outputs; empty
            where no judge is trained.
        own: models of this run whose published outputs it learns from.
        absent: what it should learn from and the mirror lacks, as words, unless the run's own
            table says so; empty where it lacks nothing.
    """

    runs: dict[str, tuple[PublishedRun, ...]]
    own: tuple[str, ...]
    absent: str

    @property
    def remark(self) -> str:
        """What a table says of it; empty where nothing is absent."""
        if not self.absent:
            return ""
        held = sum(map(len, self.runs.values()))
        return (
            f"The distilled judge learnt from the {held} published runs that the mirror holds; "
            f"not there: {self.absent}."
        )


def training(config: Config, sources: Mapping[str, Source], table: Path) -> Training:
    """Return the published runs at hand that a run's ``distilled`` judge learns from.

    Those of the models that ``training`` names; where none of them is at hand, of every model.

    Args:
        config: the run, with the models that have outputs.
        sources: the outside files.
        table: their table, for messages.

    Raises:
        UserError: a judge is to be trained and there is no published run, or ``training`` names
            a model that was not published.
    """
    judges = (config.catalogue.judges[use.judge] for use in config.judges)
    if not any(isinstance(judge, DistilledJudge) for judge in judges):
        return Training({}, (), "")
    names = config.training or ()
    mirror = config.sources.mirror
    runs: dict[str, tuple[PublishedRun, ...]] = {}
    lacking: dict[str, list[str]] = {}
    for run in published_runs(sources):
        files = (Path(mirror or "") / sources[name].path for name in files_of([run]))
        if mirror is None or all(path.is_file() for path in files):
            runs[run.model] = (*runs.get(run.model, ()), run)
        else:
            lacking.setdefault(run.model, []).append(run.intervention)
    known = {*runs, *lacking}
    for name in names:
        if name not in known:
            raise UserError(
                f"no published model is called {name!r}",
                where="training",
                mend=f"known: {', '.join(sorted(known))}",
            )
    if not runs:
        raise UserError(
            "holds no published run for the distilled judge to learn from",
            where=mirror or table,
            mend="add one, name other judges, or leave the mirror out",
        )
    named = set(names or known)
    learnt = named if named & set(runs) else set(runs)
    absent = [
        f"{name} ({', '.join(gone)})" if name in runs else name
        for name, gone in lacking.items()
        if name in named
    ]
    runs = {name: theirs for name, theirs in runs.items() if name in learnt}
    if config.outputs != "transcripts":
        return Training(runs, (), ", ".join(absent))
    published = {
        name: getattr(config.catalogue.models[name], "transcripts", None) for name in config.models
    }
    own = tuple(name for name, theirs in published.items() if theirs in runs)
    further = {name: theirs for name, theirs in runs.items() if name not in published.values()}
    return Training(further, own, "")


def _wanted(
    config: Config, model: str, runs: Mapping[str, PublishedRun], table: Path
) -> list[PublishedRun]:
    for intervention in config.interventions:
        if intervention not in runs:
            raise UserError(
                f"{model} has no published run with the intervention {intervention}",
                where=table,
                mend="give the model its `transcripts:` name, or generate its outputs",
            )
    return [runs[intervention] for intervention in config.interventions]


def _limited(config: Config, models: tuple[str, ...]) -> Config:
    uses = []
    for use in config.judges:
        kept = None if use.models is None else tuple(m for m in use.models if m in models)
        if kept is None or kept:
            uses.append(use.model_copy(update={"models": kept}))
    return config.model_copy(update={"models": models, "judges": tuple(uses)})


def digest_of_pins(sources: Mapping[str, Source], names: list[str]) -> str:
    """Return one digest over the pins of several files, to notice when a pin changes."""
    lines = "".join(f"{sources[name].sha256}  {name}\n" for name in names)
    return hashlib.sha256(lines.encode()).hexdigest()
