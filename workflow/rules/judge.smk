# Stage judge: one label per cell and judge, one object each in the store.


rule judge:
    input:
        cells=f"{RUN}/completions/{{model}}.jsonl",
        files=lambda wildcards: judge_inputs(wildcards.judge),
        code=code("judge"),
    output:
        labels=f"{RUN}/labels/{{judge}}/{{model}}.jsonl",
        facts=f"{RUN}/facts/judge/{{judge}}-{{model}}.json",
    log:
        f"{RUN}/logs/judge/{{judge}}-{{model}}.log",
    benchmark:
        f"{RUN}/benchmarks/judge/{{judge}}-{{model}}.tsv"
    threads: lambda wildcards: judge_threads(wildcards.judge)
    params:
        spec=lambda wildcards: spec(judge(wildcards.judge)),
        files=lambda wildcards: judge_options(wildcards.judge),
        store=CONFIG.store,
    shell:
        "python -m steerability --log {log} judge --judge {wildcards.judge} "
        "--spec {params.spec:q} {params.files} --cells {input.cells} --output {output.labels} "
        "--facts {output.facts} --store {params.store} --threads {threads}"
