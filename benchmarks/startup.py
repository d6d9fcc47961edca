"""`activity-bench --help` against bare Python."""

from timing import command, compare, python

compare("--help", command("--help"), python("pass"), "under 6 x", runs=15)
