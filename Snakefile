from snakemake.utils import min_version

min_version("9.0")


configfile: f"{workflow.basedir}/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/models.smk"
include: "workflow/rules/sources.smk"
include: "workflow/rules/containers.smk"
include: "workflow/rules/fetch.smk"
include: "workflow/rules/generate.smk"
include: "workflow/rules/judges.smk"
include: "workflow/rules/judge.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/analyse.smk"
include: "workflow/rules/publish.smk"


if TRANSCRIPTS:

    include: "workflow/rules/transcripts.smk"


rule all:
    default_target: True
    input:
        final_targets(),


onsuccess:
    show_result()
