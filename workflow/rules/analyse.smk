# Stages score and analyse: the tidy table that everything after it reads, then tables and figures.


def judge_notes():
    """`--note JUDGE=TEXT` for every judge whose figures need a warning beside them."""
    return [word for name, note in STUDY.notes.items() for word in ("--note", f"{name}={note}")]


def measured():
    """agreement.csv and calibration.csv, in this order, where a rule of this run makes them."""
    made = any(rule.name == "agreement" for rule in workflow.rules)
    return list(rules.agreement.output) if made else []


def figure_names():
    """What is drawn of this run; judges' agreement where it is measured."""
    always = "convergence delta outcomes categories flips ablations judges".split()
    return always + ("agreement confusion calibration".split() if measured() else [])


def figure_files():
    """The further tables that figures are drawn from, as options."""
    words = [
        word
        for option, path in zip(("--agreement", "--calibration"), measured())
        for word in (option, path)
    ]
    for name, path in CONFIG.analysis.ablations.items():
        words += ["--ablation", f"{name}={path}"]
    return words


def drawn():
    """Every figure as SVG, with its caption in the report, and as PNG."""
    names = figure_names()
    vector = [reported(f"figures/{name}.svg", name.capitalize(), "Figures") for name in names]
    return vector + [f"{RUN}/figures/{name}.png" for name in names]


def comparison():
    """The comparison with the published table, which goes with published outputs."""
    return [f"{RUN}/comparison.csv"] if TRANSCRIPTS else []


localrules:
    score,
    table,
    statistics,
    figures,


rule score:
    input:
        responses=response_files(),
        labels=label_files(),
        choices=choice_files(),
        suites=suite_jsons(),
        code=code("score"),
    output:
        f"{RUN}/cells.csv",
        f"{RUN}/study.json",
        *([f"{RUN}/choices.csv"] if CHOSEN else []),
    log:
        f"{RUN}/logs/score.log",
    container:
        image("analysis")
    params:
        spec=study(),
        models=model_facts(),
        suites=suite_words(),
        responses=lambda wildcards, input: repeat("--responses", input.responses),
        labels=lambda wildcards, input: repeat("--labels", input.labels),
        choices=lambda wildcards, input, output: (
            f"{repeat('--choices', input.choices)} --choices-output {shlex.quote(output[2])}"
            if CHOSEN
            else ""
        ),
        program=code_contents("score"),
    shell:
        "python -m steerability --log {log:q} score --spec {params.spec:q} "
        "--models {params.models:q} {params.suites} {params.responses} {params.labels} "
        "{params.choices} --output {output[0]:q} --study {output[1]:q}"


rule table:
    input:
        cells=f"{RUN}/cells.csv",
        code=code("table"),
    output:
        multiext(f"{RUN}/table1", ".csv", ".md", ".tex"),
        reported("table1.html", "Table 1"),
        multiext(f"{RUN}/table1_by_judge", ".csv", ".md"),
        reported("outcomes.csv", "Labels by model and intervention"),
        reported("categories.csv", "Rates by category"),
    log:
        f"{RUN}/logs/table.log",
    container:
        image("analysis")
    params:
        judge=CONFIG.primary_judge,
        folder=lambda wildcards, output: os.path.dirname(output[0]),
        notes=judge_notes(),
        remark=absent_remark(),
        analysis=spec(CONFIG.analysis),
    shell:
        "python -m steerability --log {log:q} table --cells {input.cells:q} "
        "--judge {params.judge:q} --analysis {params.analysis:q} --output-dir {params.folder:q} "
        "{params.notes:q} {params.remark:q}"


rule statistics:
    input:
        cells=f"{RUN}/cells.csv",
        published=HOME / CONFIG.sources.published,
        reference=[HOME / path for path in CONFIG.analysis.reference_labels],
        calibration=CONFIG.analysis.calibration or [],
        code=code("statistics"),
    output:
        f"{RUN}/hypotheses.md",
        f"{RUN}/corrected.md",
        reported("tests.csv", "Declared tests"),
        reported("hypotheses.csv", "The three hypotheses"),
        reported("corrected.csv", "Rates corrected for judge error"),
        reported("judge_sensitivity.csv", "Verdicts under every judge"),
        reported("power.csv", "What the suite can show"),
    log:
        f"{RUN}/logs/statistics.log",
    container:
        image("analysis")
    params:
        judge=CONFIG.primary_judge,
        folder=lambda wildcards, output: os.path.dirname(output[0]),
        notes=judge_notes(),
        analysis=spec(CONFIG.analysis),
        files=lambda wildcards, input: [
            *(word for path in input.reference for word in ("--reference", path)),
            *(["--calibration", input.calibration] if input.calibration else []),
        ],
    shell:
        "python -m steerability --log {log:q} statistics --cells {input.cells:q} "
        "--judge {params.judge:q} --analysis {params.analysis:q} --published {input.published:q} "
        "--output-dir {params.folder:q} {params.files:q} {params.notes:q}"


rule figures:
    input:
        cells=f"{RUN}/cells.csv",
        published=HOME / CONFIG.sources.published,
        measured=measured(),
        ablations=CONFIG.analysis.ablations.values(),
        code=code("figures"),
    output:
        drawn(),
    log:
        f"{RUN}/logs/figures.log",
    container:
        image("analysis")
    params:
        judge=CONFIG.primary_judge,
        folder=lambda wildcards, output: os.path.dirname(output[0]),
        notes=judge_notes(),
        analysis=spec(CONFIG.analysis),
        files=figure_files(),
    shell:
        "python -m steerability --log {log:q} figures --cells {input.cells:q} "
        "--judge {params.judge:q} --analysis {params.analysis:q} --published {input.published:q} "
        "--output-dir {params.folder:q} {params.files:q} {params.notes:q}"
