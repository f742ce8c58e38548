"""The ``kd`` command: results on stdout, progress on stderr.

Whatever loads torch, pydantic or the database is imported inside the commands, so that ``kd --help`` answers
at once.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

import click

from kd_core.cli.app import app
from kd_core.cli.ask import ask, suspects
from kd_core.cli.bench import bench
from kd_core.cli.cascade import cascade
from kd_core.cli.clean import clean
from kd_core.cli.curve import curve
from kd_core.cli.distill import distill, resume
from kd_core.cli.export import export
from kd_core.cli.handout import handout
from kd_core.cli.index import index
from kd_core.cli.predict import predict
from kd_core.cli.runs import delete, pause, runs, show, stop
from kd_core.cli.search import search
from kd_core.cli.tasks import models, tasks
from kd_core.errors import ConfigError, KDError, Stopped
from kd_core.system.formatting import printable
from kd_core.system.process import collect_garbage_rarely

# The libraries' own bars and remarks would run through ours.
QUIET = {
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
}


def main(args: Sequence[str] | None = None) -> int:
    """Run ``kd`` and return its exit status: 0, 2 for a user's mistake, 130 for a stopped run."""
    collect_garbage_rarely()
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # whoever started us has closed it
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - for as long as the process lives
    for stream in (sys.stdout, sys.stderr):  # in a log or a pipe of another encoding, ± and − become ?
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        return int(kd.main(args, prog_name="kd", standalone_mode=False) or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 2
    except click.Abort:  # click's name for Ctrl-C
        return _fail(130, "interrupted")
    except click.ClickException as error:
        return _fail(2, error.format_message())
    except Stopped as error:
        return _fail(130, str(error))
    except ConfigError as error:
        return _fail(2, *error.problems)
    except KDError as error:
        return _fail(2, str(error))
    except OSError as error:  # a disk that is full, or a folder that may not be written
        where = f"{error.filename}: " if error.filename else ""
        return _fail(2, f"{where}{error.strerror or error}. Check the disk and who may write there.")


def _folder_is_gone() -> bool:
    try:
        os.getcwd()
    except OSError:
        return True
    return False


def _fail(status: int, *problems: str) -> int:
    if status == 2 and _folder_is_gone():  # whatever else is said follows from that
        problems = ("The folder that you are in was deleted or moved. Change to another, for example cd.",)
    with suppress(OSError):  # a terminal that was closed
        for problem in problems:
            click.echo(printable(f"kd: {problem}"), err=True)
    return status


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="kd-studio", prog_name="kd")
def kd() -> None:
    """Knowledge distillation of text classifiers: a large teacher, a small student."""


COMMANDS = (
    app,
    ask,
    bench,
    cascade,
    clean,
    curve,
    delete,
    distill,
    export,
    handout,
    index,
    models,
    pause,
    predict,
    resume,
    runs,
    search,
    show,
    stop,
    suspects,
    tasks,
)
for command in COMMANDS:
    kd.add_command(command)
