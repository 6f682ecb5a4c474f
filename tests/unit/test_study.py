"""What a run measures, on which scales, with which roles: the config resolved to a study."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from steerability.config.interventions import controlled, variants
from steerability.config.load import check_config, load_config, merge
from steerability.config.model import Config
from steerability.config.read_study import read_study
from steerability.config.study import Study, models_of, study_of, tasks_of
from steerability.protocol.design import Design
from steerability.protocol.scale import BEHAVIOUR, BENIGN
from steerability.support.canonical import canonical_json
from steerability.support.errors import UserError

OF_RUN = ("qwen3-4b-base", "qwen3-4b-instruct")
WARM = {"catalogue": {"models": {name: {"sampling": {"temperature": 0.8}} for name in OF_RUN}}}


@pytest.fixture(scope="module")
def paper() -> dict[str, Any]:
    """The paper's config, its judges one that needs no training."""
    whole = yaml.safe_load(Path("config.yaml").read_text(encoding="utf-8"))
    return merge(whole, {"judges": ["rules"], "primary_judge": "rules", "models": [*OF_RUN]})


def config_of(paper: dict[str, Any], *overlays: dict[str, Any]) -> Config:
    for overlay in overlays:
        paper = merge(paper, overlay)
    return check_config(paper)


def test_the_papers_study_is_one_task_of_four_labels_and_three_roles() -> None:
    study = study_of(load_config([Path("config.yaml")]))
    [task] = study.tasks
    assert (task.name, task.suite, task.side, task.measure) == (
        *("behaviour", "instrumentaleval"),
        *("scenarios", "generate"),
    )
    assert task.judges == ("distilled", "llm-qwen3-30b") and task.primary_judge == "distilled"
    assert study.scales == (BEHAVIOUR,) and study.samples == 1
    assert study.interventions == ("pro", "none", "anti")
    assert study.design == Design(baseline="none", amplify=("pro",), suppress=("anti",))
    assert (study.labelled, study.chosen) == (study.tasks, ())


BENIGN_JUDGE = {"kind": "rules", "scale": "benign", "rubric": "workflow/judges/benign-rules.yaml"}
TASKS: dict[str, Any] = {
    "tasks": ["behaviour", "forced", "allowed"],
    "catalogue": {
        "suites": {"own": {"kind": "file", "path": "own.yaml"}},
        "judges": {"kind": BENIGN_JUDGE, "kinder": BENIGN_JUDGE | {"note": "not checked"}},
        "tasks": {
            "forced": {"suite": "own", "measure": "choose", "models": [OF_RUN[1]]},
            "allowed": {
                "suite": "own",
                "side": "twins",
                "scale": "benign",
                "judges": ["kind", {"judge": "kinder", "models": [*OF_RUN]}],
                "primary_judge": "kinder",
            },
            "not-used": {"suite": "nowhere"},
        },
    },
}


def test_tasks_have_suites_sides_scales_and_judges_of_their_own(paper: dict[str, Any]) -> None:
    config = config_of(paper, TASKS)
    study = study_of(config, "A remark.")
    behaviour, forced, allowed = study.tasks
    assert (behaviour.suite, behaviour.judges) == ("instrumentaleval", ("rules",))
    assert (forced.suite, forced.measure, forced.judges) == ("own", "choose", ())
    assert (allowed.side, allowed.scale, allowed.judges) == ("twins", "benign", ("kinder", "kind"))
    assert study.scales == (BEHAVIOUR, BENIGN), "a choice has none"
    assert study.labelled == (behaviour, allowed) and study.chosen == (forced,)
    assert study.notes == {"kinder": "not checked"} and study.remark == "A remark."
    assert models_of(config, "forced") == (OF_RUN[1],) and forced.models == (OF_RUN[1],)
    assert models_of(config, "behaviour") == OF_RUN
    assert tasks_of(config) == study.tasks
    assert study.less("notes", "remark") == study_of(config).less("notes")


