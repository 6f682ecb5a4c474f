# Stage publish: the manifest with the digest of everything published.


rule publish:
    input:
        requests=completion_files(),
        labels=label_files(),
        cells=f"{RUN}/cells.csv",
        table=f"{RUN}/table1.csv",
        statistics=f"{RUN}/tests.csv",
        figures=f"{RUN}/figures",
        code=code("publish"),
    output:
        f"{RUN}/manifest.json",
    log:
        f"{RUN}/logs/publish.log",
    container:
        image("analysis")
    params:
        run=CONFIG.run,
        folder=lambda wildcards, output: os.path.dirname(output[0]),
    shell:
        "python -m steerability --log {log} publish --run {params.run} {params.folder}"
