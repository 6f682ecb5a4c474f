# The models of a run, and their weights and chat templates.


def model(name):
    return CONFIG.catalogue.models[name]


def endpoint_models():
    return [name for name in CONFIG.models if isinstance(model(name), EndpointModel)]


def gguf_models():
    return [name for name in CONFIG.models if name not in endpoint_models()]


def weights_file(name):
    """A link to the weights, which lie beside it under their digest.

    Snakemake deletes the outputs of a job before it runs it: that must not be gigabytes.
    """
    return f"{CONFIG.weights_dir}/{name}.gguf"


def model_facts():
    """Size and stage by model, as JSON."""
    return canonical_json({n: [model(n).size, model(n).stage] for n in CONFIG.models}).decode()


def template_input(name):
    template = getattr(model(name), "template", "gguf")
    return [] if template in ("gguf", "none") else [str(HOME / template)]


def weights_digest(name):
    digest = WEIGHTS[name].sha256
    return f"--weights-sha256 {digest}" if digest else ""