def test_a_scale_of_ones_own_has_the_name_it_stands_under(paper: dict[str, Any]) -> None:
    own = {"outcomes": [{"name": "warm", "event": True}, {"name": "cold"}]}
    overlay = {
        "tasks": ["mood"],
        "catalogue": {
            "scales": {"moods": own},
            "judges": {"moody": {"kind": "rules", "scale": "moods"}},
            "tasks": {"mood": {"scale": "moods", "judges": ["moody"]}},
        },
    }
    [scale] = study_of(config_of(paper, overlay)).scales
    assert (scale.name, scale.names, scale.event) == ("moods", ("warm", "cold"), "warm")


def test_a_study_passes_through_json_whole(paper: dict[str, Any]) -> None:
    study = study_of(config_of(paper, TASKS), "A remark.")
    assert read_study(canonical_json(study.model_dump(mode="json")).decode()) == study
    assert study.task("allowed") is study.tasks[2] and study.scale("benign") == BENIGN
    for ask in (study.task, study.scale):
        with pytest.raises(UserError, match=r"the study has no .* nothing; it has: behaviour"):
            ask("nothing")


ENTRIES = {
    "wordy": {"kind": "append", "wordings": ["a.txt", "b.txt", "c.txt"]},
    "push": {"kind": "vector", "adapter": "v", "strengths": [-1.5, 0, 0.25, 2, 1e20, 1e-5]},
    "tuned": {"kind": "lora", "adapter": "l"},
    "early": {"kind": "turns", "messages": "turns.yaml"},
    "both": {"kind": "compose", "of": ["none", "tuned", "early"]},
}
WITH_ENTRIES = {
    "interventions": [*ENTRIES, "none"],
    "catalogue": {
        "interventions": ENTRIES,
        "adapters": {
            "v": {"source": "file", "path": "v.gguf"},
            "l": {"source": "file", "path": "l.gguf"},
        },
    },
}
PUSHED = ("push_-1.5", "push_0", "push_0.25", "push_2", "push_1e20", "push_1e-05")


def test_wordings_and_strengths_stand_for_an_intervention_each(paper: dict[str, Any]) -> None:
    config = config_of(paper, WITH_ENTRIES)
    wordings = ("wordy_1", "wordy_2", "wordy_3")
    names = tuple(one.name for one in config.variants())
    assert names == (*wordings, *PUSHED, "tuned", "early", "both", "none")
    study = study_of(config)
    assert study.interventions == names
    assert study.design == Design(baseline="none")


def test_a_role_of_an_entry_is_the_role_of_all_it_stands_for(paper: dict[str, Any]) -> None:
    roles = {"amplify": ["push", "absent"], "suppress": ["wordy", "tuned"], "baseline": "none"}
    design = study_of(config_of(paper, WITH_ENTRIES, {"design": roles})).design
    assert design.amplify == PUSHED and design.baseline == "none"
    assert design.suppress == ("wordy_1", "wordy_2", "wordy_3", "tuned")
    roles = {"amplify": ["push_2"], "suppress": [], "baseline": None}
    design = study_of(config_of(paper, WITH_ENTRIES, {"design": roles})).design
    assert design == Design(amplify=("push_2",)), "one of several by its own name"


def test_interventions_of_the_first_edition_are_texts_after_the_question() -> None:
    overlay = {"nudge": "texts/nudge.txt", "pro": "published:pro_ic", "none": ""}
    whole = yaml.safe_load(Path("config.yaml").read_text(encoding="utf-8"))
    config = check_config(merge(whole, {"catalogue": {"interventions": overlay}}))
    for name, text in overlay.items():
        entry = config.catalogue.interventions[name]
        assert (entry.kind, getattr(entry, "text", None)) == ("append", text)


def test_samples_need_a_temperature_and_are_the_studys(paper: dict[str, Any]) -> None:
    assert study_of(config_of(paper, WARM, {"samples": 5})).samples == 5
    with pytest.raises(UserError, match="qwen3-4b-base is greedy and would repeat itself"):
        config_of(paper, {"samples": 2})
    half = {"catalogue": {"models": {OF_RUN[0]: {"sampling": {"temperature": 0.8}}}}}
    with pytest.raises(UserError, match="qwen3-4b-instruct is greedy"):
        config_of(paper, half, {"samples": 2})


