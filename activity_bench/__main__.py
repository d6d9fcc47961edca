"""The program: `activity-bench`, or `python -m activity_bench`."""

import signal
import sys


def run() -> int:
    """The command line, imported here: an interrupt while half of it is there ends us without a traceback."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else whoever started us wants it ignored
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from activity_bench.cli import main

    return main()


if __name__ == "__main__":
    sys.exit(run())
