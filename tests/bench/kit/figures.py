"""Figures by what was done and by whom, and what is made of them."""

import random
import statistics


class Figures:
    def __init__(self):
        self.values = {}

    def note(self, what, who, value):
        self.values.setdefault(what, {}).setdefault(who, []).append(value)

    def table(self):
        """For people, with ratios to cctl."""
        lines = []
        for what, by in self.values.items():
            ours = statistics.median(by["cctl"]) if "cctl" in by else None
            lines.append(what)
            for who, values in by.items():
                middle = statistics.median(values)
                ratio = f"{middle / ours:8.2f} x cctl" if ours else ""
                lines.append(f"    {who:22} {middle:10.2f}   p95 {late(values):10.2f}   n={len(values):3} {ratio}")
        return "\n".join(lines)


def late(values):
    """The 95th of a hundred."""
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * 0.95))]


def interval(values, confidence=0.99, resamples=4000, seed=1):
    """The median, and between what it lies with this confidence, by drawing again from the values (bootstrap)."""
    draw = random.Random(seed)
    medians = sorted(statistics.median(draw.choices(values, k=len(values))) for _ in range(resamples))
    out = int(resamples * (1 - confidence) / 2)
    return statistics.median(values), medians[out], medians[-1 - out]
