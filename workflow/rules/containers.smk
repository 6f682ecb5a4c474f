# What runs where: the shell's first words, the images of the stages, the threads and memory of jobs,
# and a look at the host before anything runs.

from steerability.rules.images import (
    binds_of,
    image_file,
    images_of,
    judge_image as image_name,
)
from steerability.rules.preflight import preflight, unused_gpu
from steerability.support.lifeline import VARIABLE, hold

# A job ends when this process does, however that ends; a shell alone would let it run on.
# In a container the image's python and its packages are used, outside the one that runs Snakemake.
LIFELINE = hold(Path(".snakemake") / "steerability")
shell.prefix(
    (f"export {VARIABLE}={shlex.quote(str(LIFELINE))}; " if LIFELINE else "")
    + '[ -n "${{APPTAINER_CONTAINER:-}}" ] || '
    f"export PATH={shlex.quote(os.path.dirname(sys.executable))}:$PATH; "
    f"export PYTHONPATH={shlex.quote(f'{workflow.basedir}/workflow')} PYTHONHASHSEED=0; "
)

DEPLOYMENT = workflow.deployment_settings
IN_CONTAINERS = "apptainer" in {str(method) for method in DEPLOYMENT.deployment_method}
GPU = "--nv" in (DEPLOYMENT.apptainer_args or "").split()


def image(name):
    """Snakemake refuses a path with a blank even where no container is used; then none is named."""
    path = str(image_file(HOME, name, gpu=GPU))
    return path if IN_CONTAINERS or " " not in path else None


def judge_image(wildcards):
    """Judges with weights need the engine, those without the analysis packages, APIs the network."""
    name = image_name(judge(wildcards.judge))
    return image(name) if name else None


def all_cores():
    """Threads of the jobs that use a whole machine, shared among its graphics cards.

    On a cluster the profile's set-threads says.
    """
    cards = workflow.global_resources.get("gpu", 1) if GPU else 1
    return max(1, (workflow.resource_settings.cores or 8) // max(1, cards))


def memory_mb(weights):
    """Memory, in MB, of a job that loads weights: their size, its cache beside them, and Python.

    A size that is not known yet (`steerability lock`) counts as that of the largest pinned model.
    """
    size = (WEIGHTS[weights].bytes or 20_000_000_000) if weights else 0
    return 4000 + round(1.25e-6 * size)


def check_host():
    """Fail now, with one line, for what would fail later; let containers see what they need."""
    # A cluster's jobs bring their own host, where this is read again.
    here = workflow.resource_settings.cores is not None or workflow.remote_exec
    named = images_of(CONFIG, HOME, gpu=GPU)
    images = named if IN_CONTAINERS else []
    preflight(images=images, store=Path(CONFIG.store), gpu=GPU and here)
    on_cpu = not GPU and image_file(HOME, "engine", gpu=GPU) in named
    if on_cpu and here and workflow.is_main_process and unused_gpu():
        print(unused_gpu(), file=sys.stderr)
    options = shlex.join(binds_of(CONFIG, HOME, Path.cwd()))
    if IN_CONTAINERS and options not in (DEPLOYMENT.apptainer_args or ""):
        DEPLOYMENT.apptainer_args = f"{DEPLOYMENT.apptainer_args or ''} {options}"


with exit_if_wrong():
    check_host()
