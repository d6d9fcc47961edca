"""`activity-bench --help`, and importing the package, against bare Python."""

from timing import command, compare, python

compare("activity-bench --help", command("--help"), python("pass"), "at most 6 x", "bare Python", runs=15)
compare("import activity_bench", python("import activity_bench"), python("pass"), "at most 2 x", "bare Python", runs=15)