def task(**entry: Any) -> dict[str, Any]:
    return {"tasks": ["t"], "catalogue": {"tasks": {"t": entry}}}


def intervention(**entry: Any) -> dict[str, Any]:
    return {"interventions": ["i"], "catalogue": {"interventions": {"i": entry}}}


WORDY = {"kind": "append", "wordings": ["a", "b"]}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tasks": ["t"]}, "tasks: 't' is not defined (defined: behaviour, "),
        ({"tasks": []}, "tasks"),
        ({"tasks": ["behaviour", "behaviour"]}, "tasks: a name stands twice"),
        ({"samples": 0}, "samples"),
        ({"samples": 2**31}, "samples"),
        (task(suite="x"), "catalogue.tasks.t.suite: 'x' is not defined"),
        (task(scale="x"), "catalogue.tasks.t.scale: 'x' is not defined"),
        (task(judges=["x"]), "catalogue.tasks.t.judges: 'x' is not defined"),
        (task(judges=[]), "catalogue.tasks.t.judges"),
        (task(primary_judge="distilled"), "'distilled' is not among judges"),
        (task(models=["x"]), "catalogue.tasks.t.models: 'x' is not among models"),
        (
            task(judges=[{"judge": "rules", "models": [OF_RUN[0]]}]),
            "catalogue.tasks.t.primary_judge: must label every model",
        ),
        (task(judges=[{"judge": "rules", "models": ["x"]}]), "rules names 'x', not among models"),
        (task(judges=["published"]), "published goes with outputs: transcripts only"),
        (task(measure="choose", judges=["rules"]), "t.judges: a choice has no judge"),
        (task(measure="choose", primary_judge="rules"), "a choice has no judge"),
        (task(measure="rank"), "catalogue.tasks.t.measure"),
        (task(side="both"), "catalogue.tasks.t.side"),
        (
            task(scale="benign"),
            "t.judges: rules labels on the scale behaviour, the task is on benign",
        ),
        (
            {"tasks": ["behaviour"], "judges": ["x"], "primary_judge": "x"},
            "judges: 'x' is not defined",
        ),
        (merge(TASKS, {"tasks": ["allowed"], "judges": ["x"]}), "judges: 'x' is not defined"),
        (
            {"catalogue": {"scales": {"s": {"outcomes": [{"name": "a"}, {"name": "b"}]}}}},
            "catalogue.scales.s: scale s: exactly one outcome is the event",
        ),
        ({"catalogue": {"scales": {"s": ["a", "b"]}}}, "catalogue.scales.s"),
        ({"design": {"amplify": ["pro"], "baseline": "pro"}}, "design: pro has two roles"),
        ({"design": {"amplify": "pro"}}, "design.amplify"),
        (intervention(kind="append"), "give either text or wordings"),
        (intervention(kind="append", text="a", wordings=["b"]), "either text or wordings"),
        (intervention(kind="append", wordings=[]), "wordings"),
        (intervention(kind="append", wordings=[""]), "wordings"),
        (intervention(kind="prefill", text=""), "a prefill needs a text"),
        (intervention(kind="system", text="a", place="above"), "place"),
        (intervention(kind="append", text="a", repeat=0), "repeat"),
        (intervention(kind="hypnosis", text="a"), "catalogue.interventions.i"),
        (intervention(kind="turns"), "messages"),
        (intervention(kind="vector", adapter="x"), "i.adapter: 'x' is not defined"),
        (intervention(kind="vector", adapter="x", strength=1.0, strengths=[2.0]), "either"),
        (intervention(kind="vector", adapter="x", strength=float("nan")), "finite"),
        (intervention(kind="vector", adapter="x", strengths=[float("inf")]), "finite"),
        (intervention(kind="vector", adapter="x", layers=[3, 1]), "first and last block"),
        (intervention(kind="lora", adapter="x", layers=[1, 3]), "layers go with a vector"),
        (intervention(kind="compose", of=["x"]), "i.of: 'x' is not defined"),
        (intervention(kind="compose", of=["pro", "pro"]), "i.of: a name stands twice"),
        (intervention(kind="append", text="a", control_of="x"), "i.control_of: 'x' is not"),
        (
            merge(
                intervention(kind="compose", of=["w"]),
                {"catalogue": {"interventions": {"w": WORDY}}},
            ),
            "i.of: w stands for several interventions itself",
        ),
        (
            merge(
                intervention(kind="compose", of=["c"]),
                {"catalogue": {"interventions": {"c": {"kind": "compose", "of": ["pro"]}}}},
            ),
            "c stands for several interventions itself",
        ),
        (
            merge(
                intervention(kind="compose", of=["v"]),
                {"catalogue": {"interventions": {"v": {"kind": "vector", "adapter": "x"}}}},
            ),
            "catalogue.interventions.v.adapter: 'x' is not defined",
        ),
        (
            {
                "interventions": ["w", "w_2"],
                "catalogue": {"interventions": {"w": WORDY, "w_2": "a.txt"}},
            },
            "interventions: 'w_2' stands for two interventions",
        ),
    ],
)
def test_a_wrong_design_is_one_line(
    paper: dict[str, Any], change: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError) as error:
        check_config(merge(paper, change), where="config.yaml")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("change", [{"samples": 2}, {"tasks": ["behaviour", "t"]}])
