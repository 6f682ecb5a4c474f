# Who judges: the judges of a run, what each reads, and what a trained one learns from.


def judge(name):
    return CONFIG.catalogue.judges[name]


def judges_of_kind(kind):
    return [name for name in JUDGES if judge(name).kind == kind]


def published_judge():
    """The folder that published labels go to: the name of their judge."""
    return next(iter(judges_of_kind("published")), "published")


DISTILS = bool(judges_of_kind("distilled"))
TRAINING = f"{RUN}/training"
TRAINING_SUITE = suite_json(CONFIG.suite) if TRANSCRIPTS else f"{TRAINING}/suite.json"


def training_files(published):
    return [source_file(name) for name in files_of(TRAINING_RUNS[published])]


def published_label_files(names=CONFIG.models):
    return expand(f"{RUN}/labels/behaviour/{published_judge()}/{{model}}.jsonl", model=names)


def training_tables():
    """Responses, then labels, that the distilled judge learns from."""
    responses = expand(f"{RUN}/responses/behaviour/{{name}}.jsonl", name=LEARNT.own)
    labels = published_label_files(LEARNT.own)
    responses += expand(f"{TRAINING}/responses/{{name}}.jsonl", name=TRAINING_RUNS)
    labels += expand(f"{TRAINING}/labels/published/{{name}}.jsonl", name=TRAINING_RUNS)
    return responses, labels


def training_pins():
    """One digest over everything that is pinned of the models that the judge learns from."""
    names = {model(name).transcripts for name in LEARNT.own} | set(TRAINING_RUNS)
    return pins(files_of(run for run in published_runs(SOURCES) if run.model in names))


def distilled_files(name):
    """What a trained judge is: its file, and in a replay its labels on cells it did not see."""
    if judge(name).kind != "distilled":
        return []
    files = [f"{RUN}/distilled/distilled.json", f"{RUN}/distilled/out_of_fold.jsonl"]
    return files if TRANSCRIPTS else files[:1]


def judge_weights(name):
    return getattr(judge(name), "weights", None)


def judge_rubric(name):
    rubric = getattr(judge(name), "rubric", None)
    return [HOME / rubric] if rubric else []


def judge_inputs(name):
    """The rubric and the weights of a judge, as far as it has them."""
    weights = judge_weights(name)
    files = [str(path) for path in judge_rubric(name)]
    return files + ([weights_file(weights)] if weights else []) + distilled_files(name)


def judge_words(name):
    weights = judge_weights(name)
    file = weights_file(weights) if weights else None
    return judge_options(judge(name), HOME, file, distilled_files(name))


def judge_threads(name):
    return all_cores() if judge_weights(name) else 1


def generated_judges():
    """Judges that label responses here; the published labels come with the transcripts."""
    return [name for name in JUDGES if judge(name).kind != "published"]
