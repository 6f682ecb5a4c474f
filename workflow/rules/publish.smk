# Stage publish: the page, and the manifest with the digest of everything published.


localrules:
    page,
    publish,


TABLES = [
    *rules.estimate.output,
    *rules.table.output,
    *rules.statistics.output,
    *comparison(),
    *measured(),
]


rule page:
    input:
        suites=suite_jsons(),
        interventions=f"{RUN}/interventions.jsonl",
        cells=[*response_files(), *choice_files(), *label_files(), *rules.score.output],
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
        spec=lambda wildcards: study(),
        folder=lambda wildcards, output: os.path.dirname(output[0]),
        program=code_contents("page"),
    shell:
        "python -m steerability --log {log:q} page --run {params.run:q} --spec {params.spec:q} "
        "{params.folder:q}"


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
        inputs=lambda wildcards: named_contents(),
        program=code_contents("publish"),
    shell:
        "python -m steerability --log {log:q} publish --run {params.run:q} "
        "--inputs {params.inputs:q} {params.folder:q} {input.published:q} {input.tables:q}"
