"""The form's first half: task, teacher and student. Each part returns the settings of its section."""

from __future__ import annotations

from typing import Any

import streamlit as st

from kd_core.config import OF_THE_RUN, Architecture, DistillConfig, StudentConfig, TeacherConfig
from kd_core.data import uploads
from kd_core.data.bundled import TASKS
from kd_core.models.presets import OUTCOMES, STUDENTS, TEACHERS
from pages.shared.fields import field
from pages.shared.run_form.consent import typed
from pages.shared.run_form.link import PREFIX, key
from pages.shared.text import FIND_SMALLEST, term

LAST = "task.chosen"  # no widget's key: Streamlit forgets those of a page that was left


def choose_task() -> dict[str, Any]:
    """A bundled task, one from the Data page, or a path or Hub id that is typed in.

    Without settings in the address it begins with the task that this visitor chose last, here or in Search.
    """
    saved = {task.id: task for task in uploads.saved()}
    last, place = st.session_state.get(LAST), key("task.name")
    asked = any(name.startswith(PREFIX) for name in st.query_params)
    if place not in st.session_state and not asked and (last in saved or last in TASKS):
        st.session_state[place] = last
    name = _name(
        "task.name",
        "Task",
        [*TASKS, *saved],
        f"{term('task')} Choose one that comes along or that you uploaded on the Data page, or type the path "
        "of a file or hub:ID of a data set.",
        names={task.id: task.name for task in saved.values()},
    )
    st.session_state[LAST] = name
    if name in saved:
        return saved[name].config.model_dump(mode="json", exclude=OF_THE_RUN)
    return {"name": name}


def choose_teacher() -> dict[str, Any]:
    """A preset, a folder or Hub id that is typed in, or a new one of chosen sizes."""
    values: dict[str, Any] = {
        "model": _name(
            "teacher.model",
            "Teacher",
            list(TEACHERS),
            f"{term('teacher')} auto is minilm-l6, or e5-small for texts that are not English. minilm-l6 and "
            "minilm-l3 come along, e5-small with the extra zh, scratch is made here; the others are fetched "
            "once from the Hugging Face Hub. Or type a folder or a Hub id.",
        )
    }
    preset = TEACHERS.get(values["model"])
    if values["model"] != "auto" and (preset is None or preset.source == "hub"):
        st.caption(":material/cloud_download: Needs a network, unless it is on this disk already.")
    if values["model"] == "scratch":
        values |= _sizes(TeacherConfig, "teacher")
    return values


def choose_outcome() -> None:
    """What is wanted most, which chooses the student below it; nothing is marked for another one."""
    place, chosen = key("student.model"), "distill.outcome"
    student = st.session_state.get(place) or st.query_params.get(place) or StudentConfig().model
    st.session_state[chosen] = next((name for name, model in OUTCOMES.items() if model == student), None)

    def take() -> None:
        if outcome := st.session_state[chosen]:
            st.session_state[place] = OUTCOMES[outcome]

    said = "; ".join(f"{name}: {model}, {_in_short(model)}" for name, model in OUTCOMES.items())
    st.segmented_control(
        "What matters most",
        list(OUTCOMES),
        key=chosen,
        on_change=take,
        width="stretch",
        help=f"Chooses a student. {said}. On some texts the smallest is the most accurate, too: "
        f"**{FIND_SMALLEST}** tries one after the other.",
    )


def _in_short(student: str) -> str:
    description = STUDENTS[student].description
    return description[:1].lower() + description[1:]


def choose_student() -> dict[str, Any]:
    """A preset, a folder or Hub id that is typed in, or chosen sizes."""
    values: dict[str, Any] = {
        "model": _name(
            "student.model",
            "Student",
            list(STUDENTS),
            f"{term('student')} custom lets you choose its sizes; half and third take layers of the teacher. "
            "Or type a folder or a Hub id.",
        )
    }
    if values["model"] == "custom":
        values |= _sizes(StudentConfig, "student")
    return values


def _name(
    setting: str, label: str, options: list[str], help: str, *, names: dict[str, str] | None = None
) -> str:
    names = names or {}
    section, field_name = setting.split(".")
    default = getattr(getattr(DistillConfig(), section), field_name)
    chosen = st.selectbox(
        label,
        [default, *(option for option in options if option != default)],
        format_func=lambda option: names.get(option, option),
        key=key(setting),
        help=help,
        accept_new_options=True,
        bind="query-params",
        on_change=_typed,
        args=(key(setting), names),
    )
    return (chosen or str(default)).strip()


def _typed(place: str, names: dict[str, str]) -> None:
    """The beginning of one saved task's name, and Enter, mean that task: the list offers it as a new one."""
    said = str(st.session_state.get(place) or "").strip()
    meant = [option for option, name in names.items() if said and name.casefold().startswith(said.casefold())]
    if len(meant) == 1 and said not in TASKS:
        st.session_state[place] = meant[0]
    typed(place)


def _sizes(section: type[Architecture], name: str) -> dict[str, Any]:
    """Sliders; of the heads only those that divide the hidden size are offered."""
    layers = field(section, "layers", key=key(f"{name}.layers"))
    hidden = field(section, "hidden", key=key(f"{name}.hidden"), label="Hidden size")
    heads = [count for count in range(1, 17) if hidden % count == 0]
    usual = section.model_fields["heads"].default
    chosen = field(
        section,
        "heads",
        key=key(f"{name}.heads"),
        label="Attention heads",
        options=heads,
        value=usual if usual in heads else heads[0],
    )
    return {"layers": layers, "hidden": hidden, "heads": chosen}
