"""What a run needs of disk, graphics memory and time, from arithmetic alone.

``steerability needs`` prints the table for any config, ``steerability needs --page`` the text of
``docs/needs.md``. Nothing here is measured: a decoding step is taken to read all weights and the
keys and values of all sequences once from the card's memory, at a share of its bandwidth, plus a
fixed time on the host; a prompt takes such a step for each of its chunks. All outputs are taken to
run to their limit.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from steerability.config.catalogue import GgufModel, LlmJudge, SuiteFile
from steerability.config.load import load_config
from steerability.config.model import Config
from steerability.config.study import judges_of, models_of, tasks_of
from steerability.engine.context import CHUNK
from steerability.engine.engine import GPU_WIDTH
from steerability.engine.memory import (
    GPU_CELL_GRID,
    SHARE,
    Demand,
    MemoryShortError,
    device_width,
    gigabytes,
)
from steerability.fetch.sources import SourceFolder
from steerability.inputs.files import wanted_pins
from steerability.inputs.interventions import PUBLISHED as PUBLISHED_TEXT
from steerability.inputs.interventions import recipes_of, recovered_modes
from steerability.inputs.texts import home_of, places_of, read_suite
from steerability.judges.llm import LlmSettings
from steerability.judges.reading import load_reading
from steerability.needs.facts import PUBLISHED, Facts, facts_of, read_published
from steerability.protocol.task import Task
from steerability.suites.model import CATEGORIES
from steerability.support.tables import parse_number, read_csv

SHARE_OF_BANDWIDTH = 0.5
HOST_SECONDS = 0.005
LINE_BYTES = 125e6
BYTES_PER_TOKEN = 4
# of the published prompts under Thinking's chat template; tests/unit/test_needs.py counts them
SCENARIOS = {"published": 71, "all": 76}
LONGEST_PROMPT = 559
MEAN_PROMPT = 279


class Card(NamedTuple):
    """A graphics card: bytes of memory, bytes a second from it."""

    bytes: int = 80 * 10**9
    bandwidth: float = 3.35e12


class Prompts(NamedTuple):
    """A model's prompts: how many, their mean length and the longest, in tokens."""

    cells: int
    mean: int
    longest: int


class Needs(NamedTuple):
    """What one model or judge needs.

    Attributes:
        disk: bytes of the weights.
        card: bytes of graphics memory used; 0 where not even one sequence fits beside the weights.
        least: memory of the smallest card that holds all layers and one sequence, in bytes.
        width: sequences at a time.
        seconds: to do all its cells when each runs to its limit.
    """

    disk: int
    card: int
    least: int
    width: int
    seconds: float


def prompts_of(config: Config, home: Path, task: Task) -> Prompts:
    """Return how many prompts a model of the run gets in a task, and how long they are.

    The published suite's are known; texts of a suite file are counted, four bytes a token.

    Args:
        config: the run.
        home: the repository, which the config's paths are relative to.
        task: one of the run's.

    Raises:
        UserError: a file that the config names is missing or wrong.
    """
    entry = config.catalogue.suites[task.suite]
    sources = SourceFolder(home / config.sources.index, Path(config.sources.folder))
    samples = 1 if task.measure == "choose" else config.samples
    if not isinstance(entry, SuiteFile):
        scenarios = SCENARIOS[entry.selection]
        if config.scenarios_per_category is not None:
            scenarios = min(scenarios, config.scenarios_per_category * len(CATEGORIES))
        cells = scenarios * len(config.variants()) * samples
        return Prompts(cells, MEAN_PROMPT, LONGEST_PROMPT)
    suite = read_suite(config, task.suite, sources, home)
    added = _added_bytes(config, home)
    texts = [
        len("".join((one.context, one.prompt, *(one.answers or ()))).encode())
        for one in suite.cases(task.side, task.split)
    ]
    lengths = [math.ceil((text + more) / BYTES_PER_TOKEN) for text in texts for more in added]
    mean = math.ceil(sum(lengths) / len(lengths))
    return Prompts(len(lengths) * samples, mean, max(lengths))


def _added_bytes(config: Config, home: Path) -> list[int]:
    """Return the length of each intervention's text, that of a published one without having it."""
    table = home / config.sources.suffixes
    pins = read_csv(table, ("intervention",), ("characters",))
    published = {
        row["intervention"]: int(parse_number(row["characters"], table, "characters") or 0)
        for row in pins
    }
    modes = {mode: f"{PUBLISHED_TEXT}{mode}" for mode in recovered_modes(config)}
    lengths = []
    for recipe in recipes_of(config, home, modes):
        whole = 0
        for part in recipe.parts:
            if part.file.startswith(PUBLISHED_TEXT):
                whole += published.get(part.file.removeprefix(PUBLISHED_TEXT), 0)
            elif part.kind not in ("vector", "lora") and part.file:
                whole += len(Path(part.file).read_bytes()) * part.repeat
        lengths.append(whole)
    return lengths


