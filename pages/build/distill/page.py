"""Choose a task, two models and how the small one learns; start; watch."""

import streamlit as st

from kd_core.config import DistillConfig
from kd_core.errors import ConfigError, KDError
from kd_core.job_kinds import prepared
from kd_core.jobs.states import ACTIVE, PENDING
from kd_core.jobs.store import RunRow
from kd_core.system import formatting
from pages.build.distill.ladder import choose_ladder, chosen_ladder, ladder_view
from pages.build.distill.live_view import live_view
from pages.build.distill.plan_view import show_getting_ready, show_plan, sizes
from pages.shared.choose_run import linked_run
from pages.shared.live_job import say_what_waits
from pages.shared.run_form.consent import consent
from pages.shared.run_form.models import choose_outcome, choose_student, choose_task, choose_teacher
from pages.shared.run_form.objective import choose_objective, choose_rest
from pages.shared.run_form.plan import estimate_of, plan_of, start
from pages.shared.state import store
from pages.shared.text import escape


def chosen_run() -> RunRow | None:
    """The run of the link, else the one under way on this machine. Raises: KDError if the link's is none."""
    if run := linked_run():
        return run
    return next(iter(store().runs(kind="distil", status=ACTIVE, here=True, limit=1)), None)


st.title("Distill", anchor=False)
st.markdown("Choose a task, a large teacher and a small student. See what will happen, then start.")
run, ladder, failure = None, None, None
try:
    ladder = chosen_ladder()
    run = chosen_run()
    if run and not ladder:  # whose runs follow one another
        st.query_params["run"] = run.id  # so that it stays when it is stopped, and can be resumed
except KDError as error:
    failure = error
under_way = run is not None and run.status in PENDING
watched = under_way or ladder is not None
# Columns stack on a phone: there a run that is under way, or a ladder that was opened, comes first (app.css).
left, right = st.container(key="live_first" if watched else "form_first").columns([5, 7], gap="large")

with left:
    task = choose_task()
    task_line = st.container(key="distill.line.task").empty()  # with its room: see app.css
    teacher = choose_teacher()
    teacher_line = st.container(key="distill.line.teacher").empty()
    choose_outcome()
    student = choose_student()
    student_line = st.container(key="distill.line.student").empty()
    objective = choose_objective()
    with st.expander("Advanced settings", icon=":material/tune:"):
        rest = choose_rest(task)
    smallest = st.container(key="distill.smallest")
    action = st.container(key="distill.action")  # in view wherever the form is: see app.css

given = {"task": task, "teacher": teacher, "student": student, "objective": objective}
problems: tuple[str, ...] = ()
config = plan = expected = None
getting_ready = False
try:
    wanted = DistillConfig.from_dict(
        {section: values | given.get(section, {}) for section, values in rest.items()}
    )
    with action:
        config = wanted if consent(wanted) else None
    getting_ready = config is not None and not prepared()
    if config and not getting_ready:
        plan = plan_of(config)
        expected = estimate_of(plan)
except ConfigError as error:
    problems = error.problems
except KDError as error:
    problems = (str(error),)

if plan:
    rows = plan.rows
    spans = f"{rows['spans']:,} spans of the training texts, " if rows["spans"] else ""
    task_line.caption(
        f"{rows['train']:,} training, {rows['test']:,} test and {plan.unlabelled:,} transfer texts, {spans}"
        f"{plan.classes} classes"
    )
    lends = (
        "Lends its tokenizer and its start; the teacher is the file. " if plan.config.task.knowledge else ""
    )
    found = f"{plan.teacher.name}: " if teacher["model"] == "auto" else ""
    teacher_line.caption(lends + found + sizes(plan.teacher))
    student_line.caption(sizes(plan.student))
elif getting_ready:
    for line in (task_line, teacher_line, student_line):
        line.skeleton(height=20)

if config and plan and not config.task.knowledge:  # a file of answers has no accuracy to keep
    with smallest:
        choose_ladder(config, plan)

with action:
    for problem in problems:
        st.error(escape(problem), icon=":material/error:")
    clicked = st.button(
        f"Start distillation · {formatting.duration(expected.total)}" if expected else "Start distillation",
        key="distill.start",
        type="primary",
        icon=":material/play_arrow:",
        width="stretch",
        disabled=config is None or bool(problems),
    )
    say_what_waits()
    if clicked and config:
        try:
            st.query_params["run"] = start(config, expected)
        except KDError as error:
            st.error(escape(error), icon=":material/error:")
        else:
            st.rerun()

with right:
    if failure:
        st.error(escape(failure), icon=":material/error:")
    if ladder:
        ladder_view(ladder)
        st.divider()
    if run:
        live_view(run)
        if not under_way and st.button("Close this run", key="distill.close", icon=":material/close:"):
            del st.query_params["run"]
            st.rerun()
        st.divider()
    if plan and expected and under_way:
        with st.expander("What your next run will do", icon=":material/schedule:"):
            show_plan(plan, expected)
    elif plan and expected:
        st.subheader("Your next run" if run else "What will happen", anchor=False)
        show_plan(plan, expected)
    elif getting_ready:
        show_getting_ready()
