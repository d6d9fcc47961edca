"""The command line: parse, call one verb of `workflow`, show. Data goes to stdout, talk to stderr.

Exit codes: 0 done; 1 the work failed; 2 the input or the call is wrong. No traceback for what a user can cause.
"""

from __future__ import annotations

import atexit
import gc
import io
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from activity_bench import __version__, catalog
from activity_bench.errors import BenchError, nearest

TERMINATED = 128 + signal.SIGTERM


class Lazy(click.Group):
    """A group whose commands stand in `catalog.COMMANDS` and are imported when named."""

    def list_commands(self, context: click.Context) -> list[str]:
        """In the order of the table: the order in which a newcomer needs them."""
        return list(catalog.COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """The command, imported now."""
        if name not in catalog.COMMANDS:
            return None
        command: click.Command = catalog.load("command", catalog.COMMANDS, name)
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Each with the first line of its module, which is read and not imported."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, _first_line(name)) for name in self.list_commands(context)])

    def resolve_command(self, context: click.Context, args: list[str]) -> Any:
        """With a near miss for a name that is none."""
        if args and args[0] not in self.list_commands(context) and not args[0].startswith("-"):
            close = nearest(args[0], self.list_commands(context))
            context.fail(f"No such command {args[0][:80]!r}." + (f" Did you mean {close!r}?" if close else ""))
        return super().resolve_command(context, args)


def _first_line(name: str) -> str:
    """What the module of a command says it is: the first line, without the command's name."""
    spec = find_spec(catalog.COMMANDS[name].partition(":")[0])
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):  # installed without its source
        return ""
    with Path(spec.origin).open(encoding="utf-8") as stream:
        text = stream.readline().strip().strip('"').removeprefix(f"{name}: ")
    return text[:1].upper() + text[1:]


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="activity-bench")
def root() -> None:
    """Build, run and score benchmarks that find an activity in a video from a query.

    \b
    Start here:   activity-bench demo
    Then:         activity-bench list
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; its exit code."""
    if sys.stdout is None or sys.stderr is None:  # closed by whoever started us: nobody listens
        nobody = Path(os.devnull).open("w")  # noqa: SIM115 - for as long as we live
        sys.stdout, sys.stderr = sys.stdout or nobody, sys.stderr or nobody
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what a terminal's encoding lacks is escaped
            stream.reconfigure(errors="backslashreplace")
    gc.set_threshold(10_000)  # imports and files make much and no garbage: a seventh of the looks for it will do
    atexit.register(gc.freeze)  # what is left then goes with the process: no collector need look at it
    with suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGTERM, _terminated)
        if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # while we were imported
            signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        result = root.main(args=arguments, prog_name="activity-bench", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except BenchError as error:
        return _fail(str(error), error.exit_code)
    except click.ClickException as error:
        error.show(sys.stderr)
        return 2
    except (KeyboardInterrupt, click.Abort):
        return _fail("interrupted", 130)
    except BrokenPipeError:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # the reader of our output has gone: no complaint
        return 0
    except SystemExit:
        return 0  # click's, whose reader has gone: nothing else here exits by itself
    except MemoryError:
        return _fail("out of memory", 1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}", 1)


def _terminated(number: int, frame: object) -> None:
    """Leave at once. What was being written has a hidden name, and is removed."""
    if "activity_bench.data.disk" not in sys.modules:
        os._exit(TERMINATED)  # nothing has been written yet
    try:
        from activity_bench.workflow.stop import stop
    except ImportError:  # in the middle of being imported: nothing has been written yet, either
        os._exit(TERMINATED)
    stop(TERMINATED)


def _fail(message: str, code: int) -> int:
    print(f"error: {message}", file=sys.stderr)
    return code