def generating(demand: Demand, limit: int, prompts: Prompts, card: Card) -> Needs:
    """Compute what a model needs to generate its cells.

    Args:
        demand: what the engine's memory formula asks of its weights.
        limit: of new tokens.
        prompts: its prompts.
        card: where it runs.
    """
    tokens = prompts.longest + limit
    least = _smallest_card(demand, -(-tokens // GPU_CELL_GRID) * GPU_CELL_GRID)
    try:
        width = device_width(demand, tokens, GPU_WIDTH, card.bytes)
    except MemoryShortError:
        return Needs(demand.weights, 0, least, 0, math.nan)
    cached = width * (prompts.mean + limit / 2) * demand.cell
    steps = math.ceil(prompts.cells / width) * limit
    chunks = prompts.cells * math.ceil(prompts.mean / CHUNK)
    seconds = steps * _step(demand.weights + cached, card) + chunks * _step(demand.weights, card)
    return Needs(demand.weights, demand.whole(tokens, width), least, width, seconds)


def judging(demand: Demand, tokens: int, cells: int, card: Card) -> Needs:
    """Compute what an ``llm`` judge needs to read all cells; it generates nothing.

    Args:
        demand: what the engine's memory formula asks of its weights.
        tokens: of the longest prompt, which all are taken to have.
        cells: of the run.
        card: where it runs.
    """
    least = _smallest_card(demand, tokens)
    if least > card.bytes:
        return Needs(demand.weights, 0, least, 0, math.nan)
    seconds = cells * math.ceil(tokens / CHUNK) * _step(demand.weights, card)
    return Needs(demand.weights, demand.whole(tokens), least, 1, seconds)


def _smallest_card(demand: Demand, tokens: int) -> int:
    return math.ceil(demand.whole(tokens) / SHARE)


def _step(read: float, card: Card) -> float:
    return read / (card.bandwidth * SHARE_OF_BANDWIDTH) + HOST_SECONDS


def needs_of(
    config: Config, home: Path, facts: Mapping[str, Facts | None], card: Card
) -> list[tuple[str, str, Needs | None]]:
    """Return label, weights and needs of every model and ``llm`` judge; None where not known.

    Args:
        config: the run.
        home: the repository.
        facts: of each weight.
        card: where it runs.
    """
    tasks = [(task, prompts_of(config, home, task)) for task in tasks_of(config)]
    rows: list[tuple[str, str, Needs | None]] = []
    limits = {}
    for name in config.models:
        model = config.catalogue.models[name]
        limits[name] = min(model.max_tokens, config.max_tokens or model.max_tokens)
        if isinstance(model, GgufModel) and config.outputs == "generate":
            known = facts[model.weights]
            each = [
                generating(known.demand, limits[name] if task.measure == "generate" else 0, p, card)
                for task, p in tasks
                if known and task.asks(name)
            ]
            rows.append((f"{model.size} {model.stage}", model.weights, together(each)))
    for task, prompts in tasks:
        for use in judges_of(config, task.name):
            judge = config.catalogue.judges[use.judge]
            if isinstance(judge, LlmJudge) and models_of(config, task.name, use):
                known = facts[judge.weights]
                chosen = [limits[name] for name in models_of(config, task.name, use)]
                tokens = _question(home / judge.rubric, prompts, max(chosen))
                cells = prompts.cells * len(chosen)
                found = judging(known.demand, tokens, cells, card) if known else None
                rows.append((f"judge {use.judge}", judge.weights, found))
    return rows


def together(each: Sequence[Needs]) -> Needs | None:
    """Return the needs of one model's tasks, done one after another; None where none is known."""
    if not each:
        return None
    return Needs(
        disk=each[0].disk,
        card=max(one.card for one in each),
        least=max(one.least for one in each),
        width=min(one.width for one in each),
        seconds=sum(one.seconds for one in each),
    )


def _question(rubric: Path, prompts: Prompts, limit: int) -> int:
    """Return the tokens of the longest question to a judge."""
    settings, text = load_reading(rubric, LlmSettings)
    shown = min(limit, settings.limits.response // BYTES_PER_TOKEN)
    return len(text.encode()) // BYTES_PER_TOKEN + prompts.longest + shown


def table(rows: list[tuple[str, str, Needs | None]]) -> str:
    """Return the needs as a Markdown table; weights that two rows share count once."""
    lines = [
        "| | weights | disk | VRAM used | smallest VRAM | sequences at a time | hours, at most |",
        "|---|---|---|---|---|---|---|",
    ]
    disk: dict[str, int] = {}
    seconds = 0.0
    for label, weights, found in rows:
        if found is None:
            lines.append(f"| {label} | {weights} | not known before it is fetched | | | | |")
            continue
        once = "" if weights in disk else gigabytes(found.disk)
        fits = (gigabytes(found.card), str(found.width), f"{found.seconds / 3600:.2f}")
        used, width, hours = fits if found.width else ("not wholly", "", "")
        lines.append(
            f"| {label} | {weights} | {once} | {used} | {gigabytes(found.least)} | {width} | "
            f"{hours} |"
        )
        disk[weights] = found.disk
        seconds += found.seconds
    hours = "" if math.isnan(seconds) else f"{seconds / 3600:.1f}"
    lines.append(f"| all | | {gigabytes(sum(disk.values()))} | | | | {hours} |")
    return "\n".join(lines)


def published_rows(home: Path) -> list[tuple[str, str, Needs | None]]:
    """Return the needs of ``config.yaml`` by the published facts alone, whatever lies here."""
    config = load_config([home / "config.yaml"])
    published = read_published(home)
    facts = {pin.name: facts_of(pin, published, None) for pin in wanted_pins(config, home)}
    return needs_of(config, home, facts, Card())


def page(home: Path) -> str:
    """Return the text of ``docs/needs.md``."""
    rows = published_rows(home)
    disk = sum({weights: found.disk for _, weights, found in rows if found}.values())
    card = Card()
    return f"""<!-- made by `steerability needs --page > docs/needs.md` -->
# What the paper's run needs

**Computed, not measured.** One H100-class card of {gigabytes(card.bytes)} with
{card.bandwidth / 1e12:.2f} TB/s, of which {SHARE_OF_BANDWIDTH:.0%} are counted on.

{table(rows)}

Fetching {gigabytes(disk)} takes {disk / LINE_BYTES / 60:.0f} minutes at 1 Gbit/s. Below the
smallest VRAM some layers stay in RAM. The `distilled` judge needs no card.

`steerability needs [--configfile FILE] [--vram GB] [--bandwidth TB/S]` prints the table for any
config and card. A file that is on the machine speaks for itself, by its GGUF header; until then
size and shape are those of `{PUBLISHED}`, which names the source of each.

How it is computed (`workflow/steerability/needs/needs.py`):

- a step of decoding reads all weights once, and the keys and values of all sequences at half their
  final length; {HOST_SECONDS * 1000:.0f} ms a step are added for the host;
- steps: {SCENARIOS["published"] * 3} cells a checkpoint, in rounds of as many sequences as fit,
  each round to the limit of new tokens (1,024, Thinking 8,096); most outputs end sooner;
- a prompt of {MEAN_PROMPT} tokens (the mean of InstrumentalEval's; the longest has
  {LONGEST_PROMPT}) takes such a step, with the weights alone, per chunk of {CHUNK} tokens;
- the `llm` judge reads rubric, prompt and response of every cell, {BYTES_PER_TOKEN} bytes a token,
  and generates nothing; what cells share is counted each time;
- a mixture of experts is counted as if every step touched all experts, which at these widths nearly
  holds;
- memory: weights, a constant, and 2 bytes x layers x KV heads x (key + value width) per token of
  context and sequence; at most {SHARE:.0%} of the card.
"""


def show(configfiles: list[Path], card: Card) -> None:
    """Print the needs of a config on a card.

    Args:
        configfiles: laid over each other in order; paths in them are relative to the first.
        card: where the run is to happen.

    Raises:
        UserError: the config is wrong, or a file it names.
    """
    config = load_config(configfiles)
    home = home_of(configfiles)
    published = read_published(home)
    places = places_of(config, home)
    facts = {pin.name: facts_of(pin, published, places) for pin in wanted_pins(config, home)}
    print(f"run {config.run} on a card of {gigabytes(card.bytes)}; computed, not measured\n")
    print(table(needs_of(config, home, facts, card)))
    for origin, words in (
        ("header", "read off the file"),
        ("published", f"as in {PUBLISHED}, not fetched yet"),
    ):
        names = [name for name, known in facts.items() if known and known.origin == origin]
        if names:
            print(f"\n{', '.join(names)}: {words}")
