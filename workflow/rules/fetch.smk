# Stage fetch: pinned sources, each checked against its digest before anything reads it.


rule fetch_weights:
    output:
        f"{CONFIG.weights_dir}/{{stem}}.gguf",
    log:
        f"{CONFIG.results}/logs/fetch/{{stem}}.log",
    params:
        name=lambda wildcards: weights_name(wildcards.stem),
        index=HOME / CONFIG.sources.weights,
        folder=lambda wildcards, output: os.path.dirname(output[0]),
    shell:
        "python -m steerability --log {log} fetch --weights {params.name} "
        "--weights-table {params.index} --weights-dir {params.folder}"
