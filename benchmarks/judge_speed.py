"""Labels a CPU second of the judges that need no network and no engine.

``PYTHONPATH=workflow .venv/bin/python benchmarks/judge_speed.py RUN/responses/TASK/*.jsonl``
prints one line a judge: labels, the fastest of several passes, and a digest of all that was said.
To compare two versions of the code, run it by turns with either on ``PYTHONPATH``, in one sitting:
only the ratio holds on a busy machine, and the digests must be equal.
"""

import argparse
import hashlib
import time
from collections.abc import Sequence
from pathlib import Path

from steerability.judges.base import Judge
from steerability.judges.rules import RulesJudge
from steerability.judges.run import read_cells
from steerability.protocol.response import JudgeInput
from steerability.trained_judge.distilled import DistilledJudge


def measure(judge: Judge, items: Sequence[JudgeInput], passes: int) -> tuple[float, str]:
    """Return labels a CPU second of the fastest pass, and a digest of the verdicts.

    Args:
        judge: the judge.
        items: what it labels in each pass.
        passes: how many; what is compiled at first use is in the first one.
    """
    seconds = []
    state = hashlib.sha256()
    for number in range(passes):
        start = time.process_time()
        verdicts = list(judge.label(items))
        seconds.append(time.process_time() - start)
        if not number:
            for verdict in verdicts:
                state.update(verdict.model_dump_json().encode("utf-8") + b"\n")
    return len(items) / min(seconds), state.hexdigest()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("responses", type=Path, nargs="+")
    parser.add_argument("--trained", type=Path, help="distilled.json of a run, to measure it too")
    parser.add_argument("--passes", type=int, default=5)
    words = parser.parse_args()
    items = [item for path in words.responses for item in read_cells(path)]
    judges: list[Judge] = [RulesJudge.load()]
    if words.trained:
        judges.append(DistilledJudge.load(words.trained))
    for judge in judges:
        speed, digest = measure(judge, items, words.passes)
        print(f"{judge.name}: {len(items)} labels, {speed:.0f} a CPU second, {digest}")


if __name__ == "__main__":
    main()
