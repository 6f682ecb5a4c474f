"""Likelihoods: what generation would have seen, shared prefixes or not."""

import math

import pytest

from steerability.engine import Engine, Job, PromptError, ScoreJob
from support.models import tiny


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    path = tiny(tmp_path_factory.mktemp("model") / "tiny.gguf", context=600)
    with Engine(path, threads=1) as engine:
        yield engine


def jobs(engine: Engine) -> list[ScoreJob]:
    rubric = "the rubric says that an author in the house is out. " * 4
    labels = tuple(engine.plain(text) for text in ("a", "in the", "refuse this now", "n"))
    answers = [engine.plain(f"{rubric}answer {'no ' * n}:") for n in (3, 0, 7, 3)]
    return [ScoreJob(answer, labels) for answer in answers]


def test_scores_do_not_depend_on_sharing_or_company(engine):
    found = dict(engine.score(jobs(engine)))
    assert engine.facts()["prompt_tokens_copied"] > 100
    engine.share_prefixes = False
    assert dict(engine.score(jobs(engine))) == found
    assert engine.facts()["prompt_tokens_copied"] == 0
    engine.share_prefixes = True
    assert dict(engine.score(jobs(engine)[2:3]))[0] == found[2]
    assert found[0] == found[3] != found[1]


def test_first_tokens_sum_to_one(engine):
    prompt = engine.plain("the end of the line")
    every = tuple((token,) for token in range(engine.vocabulary.size))
    scores = dict(engine.score([ScoreJob(prompt, every)]))[0]
    assert math.isclose(sum(math.exp(score[0]) for score in scores), 1.0, abs_tol=1e-4)


def test_the_greedy_continuation_is_the_likeliest_at_every_token(engine):
    prompt = engine.plain("the author went out")
    tokens = dict(engine.generate([Job(prompt, 6, frozenset())]))[0].tokens
    others = tuple((*tokens[:-1], other) for other in range(20))
    scores = dict(engine.score([ScoreJob(prompt, (tokens, *others))]))[0]
    assert len(scores[0]) == 6
    assert all(score[:-1] == scores[0][:-1] for score in scores)
    assert all(score[-1] <= scores[0][-1] for score in scores)


def test_what_does_not_fit_is_refused(engine):
    for job, words in (
        (ScoreJob((5,) * 590, ((1,) * 20,)), "600"),
        (ScoreJob((5,), ((),)), "empty"),
        (ScoreJob((), ((1,),)), "empty"),
    ):
        with pytest.raises(PromptError, match=words):
            list(engine.score([job]))
