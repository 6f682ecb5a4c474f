# Stages score and analyse: the tidy table that everything after it reads, then tables and figures.


localrules:
    score,
    estimate,
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
        cells=f"{RUN}/cells.csv",
        study=f"{RUN}/study.json",
        choices=[f"{RUN}/choices.csv"] if CHOSEN else [],
    log:
        f"{RUN}/logs/score.log",
    container:
        image("analysis")
    params:
        spec=lambda wildcards: study(),
        models=lambda wildcards: model_facts(),
        suites=suite_words(),
        responses=lambda wildcards, input: repeat("--responses", input.responses),
        labels=lambda wildcards, input: repeat("--labels", input.labels),
        choices=lambda wildcards, input, output: (
            f"{repeat('--choices', input.choices)} --choices-output {shlex.quote(output.choices)}"
            if CHOSEN
            else ""
        ),
        program=code_contents("score"),
    shell:
        "python -m steerability --log {log:q} score --spec {params.spec:q} "
        "--models {params.models:q} {params.suites} {params.responses} {params.labels} "
        "{params.choices} --output {output.cells:q} --study {output.study:q}"


rule estimate:
    input:
        cells=f"{RUN}/cells.csv" if GENERATED else [],
        choices=f"{RUN}/choices.csv" if CHOSEN else [],
        interventions=f"{RUN}/interventions.jsonl",
        code=code("estimate"),
    output:
        reported("rates.csv", "Rates of every outcome"),
        reported("contrasts.csv", "Differences between interventions"),
        reported("categories.csv", "Rates by category"),
        reported("steering.csv", "Shifts from the baseline"),
    log:
        f"{RUN}/logs/estimate.log",
    container:
        image("analysis")
    params:
        spec=study("notes", "remark"),
        models=lambda wildcards: model_facts(),
        cells=f"--cells {shlex.quote(f'{RUN}/cells.csv')}" if GENERATED else "",
        choices=f"--choices {shlex.quote(f'{RUN}/choices.csv')}" if CHOSEN else "",
        folder=lambda wildcards, output: os.path.dirname(output[0]),
        program=code_contents("estimate"),
    shell:
        "python -m steerability --log {log:q} estimate --spec {params.spec:q} "
        "--models {params.models:q} {params.cells} {params.choices} "
        "--interventions {input.interventions:q} --output-dir {params.folder:q}"


rule table:
    input:
        rates=f"{RUN}/rates.csv",
        contrasts=f"{RUN}/contrasts.csv",
        steering=f"{RUN}/steering.csv",
        code=code("table"),
    output:
        multiext(f"{RUN}/table1", ".csv", ".md", ".tex"),
        reported("table1.html", "Table 1"),
        multiext(f"{RUN}/table1_by_judge", ".csv", ".md"),
        reported("outcomes.csv", "Labels by model and intervention"),
    log:
        f"{RUN}/logs/table.log",
    container:
        image("analysis")
    params:
        judge=primary_judge(),
        spec=lambda wildcards: study(),
        folder=lambda wildcards, output: os.path.dirname(output[0]),
        program=code_contents("table"),
    shell:
        "python -m steerability --log {log:q} table --spec {params.spec:q} "
        "--rates {input.rates:q} --contrasts {input.contrasts:q} --steering {input.steering:q} "
        "--output-dir {params.folder:q}"


rule statistics:
    input:
        cells=f"{RUN}/cells.csv" if GENERATED else [],
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
        judge=primary_judge(),
        spec=study("remark"),
        folder=lambda wildcards, output: os.path.dirname(output[0]),
        cells=f"--cells {shlex.quote(f'{RUN}/cells.csv')}" if GENERATED else "",
        files=lambda wildcards, input: shlex.join(
            word
            for option, paths in (
                ("--reference", input.reference),
                ("--calibration", input.calibration),
            )
            for path in ([paths] if isinstance(paths, str) else paths)
            for word in (option, str(path))
        ),
        content=contents(
            HOME / CONFIG.sources.published,
            *(HOME / path for path in CONFIG.analysis.reference_labels),
            *([CONFIG.analysis.calibration] if CONFIG.analysis.calibration else []),
        ),
        program=code_contents("statistics"),
    shell:
        "python -m steerability --log {log:q} statistics --spec {params.spec:q} {params.cells} "
        "--published {input.published:q} --output-dir {params.folder:q} {params.files}"


rule figures:
    input:
        tables=rules.estimate.output,
        cells=rules.score.output,
        interventions=f"{RUN}/interventions.jsonl",
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
        judge=primary_judge(),
        spec=study("remark"),
        folder=lambda wildcards, output: os.path.dirname(output[0]),
        files=figure_files(),
        content=contents(HOME / CONFIG.sources.published, *CONFIG.analysis.ablations.values()),
        program=code_contents("figures"),
    shell:
        "python -m steerability --log {log:q} figures --spec {params.spec:q} "
        "--rates {input.tables[0]:q} --contrasts {input.tables[1]:q} "
        "--categories {input.tables[2]:q} --steering {input.tables[3]:q} "
        "--interventions {input.interventions:q} --published {input.published:q} "
        "--output-dir {params.folder:q} {params.files}"
