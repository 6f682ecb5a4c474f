"""What the paper's run needs of disk, graphics memory and time, from arithmetic alone.

``python -m steerability.plan.needs`` prints the table of ``docs/needs.md``. Nothing here is
measured: a decoding step is taken to read all weights and the keys and values of all sequences
once from the card's memory, at a share of its bandwidth, plus a fixed time on the host; a prompt
reads the weights once per chunk. All outputs are taken to run to their limit.
"""

import math
from typing import NamedTuple

from steerability.engine.context import CHUNK
from steerability.engine.engine import GPU_WIDTH
from steerability.engine.memory import Demand, device_width, gigabytes

CARD_BYTES = 80 * 10**9
CARD_BANDWIDTH = 3.35e12
SHARE_OF_BANDWIDTH = 0.5
HOST_SECONDS = 0.005
LINE_BYTES = 125e6
CELLS = 213
LONGEST_PROMPT = 559
MEAN_PROMPT = 278


class Checkpoint(NamedTuple):
    """Facts of a checkpoint: file size in bytes, layers, KV heads, key plus value width, limit."""

    name: str
    file: int
    layers: int
    kv_heads: int
    width: int
    limit: int

    @property
    def demand(self) -> Demand:
        """What the engine's memory formula asks of it, keys and values in 16 bits."""
        return Demand(self.file, 2 * self.layers * self.kv_heads * self.width, self.layers + 1)


# Entered by hand and rounded, not read off the files, which no hub was at hand to show: one size
# for each shape and quantisation, and the layers, heads and widths that Qwen3 4B and 30B-A3B are
# known to have. `steerability lock` writes the true sizes into config/weights.csv.
CHECKPOINTS = (
    Checkpoint("4B Base, Q8_0", 4_280_000_000, 36, 8, 256, 1024),
    Checkpoint("4B Instruct, Q8_0", 4_280_000_000, 36, 8, 256, 1024),
    Checkpoint("4B Thinking, Q8_0", 4_280_000_000, 36, 8, 256, 8096),
    Checkpoint("30B Base, Q4_K_M", 18_600_000_000, 48, 4, 256, 1024),
    Checkpoint("30B Instruct, Q4_K_M", 18_600_000_000, 48, 4, 256, 1024),
    Checkpoint("30B Thinking, Q4_K_M", 18_600_000_000, 48, 4, 256, 8096),
)


class Needs(NamedTuple):
    """What one checkpoint needs: bytes of disk and card, sequences at a time, seconds at most."""

    disk: int
    card: int
    width: int
    seconds: float


def needs_of(checkpoint: Checkpoint) -> Needs:
    """Compute a checkpoint's needs on the card above.

    Args:
        checkpoint: its facts.

    Returns:
        Disk, graphics memory, width, and the seconds to generate all its cells when each runs to
        the limit of new tokens.
    """
    demand = checkpoint.demand
    tokens = LONGEST_PROMPT + checkpoint.limit
    width = device_width(demand, tokens, GPU_WIDTH, CARD_BYTES)
    speed = CARD_BANDWIDTH * SHARE_OF_BANDWIDTH
    cached = width * (MEAN_PROMPT + checkpoint.limit / 2) * demand.cell
    step = (demand.weights + cached) / speed + HOST_SECONDS
    steps = math.ceil(CELLS / width) * checkpoint.limit
    chunks = CELLS * math.ceil(MEAN_PROMPT / CHUNK)
    seconds = steps * step + chunks * demand.weights / speed
    return Needs(checkpoint.file, demand.whole(tokens, width), width, seconds)


def table() -> str:
    """Return the table as Markdown."""
    lines = [
        "| checkpoint | disk | VRAM used | smallest VRAM | sequences at a time | hours, at most |",
        "|---|---|---|---|---|---|",
    ]
    disk, seconds = 0, 0.0
    for checkpoint in CHECKPOINTS:
        needs = needs_of(checkpoint)
        least = checkpoint.demand.whole(LONGEST_PROMPT + checkpoint.limit)
        lines.append(
            f"| {checkpoint.name} | {gigabytes(needs.disk)} | {gigabytes(needs.card)} | "
            f"{gigabytes(least)} | {needs.width} | {needs.seconds / 3600:.2f} |"
        )
        disk += needs.disk
        seconds += needs.seconds
    lines.append(f"| all six | {gigabytes(disk)} | | | | {seconds / 3600:.1f} |")
    return "\n".join(lines)


def page() -> str:
    """Return the text of ``docs/needs.md``."""
    disk = sum(checkpoint.file for checkpoint in CHECKPOINTS)
    return f"""<!-- made by `python -m steerability.plan.needs > docs/needs.md` -->
# What the paper's run needs

**Computed, not measured.** One H100-class card of {gigabytes(CARD_BYTES)} with
{CARD_BANDWIDTH / 1e12:.2f} TB/s, of which {SHARE_OF_BANDWIDTH:.0%} are counted on.

{table()}

Fetching {gigabytes(disk)} takes {disk / LINE_BYTES / 60:.0f} minutes at 1 Gbit/s. Below the
smallest VRAM some layers stay in RAM. Judging comes on top.

How it is computed (`workflow/steerability/plan/needs.py`):

- a step of decoding reads all weights once, and the keys and values of all sequences at half their
  final length; {HOST_SECONDS * 1000:.0f} ms a step are added for the host;
- steps: {CELLS} cells a checkpoint, in rounds of as many sequences as fit, each round to the limit
  of new tokens (1,024, Thinking 8,096); most outputs end sooner;
- a prompt of {MEAN_PROMPT} tokens (the mean of InstrumentalEval's; the longest has
  {LONGEST_PROMPT}) reads the weights once per chunk of {CHUNK} tokens;
- a mixture of experts is counted as if every step touched all experts, which at these widths nearly
  holds;
- memory: weights, a constant, and 2 bytes x layers x KV heads x (key + value width) per token of
  context and sequence; at most 90 % of the card.
"""


if __name__ == "__main__":
    print(page(), end="")
