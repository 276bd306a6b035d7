"""Draws how a store's cost grows with its size: from the lines that `grow --json` adds to a file.

    python bench/plot.py grown.jsonl docs/growth.svg        wants matplotlib

Answers' times above, bytes and ingest below. Times and sizes are in powers of ten, so that a cost that
grows as the store does is a straight line that rises by one power for each.
"""

import json
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt


def read(path):
    with open(path) as file:
        sizes = [json.loads(line) for line in file]
    return sorted(sizes, key=lambda size: size["spans"])


def draw(sizes, path):
    # Ids of parts of the drawing would otherwise differ each time, and its date.
    plt.rcParams.update({"svg.hashsalt": "fixpoint", "font.size": 9, "svg.fonttype": "none"})
    figure, panels = plt.subplot_mosaic(
        [["warm", "cold"], ["bytes", "speed"]], figsize=(10, 8), sharex=True, height_ratios=[3, 1], layout="constrained"
    )
    panels["cold"].sharey(panels["warm"])
    for name in ["warm", "cold"]:
        answers(panels[name], sizes, cold=name == "cold")
        panels[name].set_title(f"Answers, {name} cache: median (●), p99 (▲, dashed)")
    panels["warm"].set(xscale="log", yscale="log", ylabel="milliseconds")
    figure.legend(*panels["warm"].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8)

    spans = [size["spans"] for size in sizes]
    stored = f"{sizes[-1]['data']} spans stored"
    panels["bytes"].plot(spans, [size["bytes_per_span"] for size in sizes], marker="s", color="C7")
    panels["bytes"].set(ylabel="bytes a span on disk", xlabel=stored)
    # A store that was asked again did not grow.
    grown = [size for size in sizes if "spans_per_core_second" in size]
    speeds = [size["spans_per_core_second"] / 1e3 for size in grown]
    panels["speed"].plot([size["spans"] for size in grown], speeds, marker="s", color="C7")
    panels["speed"].set(ylabel="1,000 spans/s a core", xlabel=stored)
    for panel in (panels["bytes"], panels["speed"]):
        panel.set_ylim(0, panel.get_ylim()[1] * 1.2)
    for panel in panels.values():
        panel.grid(alpha=0.3)
    figure.savefig(path, metadata={"Date": None})


def answers(panel, sizes, cold):
    questions = dict.fromkeys(row["question"] for row in sizes[-1]["questions"])
    for number, question in enumerate(questions):
        rows = [
            (size["spans"], row["ms"])
            for size in sizes
            for row in size["questions"]
            if (row["question"], row["cold"], row["error"]) == (question, cold, None)
        ]
        spans = [count for count, _ in rows]
        panel.plot(spans, [ms["p50"] for _, ms in rows], "o-", color=f"C{number}", markersize=4, label=question)
        panel.plot(spans, [ms["p99"] for _, ms in rows], "^--", color=f"C{number}", markersize=4, alpha=0.6)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    draw(read(sys.argv[1]), sys.argv[2])
