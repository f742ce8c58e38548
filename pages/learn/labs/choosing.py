"""Lab 7, choosing: what the best number of several is worth, and how folds keep the test texts out."""

from __future__ import annotations

import streamlit as st

from kd_core import figures
from kd_core.learn.choosing import best_of
from kd_core.learn.recorded import recorded_lab
from kd_core.system.formatting import percent, points
from pages.learn.labs.controls import Controls, question
from pages.shared.charts import chart, is_dark
from pages.shared.text import prose, term

PAGE = "choosing"
FEWER, SAME, MORE = "Fewer, on average", "As many, on average", "More, on average"


@st.fragment
def choosing_lab() -> None:
    seen, unseen = _best_of()
    most = len(seen)
    controls = Controls(PAGE, "tried", "folds")
    if not _asked(controls, seen, unseen):
        return
    result = controls.open()
    tried = controls.add("tried", "slider", "Students tried", 1, most, 9, in_view=True)
    count = controls.add("folds", "slider", "Folds", 2, 10, 3, help=term("fold"), in_view=True)
    with result:
        left, right = st.columns([6, 6], gap="large")
        with left:
            chart(
                figures.flattered(seen, unseen, tried, dark=is_dark()),
                key=f"{PAGE}.flattered",
                alt=f"The best of {tried} students: {percent(seen[tried - 1])} on the texts that it was "
                f"picked by, {percent(unseen[tried - 1])} on others",
            )
            st.caption(
                f"The {most} recorded students of “How small can it be?”. Half of the test texts pick the "
                "best student, the other half judges it. Means of 2,000 random halves."
            )
        with right:
            chart(
                figures.folds(count, dark=is_dark()),
                key=f"{PAGE}.parts",
                alt=f"The training texts in {count} parts. Each of {count} trainings learns from all but "
                "one, and is judged on that one. The test texts take no part.",
            )
            st.caption(
                "Each setting is trained once for each fold. Its number is the mean over the parts that it "
                "did not learn from. All training texts are used for both, and no test text is."
            )
        st.header("What you see", anchor=False)
        prose(_words(seen, unseen, tried, count))


@st.cache_data(max_entries=1, show_spinner=False)
def _best_of() -> tuple[list[float], list[float]]:
    seen, unseen = best_of(recorded_lab("size"))
    return seen.tolist(), unseen.tolist()


def _asked(controls: Controls, seen: list[float], unseen: list[float]) -> bool:
    most = len(seen)
    return question(
        controls,
        f"You train {most} students and look at all of them on the same 262 texts. The best one gets "
        f"{percent(seen[-1])} of these right. How many of 262 other texts of the same kind will it get "
        f"right?",
        (FEWER, SAME, MORE),
        FEWER if unseen[-1] < seen[-1] else MORE,
        f"It gets {percent(unseen[-1])}. The best of many is partly the luckiest on these texts, and luck "
        "does not come along to other texts.",
    )


def _words(seen: list[float], unseen: list[float], tried: int, count: int) -> str:
    gap = round(seen[tried - 1], 3) - round(unseen[tried - 1], 3)  # of the numbers beside it
    first = (
        f"**The more you try, the more the best number flatters.** With {tried} tried, the best has "
        f"{percent(seen[tried - 1])} on the texts that it was picked by, and {percent(unseen[tried - 1])} on "
        f"other texts: {points(gap).removeprefix('+')} less. One student that nobody picked has "
        f"{percent(unseen[0])}. "
        if tried > 1
        else "**With one student there is nothing to pick,** and its number is honest. Try more. "
    )
    return (
        f"{first}That is why settings must not be chosen on the test texts: the number that would be "
        "reported is the flattering one.\n\n**Cross-validation** takes the choice to the training texts. "
        f"Each setting is trained {count} times and judged each time on a part that it did not learn from. "
        "The setting that is chosen is then trained once more, on all training texts, and only that one "
        f"meets the test texts. The price is time: {count} trainings for each setting. With more folds each "
        f"training has more texts to learn from: here {percent(1 - 1 / count, 0)} of them.\n\n**The best "
        "mean flatters too**, as it is the best of several. So KD Studio takes the cheapest setting whose "
        "mean is within one standard error of the best, that of their difference fold by fold (after Breiman "
        "et al. 1984), and says how much the best one "
        "is likely to lose on other texts (Tsamardinos et al. 2018). Open **Search** to do it on your own "
        "task."
    )
