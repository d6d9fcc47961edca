"""`python -m activity_bench` is the command line."""

import sys

from activity_bench.cli import main

if __name__ == "__main__":
    sys.exit(main())
