"""Report, Reproduce: the run again, as a command, as Python and as a config file."""

from __future__ import annotations

import streamlit as st

from kd_core.config import DistillConfig
from kd_core.distillation.report import Report
from kd_core.distillation.reproduce import command, python
from kd_core.jobs.store import RunRow


def reproduce(run: RunRow, report: Report) -> None:
    st.markdown("On the same machine, with the same versions, each of these gives the same models again.")
    left, right = st.columns(2)
    with left:
        st.markdown("**As a command**, with the settings that differ from the defaults")
        st.code(command(run.config), language="bash", wrap_lines=True)
        st.markdown("**In Python**")
        st.code(python(run.config), language="python", wrap_lines=True)
        machine = report.machine
        st.caption(f"Made with Python {machine['python']} and PyTorch {machine['torch']}.")
    text = DistillConfig.from_dict(report.config).to_yaml()
    with right:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown("**As a file** for `kd distill --config`, with every auto decided", width="stretch")
            st.download_button(
                "YAML",
                text,
                file_name=f"kd-{run.id}.yaml",
                mime="application/yaml",
                icon=":material/download:",
                key="report.yaml",
                on_click="ignore",
            )
        st.code(text, language="yaml", wrap_lines=True)
