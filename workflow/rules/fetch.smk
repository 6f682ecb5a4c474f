# Stage fetch: pinned sources, each checked against its digest before anything reads it.


localrules:
    fetch_weights,
    fetch_suite,
    fetch_run,
    suffix,


rule fetch_weights:
    output:
        f"{CONFIG.weights_dir}/{{weights}}.gguf",
    log:
        f"{CONFIG.results}/logs/fetch/{{weights}}.log",
    wildcard_constraints:
        weights=one_of(WEIGHTS),
    params:
        sha256=lambda wildcards: WEIGHTS[wildcards.weights].sha256 or "",
        index=HOME / CONFIG.sources.weights,
        folder=lambda wildcards, output: os.path.dirname(output[0]),
        search=repeat("--search", CONFIG.weights_search),
    shell:
        "python -m steerability --log {log:q} fetch --weights {wildcards.weights} "
        "--weights-table {params.index:q} --weights-dir {params.folder:q} {params.search}"


rule fetch_suite:
    output:
        [source_file(name) for name in suite_sources()],
    log:
        f"{CONFIG.results}/logs/fetch/instrumentaleval.log",
    params:
        names=suite_sources(),
        pins=pins(suite_sources()),
        origin=from_sources(),
    shell:
        "python -m steerability --log {log:q} fetch {params.names:q} {params.origin}"


rule fetch_run:
    output:
        multiext(
            f"{CONFIG.sources.folder}/transcripts/{{published}}/{{mode}}/",
            "stdout.log",
            "config.json",
        ),
    log:
        f"{CONFIG.results}/logs/fetch/{{published}}-{{mode}}.log",
    wildcard_constraints:
        published=r"[^/]+",
        mode="|".join(MODES.values()),
    params:
        names=lambda wildcards: run_names(wildcards.published, wildcards.mode),
        pins=lambda wildcards: pins(run_names(wildcards.published, wildcards.mode)),
        origin=from_sources(),
    shell:
        "python -m steerability --log {log:q} fetch {params.names:q} {params.origin}"


rule suffix:
    input:
        suite=[source_file(name) for name in suite_sources()],
        log=lambda wildcards: source_file(suffix_log(wildcards.intervention).log),
        settings=lambda wildcards: source_file(suffix_log(wildcards.intervention).settings),
        suffixes=HOME / CONFIG.sources.suffixes,
        code=code("suffix"),
    output:
        f"{CONFIG.sources.folder}/suffixes/{{intervention}}.txt",
    log:
        f"{CONFIG.results}/logs/fetch/suffix-{{intervention}}.log",
    wildcard_constraints:
        intervention="pro|anti",
    container:
        image("analysis")
    params:
        sources=read_sources_from(),
        content=contents(HOME / CONFIG.sources.suffixes),
        program=code_contents("suffix"),
    shell:
        "python -m steerability --log {log:q} suffix {wildcards.intervention} {params.sources} "
        "--suffixes {input.suffixes:q} --output {output:q}"
