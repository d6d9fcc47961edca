"""What the papers' tables ask for, cell by cell: the method and options of each row, and the orderings that they claim.

A plan has sizes: `small` ends on a laptop in the time that its page in docs/methods states; `paper` is the papers' own.
Every cell of a plan runs at the same size, and nothing is chosen by looking at the test split.
"""

from __future__ import annotations

from activity_bench.workflow.plans.activity_ibal import ACTIVITY_IBAL
from activity_bench.workflow.plans.cells import Asked, Cell, Place, Plan, Size
from activity_bench.workflow.plans.relocalization import RELOCALIZATION
from activity_bench.workflow.plans.what2when import WHAT2WHEN

__all__ = ["PLANS", "Asked", "Cell", "Place", "Plan", "Size"]

PLANS = {"activity-ibal": ACTIVITY_IBAL, "relocalization": RELOCALIZATION, "what2when": WHAT2WHEN}