def test_published_outputs_are_of_one_task_and_one_sample(
    paper: dict[str, Any], change: dict[str, Any]
) -> None:
    overlay = {"outputs": "transcripts", "catalogue": {"tasks": {"t": {}}}}
    assert config_of(paper, overlay).outputs == "transcripts"
    with pytest.raises(UserError, match="one reply a cell"):
        config_of(paper, overlay, WARM, change)


@pytest.mark.parametrize(
    ("entry", "of"),
    [
        ({"control_of": "push_2"}, ["push_2"]),
        ({"control_of": "push_2", "strengths": [1, 3]}, ["push_2", "push_2"]),
        ({"control_of": "push", "strengths": [2, 0.25]}, ["push_2", "push_0.25"]),
        ({"control_of": "tuned", "strengths": [2, 0.25]}, ["tuned", "tuned"]),
        ({}, [None]),
    ],
)
def test_a_control_is_of_one_intervention_or_of_its_like_among_several(
    paper: dict[str, Any], entry: dict[str, Any], of: list[str | None]
) -> None:
    control = {"kind": "vector", "adapter": "v", **entry}
    overlay = {"catalogue": {"interventions": {"random": control}}}
    config = config_of(paper, WITH_ENTRIES, overlay, {"interventions": ["random", "push"]})
    entries = config.catalogue.interventions
    assert [controlled(one, entries) for one in variants("random", entries["random"])] == of


@pytest.mark.parametrize("entry", [{}, {"strengths": [7]}, {"strengths": [2, 7]}])
def test_a_control_without_its_like_is_one_line(
    paper: dict[str, Any], entry: dict[str, Any]
) -> None:
    control = {"kind": "vector", "adapter": "v", "control_of": "push", **entry}
    overlay = {"catalogue": {"interventions": {"random": control}}, "interventions": ["random"]}
    with pytest.raises(UserError, match=r"random\.control_of: 'push' is not defined, or has no"):
        config_of(paper, WITH_ENTRIES, overlay)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"samples": 0}', '{"tasks": [{}]}', '{"x": 1}'])
def test_a_spec_that_is_no_study_is_one_line(text: str) -> None:
    with pytest.raises(UserError, match="--spec") as error:
        read_study(text)
    assert "\n" not in str(error.value)


def test_a_study_says_by_itself_what_a_run_of_the_first_edition_was() -> None:
    study = Study()
    assert [task.name for task in study.tasks] == ["behaviour"]
    assert study.scales == (BEHAVIOUR,) and study.design == Design()
