# Stage publish: the page, and the manifest with the digest of everything published.


localrules:
    page,
    publish,


TABLES = [*rules.table.output, *rules.statistics.output, *comparison(), *measured()]


rule page:
    input:
        suite=f"{RUN}/suite.json",
        interventions=f"{RUN}/interventions.jsonl",
        completions=completion_files(),
        labels=label_files(),
        cells=f"{RUN}/cells.csv",
        tables=TABLES,
        figures=rules.figures.output,
        code=code("page"),
    output:
        reported("index.html", "The page", "Pages"),
    log:
        f"{RUN}/logs/page.log",
    container:
        image("analysis")
    params:
        run=CONFIG.run,
        folder=lambda wildcards, output: os.path.dirname(output[0]),
        notes=lambda wildcards: judge_notes(),
        program=code_contents("page"),
    shell:
        "python -m steerability --log {log:q} page --run {params.run:q} {params.folder:q} "
        "{params.notes:q}"


rule publish:
    input:
        published=published_files(),
        tables=TABLES,
        code=code("publish"),
    output:
        reported("manifest.json", "Manifest", "Digests"),
    log:
        f"{RUN}/logs/publish.log",
    container:
        image("analysis")
    params:
        run=CONFIG.run,
        folder=lambda wildcards, output: os.path.dirname(output[0]),
        inputs=named_contents(),
        program=code_contents("publish"),
    shell:
        "python -m steerability --log {log:q} publish --run {params.run:q} "
        "--inputs {params.inputs:q} {params.folder:q} {input.published:q} {input.tables:q}"
