# Stage judge: one label per cell and judge, one object each in the store.


rule judge:
    input:
        cells=f"{RUN}/completions/{{model}}.jsonl",
        files=lambda wildcards: judge_inputs(wildcards.judge),
        code=code("judge"),
    output:
        f"{RUN}/labels/{{judge}}/{{model}}.jsonl",
    log:
        f"{RUN}/logs/judge/{{judge}}-{{model}}.log",
    benchmark:
        f"{RUN}/benchmarks/judge/{{judge}}-{{model}}.tsv"
    wildcard_constraints:
        judge="|".join(map(re.escape, generated_judges())) or "none",
    container:
        judge_image
    threads: lambda wildcards: judge_threads(wildcards.judge)
    resources:
        gpu=lambda wildcards: int(GPU and bool(judge_weights(wildcards.judge))),
        mem_mb=lambda wildcards: memory_mb(judge_weights(wildcards.judge)),
    params:
        kind=lambda wildcards: judge(wildcards.judge).kind,
        options=lambda wildcards: judge_options(wildcards.judge),
        store=CONFIG.store,
        gpu_layers=CONFIG.gpu_layers,
    shell:
        "python -m steerability --log {log} judge --judge {params.kind} "
        "--name {wildcards.judge} {params.options} --cells {input.cells} --output {output} "
        "--store {params.store} --threads {threads} --gpu-layers {params.gpu_layers}"
