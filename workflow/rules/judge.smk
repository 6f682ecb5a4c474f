# Stage judge: one label per cell and judge, one object each in the store.


rule judge:
    input:
        cells=f"{RUN}/responses/{{task}}/{{model}}.jsonl",
        files=lambda wildcards: judge_inputs(wildcards.judge),
        code=code("judge"),
    output:
        f"{RUN}/labels/{{task}}/{{judge}}/{{model}}.jsonl",
    log:
        f"{RUN}/logs/judge/{{task}}/{{judge}}/{{model}}.log",
    benchmark:
        f"{RUN}/benchmarks/judge/{{task}}/{{judge}}/{{model}}.tsv"
    wildcard_constraints:
        judge=one_of(generated_judges()),
    container:
        judge_image
    threads: lambda wildcards: judge_threads(wildcards.judge)
    resources:
        gpu=lambda wildcards: int(GPU and bool(judge_weights(wildcards.judge))),
        mem_mb=lambda wildcards: memory_mb(judge_weights(wildcards.judge)),
    params:
        kind=lambda wildcards: judge(wildcards.judge).kind,
        options=lambda wildcards: judge_words(wildcards.judge),
        scale=lambda wildcards: scale_of(wildcards.task),
        content=lambda wildcards: contents(*judge_rubric(wildcards.judge)),
        program=code_contents("judge"),
        store=CONFIG.store,
        gpu_layers=CONFIG.gpu_layers,
    shell:
        "python -m steerability --log {log:q} judge --judge {params.kind} "
        "--name {wildcards.judge} {params.options} --scale {params.scale:q} "
        "--cells {input.cells:q} --output {output:q} "
        "--store {params.store:q} --threads {threads} --gpu-layers {params.gpu_layers}"


if DISTILS and not TRANSCRIPTS:

    rule training_suite:
        input:
            sources=[source_file(name) for name in suite_sources()],
            code=code("suite"),
        output:
            TRAINING_SUITE,
        log:
            f"{RUN}/logs/training/suite.log",
        container:
            image("analysis")
        params:
            sources=read_sources_from(),
            program=code_contents("suite"),
        shell:
            "python -m steerability --log {log:q} suite --instrumentaleval published "
            "{params.sources} --output {output:q}"


if TRAINING_RUNS:

    # Published outputs to learn from, besides those that are this run's own.
    rule training_cells:
        input:
            suite=TRAINING_SUITE,
            runs=lambda wildcards: training_files(wildcards.published),
            suffixes=HOME / CONFIG.sources.suffixes,
            code=code("transcribe"),
        output:
            responses=f"{TRAINING}/responses/{{published}}.jsonl",
            labels=f"{TRAINING}/labels/published/{{published}}.jsonl",
        log:
            f"{RUN}/logs/training/{{published}}.log",
        wildcard_constraints:
            published="|".join(map(re.escape, TRAINING_RUNS)) or "none",
        container:
            image("analysis")
        params:
            interventions=lambda wildcards: repeat(
                "--intervention",
                [run.intervention for run in TRAINING_RUNS[wildcards.published]],
            ),
            sources=read_sources_from(),
            pins=lambda wildcards: pins(files_of(TRAINING_RUNS[wildcards.published])),
            content=contents(HOME / CONFIG.sources.suffixes),
            program=code_contents("transcribe"),
            store=CONFIG.store,
        shell:
            "python -m steerability --log {log:q} transcribe --model {wildcards.published} "
            "--published {wildcards.published} {params.interventions} "
            "--suite {input.suite:q} {params.sources} --suffixes {input.suffixes:q} "
            "--judge published --store {params.store:q} --output {output.responses:q} "
            "--labels {output.labels:q}"


if DISTILS:

    # ancient: one more run of a model that it learnt from is judged by the judge that there is; it
    # does not make another one of it, whose labels would all be new.
    rule distil:
        input:
            suite=TRAINING_SUITE,
            responses=ancient(training_tables()[0]),
            labels=ancient(training_tables()[1]),
            rubric=HOME / "workflow" / "judges" / "rules.yaml",
            code=code("distil", "transcribe"),
        output:
            pointer=f"{RUN}/distilled/distilled.json",
            held_out=f"{RUN}/distilled/out_of_fold.jsonl",
        log:
            f"{RUN}/logs/distil.log",
        benchmark:
            f"{RUN}/benchmarks/distil.tsv"
        container:
            image("analysis")
        params:
            folder=lambda wildcards, output: os.path.dirname(output.pointer),
            pins=training_pins(),
            responses=lambda wildcards, input: repeat("--responses", input.responses),
            labels=lambda wildcards, input: repeat("--labels", input.labels),
            content=contents(HOME / "workflow" / "judges" / "rules.yaml"),
            program=code_contents("distil", "transcribe"),
        shell:
            "python -m steerability --log {log:q} distil {params.responses} "
            "{params.labels} --definition {input.rubric:q} "
            "--output-dir {params.folder:q} --out-of-fold {output.held_out:q}"


if TRANSCRIPTS:

    rule agreement:
        input:
            responses=response_files(),
            reference=published_label_files(),
            labels=[path for path in label_files() if path not in published_label_files()],
            held_out=[f"{RUN}/distilled/out_of_fold.jsonl"] if DISTILS else [],
            code=code("agreement"),
        output:
            agreement=f"{RUN}/agreement.csv",
            calibration=f"{RUN}/calibration.csv",
        log:
            f"{RUN}/logs/agreement.log",
        container:
            image("analysis")
        params:
            labels=lambda wildcards, input: repeat("--labels", input.labels),
            tuned=repeat("--tuned", judges_of_kind("rules")),
            held_out=lambda wildcards, input: repeat(
                "--out-of-fold",
                [f"{name}={input.held_out[0]}" for name in judges_of_kind("distilled")],
            ),
            analysis=(
                f"--seed {CONFIG.analysis.seed} --resamples {CONFIG.analysis.resamples} "
                f"--confidence {CONFIG.analysis.confidence}"
            ),
            responses=lambda wildcards, input: repeat("--responses", input.responses),
            reference=lambda wildcards, input: repeat("--reference", input.reference),
            program=code_contents("agreement"),
        shell:
            "python -m steerability --log {log:q} agreement {params.responses} "
            "{params.reference} {params.labels} {params.tuned} {params.held_out} "
            "{params.analysis} --output {output.agreement:q} "
            "--calibration {output.calibration:q}"
