# What the tables and figures of a run are drawn from, and the figures that it has.


def primary_judge():
    """The judge of Table 1 and the declared tests, for captions."""
    return next((task.primary_judge for task in STUDY.labelled), "none")


def measured():
    """agreement.csv and calibration.csv, in this order, where a rule of this run makes them."""
    made = any(rule.name == "agreement" for rule in workflow.rules)
    return list(rules.agreement.output) if made else []


def figure_files():
    """The further tables that figures are drawn from, as options."""
    words = [
        word
        for option, path in zip(("--agreement", "--calibration"), measured())
        for word in (option, path)
    ]
    words += ["--cells", f"{RUN}/cells.csv"] if GENERATED else []
    words += ["--choices", f"{RUN}/choices.csv"] if CHOSEN else []
    for name, path in CONFIG.analysis.ablations.items():
        words += ["--ablation", f"{name}={path}"]
    return shlex.join(words)


def drawing(figure):
    """A figure's SVG in `snakemake --report`, with the caption of its kind."""
    return report(
        f"{RUN}/figures/{figure.name}.svg",
        caption=f"../report/figures/{figure.kind}.rst",
        category="Figures",
        labels={"name": figure.title},
    )


def drawn():
    """Every figure as SVG, with its caption in the report, and as PNG."""
    figures = figures_of(STUDY, measured=bool(measured()))
    vector = [drawing(figure) for figure in figures]
    return vector + [f"{RUN}/figures/{figure.name}.png" for figure in figures]


def comparison():
    """The comparison with the published table, which goes with published outputs."""
    return [f"{RUN}/comparison.csv"] if TRANSCRIPTS else []
