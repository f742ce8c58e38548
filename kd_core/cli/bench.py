"""``kd bench``: how fast the models of a run are, and under which conditions."""

from __future__ import annotations

import sys

import click

from kd_core.cli.bench_tables import show
from kd_core.cli.carry_out import start
from kd_core.cli.output import as_json, console, print_json
from kd_core.cli.runs import called, find_finished


@click.command()
@click.argument("run")
@as_json
def bench(run: str, as_json: bool) -> None:
    """Measure teacher and student of RUN in PyTorch, ONNX and ONNX int8, in a minute or two.

    Batches of 1, 8 and 32; test texts and texts of 16, 64 and 128 tokens; 1 thread and all. For good numbers,
    let nothing else run meanwhile.
    """
    run_id = find_finished(run)
    from kd_core.deployment.benchmark import BenchConfig
    from kd_core.jobs.store import Store

    report = start(Store(), BenchConfig(run=run_id), kind="bench", name=f"Benchmark of {called(run_id)}")
    if as_json:
        return print_json(report)
    return show(console(sys.stdout), report)
