"""Runs the cells of a notebook and prints, as JSON, what its figure shows: labels and lengths of bars."""

import json
import sys

import matplotlib

matplotlib.use("Agg")

with open(sys.argv[1], encoding="utf-8") as file:
    cells = json.load(file)["cells"]
names = {}
for cell in cells:
    if cell["cell_type"] == "code":
        exec(compile(cell["source"], sys.argv[1], "exec"), names)
axes = names["axes"]
labels = [label.get_text() for label in axes.get_yticklabels()]
print(json.dumps({label: int(bar.get_width()) for label, bar in zip(labels, axes.patches)}))
