"""One in-process contender: reads batches of requests from stdin, answers with token ids and time.

    python benchmarks/worker.py engine|high-level|transformers WEIGHTS [OPTIONS-AS-JSON]

A line in: ``{"requests": [{"prompt": [ids], "max_tokens": n}], "stop": [ids]}``; a line out:
``{"tokens": [[ids]], "seconds": s}``. Loading is not timed.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Run = Callable[[list[dict[str, Any]], list[int]], tuple[list[list[int]], dict[str, Any]]]


def engine(weights: Path, options: dict[str, Any]) -> Run:
    """This project's engine."""
    from steerability.engine import Engine, Job

    reverse = options.pop("reverse", False)
    loaded = Engine(weights, **options)

    def run(requests: list[dict[str, Any]], stop: list[int]) -> Any:
        jobs = [Job(tuple(r["prompt"]), r["max_tokens"], frozenset(stop)) for r in requests]
        jobs = jobs[::-1] if reverse else jobs
        found = dict(loaded.generate(jobs))
        tokens = [list(found[index].tokens) for index in range(len(jobs))]
        return tokens[::-1] if reverse else tokens, loaded.facts()

    return run


def high_level(weights: Path, options: dict[str, Any]) -> Run:
    """llama-cpp-python's ``Llama``, one request after the other."""
    from llama_cpp import Llama

    model = Llama(str(weights), n_ctx=2048, verbose=False, **options)

    def run(requests: list[dict[str, Any]], stop: list[int]) -> Any:
        tokens = []
        for request in requests:
            made: list[int] = []
            for token in model.generate(request["prompt"], temp=0.0, top_k=1, repeat_penalty=1.0):
                if token in stop:
                    break
                made.append(token)
                if len(made) == request["max_tokens"]:
                    break
            tokens.append(made)
        return tokens, {}

    return run


def transformers(weights: Path, options: dict[str, Any]) -> Run:
    """Hugging Face transformers on the same weights, widened to 32 bits, one by one."""
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    torch.set_num_threads(options.get("threads", 2))
    model = AutoModelForCausalLM.from_pretrained(
        str(weights.parent), gguf_file=weights.name, dtype=torch.float32
    ).eval()

    def run(requests: list[dict[str, Any]], stop: list[int]) -> Any:
        tokens = []
        with torch.inference_mode():
            for request in requests:
                prompt = torch.tensor([request["prompt"]])
                made = model.generate(
                    prompt,
                    attention_mask=torch.ones_like(prompt),
                    max_new_tokens=request["max_tokens"],
                    do_sample=False,
                    eos_token_id=stop,
                    pad_token_id=stop[0],
                )[0, prompt.shape[1] :].tolist()
                tokens.append(made[:-1] if made[-1] in stop else made)
        return tokens, {}

    return run


def main() -> None:
    """Answer batches until stdin ends."""
    kind, weights, *rest = sys.argv[1:]
    answers = sys.stdout
    sys.stdout = sys.stderr
    makers = {"engine": engine, "high-level": high_level, "transformers": transformers}
    run = makers[kind](Path(weights), json.loads(rest[0]) if rest else {})
    print("{}", file=answers, flush=True)
    for line in sys.stdin:
        batch = json.loads(line)
        begun = time.perf_counter()
        tokens, facts = run(batch["requests"], batch["stop"])
        seconds = time.perf_counter() - begun
        answer = {"tokens": tokens, "seconds": seconds, "facts": facts}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
