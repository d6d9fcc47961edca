"""The command line with the toy among its methods, for tests that start processes of their own."""

from __future__ import annotations

import sys

import torch

from activity_bench import catalog
from activity_bench.cli import main

if __name__ == "__main__":
    torch.set_num_threads(1)
    catalog.METHODS["toy"] = "tests.training.toy:Method"
    sys.exit(main())
