"""A fictitious state, drawn from a seed: its standard extracts, and the truth about them.

Nothing here is about anybody. The same plan writes the same bytes, on any machine, so a test
can know a figure before the pipeline has computed it (`truths.json`).
"""

from include.demo.plan import BadPlan, Plan
from include.demo.state import generate

__all__ = ["BadPlan", "Plan", "generate"]
