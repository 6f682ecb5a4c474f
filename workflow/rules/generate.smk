# Stages plan and generate: one request per cell, then its completion, one object per cell in the
# store. What is declared is the assembled table, since Snakemake deletes declared outputs.


localrules:
    suite,
    interventions,
    plan,
    assemble,


rule suite:
    input:
        suite=lambda wildcards: suite_file(wildcards.suite),
        sources=lambda wildcards: suite_files(wildcards.suite),
        code=code("suite"),
    output:
        f"{RUN}/suites/{{suite}}.json",
    log:
        f"{RUN}/logs/suite-{{suite}}.log",
    container:
        image("analysis")
    params:
        options=lambda wildcards: suite_options(wildcards.suite),
        content=lambda wildcards: contents(*suite_file(wildcards.suite)),
        program=code_contents("suite"),
    shell:
        "python -m steerability --log {log:q} suite {input.suite:q} {params.options} "
        "--output {output:q}"


rule interventions:
    input:
        texts=intervention_inputs(),
        code=code("interventions"),
    output:
        f"{RUN}/interventions.jsonl",
    log:
        f"{RUN}/logs/interventions.log",
    container:
        image("analysis")
    params:
        spec=lambda wildcards: recipes_json(),
        content=contents(*text_files(CONFIG, HOME)),
        program=code_contents("interventions"),
    shell:
        "python -m steerability --log {log:q} interventions --spec {params.spec:q} "
        "--output {output:q}"


rule plan:
    input:
        suites=suite_jsons(),
        interventions=f"{RUN}/interventions.jsonl",
        adapters=adapter_files(),
        template=lambda wildcards: template_input(wildcards.model),
        code=code("plan"),
    output:
        requests=expand(f"{RUN}/requests/{{{{model}}}}/{{shard}}.jsonl", shard=SHARDS),
        planned=f"{RUN}/planned/{{model}}.jsonl",
    log:
        f"{RUN}/logs/plan/{{model}}.log",
    container:
        image("analysis")
    params:
        spec=lambda wildcards: spec(plan_spec(CONFIG, wildcards.model)),
        suites=suite_words(),
        adapters=repeat("--adapter", adapter_files()),
        template=lambda wildcards, input: repeat("--template", input.template),
        content=lambda wildcards: contents(*template_input(wildcards.model)),
        program=code_contents("plan"),
    shell:
        "python -m steerability --log {log:q} plan --spec {params.spec:q} {params.suites} "
        "--interventions {input.interventions:q} {params.adapters} {params.template} "
        "--planned {output.planned:q} {output.requests:q}"


rule generate:
    input:
        requests=f"{RUN}/requests/{{model}}/{{shard}}.jsonl",
        weights=lambda wildcards: weights_file(model(wildcards.model).weights),
        adapters=adapter_files(),
        code=code("generate"),
    output:
        outputs=f"{RUN}/outputs/{{model}}/{{shard}}.jsonl",
        facts=f"{RUN}/facts/generate/{{model}}-{{shard}}.json",
    log:
        f"{RUN}/logs/generate/{{model}}-{{shard}}.log",
    benchmark:
        f"{RUN}/benchmarks/generate/{{model}}-{{shard}}.tsv"
    wildcard_constraints:
        model=one_of(gguf_models()),
    container:
        image("engine")
    threads: all_cores()
    resources:
        gpu=int(GPU),
        mem_mb=lambda wildcards: memory_mb(getattr(model(wildcards.model), "weights", None)),
    params:
        sha256=lambda wildcards: weights_digest(model(wildcards.model).weights),
        store=CONFIG.store,
        parallel=CONFIG.parallel,
        gpu_layers=CONFIG.gpu_layers,
        program=code_contents("generate"),
    shell:
        "python -m steerability --log {log:q} generate --weights {input.weights:q} {params.sha256} "
        "--requests {input.requests:q} --output {output.outputs:q} --facts {output.facts:q} "
        "--store {params.store:q} --parallel {params.parallel} --gpu-layers {params.gpu_layers} "
        "--threads {threads}"


rule query:
    input:
        requests=f"{RUN}/requests/{{model}}/{{shard}}.jsonl",
        code=code("query"),
    output:
        outputs=f"{RUN}/outputs/{{model}}/{{shard}}.jsonl",
        facts=f"{RUN}/facts/generate/{{model}}-{{shard}}.json",
    log:
        f"{RUN}/logs/generate/{{model}}-{{shard}}.log",
    wildcard_constraints:
        model=one_of(endpoint_models()),
    params:
        options=lambda wildcards: endpoint_options(model(wildcards.model)),
        store=CONFIG.store,
        program=code_contents("query"),
    shell:
        "python -m steerability --log {log:q} query {params.options} --requests {input.requests:q} "
        "--output {output.outputs:q} --facts {output.facts:q} --store {params.store:q}"


rule assemble:
    input:
        planned=f"{RUN}/planned/{{model}}.jsonl",
        outputs=expand(f"{RUN}/outputs/{{{{model}}}}/{{shard}}.jsonl", shard=SHARDS),
        suites=lambda wildcards: suite_json(STUDY.task(wildcards.task).suite),
        code=code("assemble"),
    output:
        f"{RUN}/{{kind}}/{{task}}/{{model}}.jsonl",
    log:
        f"{RUN}/logs/assemble/{{kind}}-{{task}}-{{model}}.log",
    wildcard_constraints:
        kind="responses|choices",
    container:
        image("analysis")
    params:
        spec=lambda wildcards: study("analysis", "notes", "remark"),
        suite=lambda wildcards, input: shlex.quote(
            f"{STUDY.task(wildcards.task).suite}={input.suites}"
        ),
        outputs=lambda wildcards, input: repeat("--outputs", input.outputs),
        program=code_contents("assemble"),
    shell:
        "python -m steerability --log {log:q} assemble --planned {input.planned:q} "
        "{params.outputs} --spec {params.spec:q} --suite {params.suite} --task {wildcards.task} "
        "--output {output:q}"
