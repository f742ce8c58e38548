"""Export: which run, and what goes into the bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from secrets import token_hex
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from kd_core.deployment.cascade_defaults import AGREE, HIGHEST, LOWEST, STEP
from kd_core.deployment.runtimes import RUNTIMES, Runtime
from kd_core.errors import KDError
from kd_core.job_kinds import prepare
from kd_core.jobs.states import PENDING
from kd_core.jobs.store import RunRow
from kd_core.system import paths
from pages.shared.live_job import jobs_about
from pages.shared.state import runner
from pages.shared.text import escape


@dataclass(frozen=True)
class Wanted:
    """What goes into the zip beside the Hugging Face folder."""

    onnx: bool
    int8: bool
    calibrate: bool
    agree: float | None  # of a cascade with the teacher, which comes along then; percent

    @property
    def runtimes(self) -> tuple[Runtime, ...]:
        chosen = {"pytorch": True, "onnx": self.onnx, "int8": self.int8}
        return tuple(runtime for runtime in RUNTIMES if chosen[runtime])


def ask(made: Mapping[str, Any]) -> Wanted:
    """``made``: the settings of the bundle that is there, with which the form begins; {}: there is none."""
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.markdown("The weights and the tokenizer, and", width="content")
        onnx = st.toggle(
            "ONNX",
            made.get("onnx", True) or made.get("int8", True),  # of which int8 is made
            key="export.onnx",
            help="The same numbers without PyTorch; runs on a server, a phone or in a browser",
        )
        int8 = st.toggle(
            "ONNX int8",
            made.get("int8", True),
            key="export.int8",
            disabled=not onnx,
            help="With 8-bit weights: smaller and faster; what it costs in accuracy is measured",
        )
        calibrate = st.toggle(
            "Calibrated",
            made.get("calibrate", False),
            key="export.calibrate",
            help="The student's logits are divided by a temperature that is fitted on the validation texts, "
            "so that its probabilities can be taken at their word. No answer changes.",
        )
        pair = st.toggle(
            "Cascade",
            bool(made.get("agree")),
            key="export.cascade",
            help="A short program in which the student passes on to the teacher what it is unsure of, and "
            "the teacher, unless that is a file. Trade-offs shows what that gives.",
        )
        agree = None
        if pair:
            agree = st.number_input(
                "Agrees with the teacher (%)",
                float(LOWEST),
                HIGHEST,
                min(made.get("agree") or AGREE, HIGHEST),  # the command knows more
                STEP,
                format="%g",
                key="export.agree",
                help="On how many of all texts the two together are to give the teacher's answer. The "
                "higher, the more texts go to the teacher.",
                width=190,
            )
    return Wanted(onnx, onnx and int8, calibrate, agree)


def make(run: RunRow, wanted: Wanted, *, again: bool) -> DeltaGenerator:
    """The button that starts the job; its row has room for another."""
    busy = any(job.status in PENDING for job in jobs_about(run.id, "export"))
    row = st.container(horizontal=True, vertical_alignment="center", gap="medium")
    clicked = row.button(
        "Make it again" if again else "Make the bundle",
        type="secondary" if again else "primary",
        icon=":material/archive:",
        disabled=busy,
        key="export.make",
        help="About half a minute for the bundled task",
    )
    if clicked:
        _start(run, wanted)
    return row


def _start(run: RunRow, wanted: Wanted) -> None:
    with st.spinner("Getting ready"):
        prepare()
        from kd_core.deployment.export import ExportConfig, check  # torch comes with it
    try:
        # A folder of its own, so that the zip can have a name that means something.
        target = paths.exports() / f"{run.id}-{token_hex(4)}" / f"kd-{run.id}.zip"
        config = ExportConfig(run=run.id, to=str(target), **asdict(wanted))
        check(config)
        # A second click, before the first has drawn the page anew, asks for the same.
        tries = len(jobs_about(run.id, "export"))
        runner().submit(config, f"Export of {run.title}", kind="export", token=f"{run.id} {tries}")
    except KDError as error:
        st.error(escape(error), icon=":material/error:")
    else:
        st.rerun()
