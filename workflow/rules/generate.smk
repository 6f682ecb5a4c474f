# Stages plan and generate: one request per cell, then its completion, one object per cell in the
# store. What is declared is the assembled table, since Snakemake deletes declared outputs.


localrules:
    suite,
    interventions,
    plan,
    assemble,


rule suite:
    input:
        suite=suite_file(),
        sources=suite_files(),
        code=code("suite"),
    output:
        f"{RUN}/suite.json",
    log:
        f"{RUN}/logs/suite.log",
    container:
        image("analysis")
    params:
        options=lambda wildcards: suite_options(),
        content=contents(*suite_file()),
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
        texts=[f"{name}={text}" for name, text in intervention_texts().items()],
        content=intervention_contents(),
        program=code_contents("interventions"),
    shell:
        "python -m steerability --log {log:q} interventions {params.texts:q} --output {output:q}"


rule plan:
    input:
        suite=f"{RUN}/suite.json",
        interventions=f"{RUN}/interventions.jsonl",
        template=lambda wildcards: template_input(wildcards.model),
        code=code("plan"),
    output:
        expand(f"{RUN}/requests/{{{{model}}}}/{{shard}}.jsonl", shard=SHARDS),
    log:
        f"{RUN}/logs/plan/{{model}}.log",
    container:
        image("analysis")
    params:
        spec=lambda wildcards: spec(model(wildcards.model)),
        limit=f"--max-tokens {CONFIG.max_tokens}" if CONFIG.max_tokens else "",
        context="" if CONFIG.context == "sent" else "--no-context",
        template=lambda wildcards, input: repeat("--template", input.template),
        content=lambda wildcards: contents(*template_input(wildcards.model)),
        program=code_contents("plan"),
    shell:
        "python -m steerability --log {log:q} plan --model {wildcards.model} "
        "--spec {params.spec:q} --suite {input.suite:q} --interventions {input.interventions:q} "
        "{params.limit} {params.context} {params.template} {output:q}"


rule generate:
    input:
        requests=f"{RUN}/requests/{{model}}/{{shard}}.jsonl",
        weights=lambda wildcards: weights_file(model(wildcards.model).weights),
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
        options=lambda wildcards: endpoint_options(wildcards.model),
        store=CONFIG.store,
        program=code_contents("query"),
    shell:
        "python -m steerability --log {log:q} query {params.options} --requests {input.requests:q} "
        "--output {output.outputs:q} --facts {output.facts:q} --store {params.store:q}"


rule assemble:
    input:
        requests=expand(f"{RUN}/requests/{{{{model}}}}/{{shard}}.jsonl", shard=SHARDS),
        outputs=expand(f"{RUN}/outputs/{{{{model}}}}/{{shard}}.jsonl", shard=SHARDS),
        suite=f"{RUN}/suite.json",
        interventions=f"{RUN}/interventions.jsonl",
        code=code("assemble"),
    output:
        f"{RUN}/completions/{{model}}.jsonl",
    log:
        f"{RUN}/logs/assemble/{{model}}.log",
    container:
        image("analysis")
    params:
        requests=lambda wildcards, input: repeat("--requests", input.requests),
        outputs=lambda wildcards, input: repeat("--outputs", input.outputs),
        program=code_contents("assemble"),
    shell:
        "python -m steerability --log {log:q} assemble {params.requests} {params.outputs} "
        "--suite {input.suite:q} --interventions {input.interventions:q} --output {output:q}"
