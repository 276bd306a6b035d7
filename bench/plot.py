"""Draws how a store's cost grows with its size: from the lines that `grow --json` adds to a file.

    python bench/plot.py grown.jsonl docs/growth.svg        wants matplotlib

Answers' times above, bytes and ingest below; both axes in powers of ten, so a line that rises one
to one with the store would rise at 45 degrees.
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
    figure, (times, costs) = plt.subplots(
        2, 1, figsize=(8, 8), sharex=True, height_ratios=[3, 1], layout="constrained"
    )
    spans = [size["spans"] for size in sizes]

    questions = [row["question"] for row in sizes[-1]["questions"] if not row["cold"]]
    for number, question in enumerate(questions):
        for cold, style in [(False, "-"), (True, ":")]:
            for key, marker, alpha in [("p50", "o", 0.6), ("p99", "^", 1.0)]:
                points = [
                    (size["spans"], row["ms"][key])
                    for size in sizes
                    for row in size["questions"]
                    if (row["question"], row["cold"]) == (question, cold) and row["error"] is None
                ]
                if not points or (cold and key == "p50"):
                    continue
                label = f"{question}, {key}{' cold' if cold else ''}" if key == "p99" and not cold else None
                times.plot(
                    *zip(*points), style, marker=marker, markersize=4, alpha=alpha, color=f"C{number}", label=label
                )
    times.set(xscale="log", yscale="log", ylabel="milliseconds")
    times.set_title("Answers: p99 (▲), median (●), p99 with a cold cache (dotted)")
    times.grid(alpha=0.3, which="both")
    times.legend(fontsize=7, loc="upper left", bbox_to_anchor=(0, -0.02), ncols=2)

    costs.plot(spans, [size["bytes_per_span"] for size in sizes], marker="s", color="C7")
    costs.set(ylabel="bytes a span on disk", xlabel=f"{sizes[-1]['data']} spans stored", ylim=(0, None))
    costs.grid(alpha=0.3)
    speed = costs.twinx()
    speed.plot(spans, [size["spans_per_core_second"] / 1e3 for size in sizes], marker="d", color="C8")
    speed.set(ylabel="thousand spans/s per core", ylim=(0, None))
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    draw(read(sys.argv[1]), sys.argv[2])
