# Stage transcribe, in place of plan and generate: the author's published outputs and labels as
# completions and labels, and the comparison of their Table 1 with the published one.


localrules:
    transcribe,
    compare_published,


ruleorder: transcribe > assemble


rule transcribe:
    input:
        suite=suite_json(CONFIG.suite),
        runs=lambda wildcards: run_files(wildcards.model),
        suffixes=HOME / CONFIG.sources.suffixes,
        code=code("transcribe"),
    output:
        responses=f"{RUN}/responses/behaviour/{{model}}.jsonl",
        labels=f"{RUN}/labels/behaviour/{published_judge()}/{{model}}.jsonl",
    log:
        f"{RUN}/logs/transcribe/{{model}}.log",
    container:
        image("analysis")
    params:
        published=lambda wildcards: model(wildcards.model).transcripts,
        interventions=lambda wildcards: repeat(
            "--intervention", [run.intervention for run in runs_of(wildcards.model)]
        ),
        pins=lambda wildcards: run_pins(wildcards.model),
        judge=published_judge(),
        sources=read_sources_from(),
        store=CONFIG.store,
        content=contents(HOME / CONFIG.sources.suffixes),
        program=code_contents("transcribe"),
    shell:
        "python -m steerability --log {log:q} transcribe --model {wildcards.model} "
        "--published {params.published:q} {params.interventions} --suite {input.suite:q} {params.sources} "
        "--suffixes {input.suffixes:q} --judge {params.judge:q} --store {params.store:q} "
        "--output {output.responses:q} --labels {output.labels:q}"


rule compare_published:
    input:
        table=f"{RUN}/table1.csv",
        reference=HOME / CONFIG.sources.published,
        code=code("compare-published"),
    output:
        reported("comparison.csv", "Against the published table"),
    log:
        f"{RUN}/logs/compare-published.log",
    container:
        image("analysis")
    params:
        content=contents(HOME / CONFIG.sources.published),
        program=code_contents("compare-published"),
    shell:
        "python -m steerability --log {log:q} compare-published --table {input.table:q} "
        "--reference {input.reference:q} --output {output:q}"
