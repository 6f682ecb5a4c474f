"""The analysis image's own test: everything imports, and a figure is drawn without a display."""

import io

import krippendorff
import matplotlib
import numpy
import pandas
import safetensors
import scipy
import sklearn
import statsmodels

matplotlib.use("Agg")
from matplotlib import pyplot

figure, axes = pyplot.subplots()
axes.plot(numpy.arange(3))
for kind in ("svg", "png"):
    figure.savefig(io.BytesIO(), format=kind)
modules = (matplotlib, numpy, pandas, safetensors, scipy, sklearn, statsmodels)
names = [f"{module.__name__} {module.__version__}" for module in modules]
print(", ".join([*names, krippendorff.__name__]))
