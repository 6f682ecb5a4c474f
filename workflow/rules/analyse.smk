# Stages score and analyse: the tidy table that everything after it reads, then tables and figures.


localrules:
    score,
    table,
    statistics,
    figures,


rule score:
    input:
        completions=completion_files(),
        labels=label_files(),
        code=code("score"),
    output:
        f"{RUN}/cells.csv",
    log:
        f"{RUN}/logs/score.log",
    container:
        image("analysis")
    params:
        completions=lambda wildcards, input: repeat("--completions", input.completions),
        labels=lambda wildcards, input: repeat("--labels", input.labels),
        program=code_contents("score"),
    shell:
        "python -m steerability --log {log:q} score {params.completions} {params.labels} "
        "--output {output:q}"


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
        notes=lambda wildcards: judge_notes(),
        remark=lambda wildcards: absent_remark(),
        analysis=spec(CONFIG.analysis),
        program=code_contents("table"),
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
        notes=lambda wildcards: judge_notes(),
        analysis=spec(CONFIG.analysis),
        files=lambda wildcards, input: [
            *(word for path in input.reference for word in ("--reference", path)),
            *(["--calibration", input.calibration] if input.calibration else []),
        ],
        content=contents(
            HOME / CONFIG.sources.published,
            *(HOME / path for path in CONFIG.analysis.reference_labels),
            *([CONFIG.analysis.calibration] if CONFIG.analysis.calibration else []),
        ),
        program=code_contents("statistics"),
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
        notes=lambda wildcards: judge_notes(),
        analysis=spec(CONFIG.analysis),
        files=figure_files(),
        content=contents(HOME / CONFIG.sources.published, *CONFIG.analysis.ablations.values()),
        program=code_contents("figures"),
    shell:
        "python -m steerability --log {log:q} figures --cells {input.cells:q} "
        "--judge {params.judge:q} --analysis {params.analysis:q} --published {input.published:q} "
        "--output-dir {params.folder:q} {params.files:q} {params.notes:q}"
