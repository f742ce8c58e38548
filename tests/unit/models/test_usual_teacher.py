"""The teacher that ``auto`` means for the texts of a task."""

import pytest

from kd_core.config import DistillConfig, TeacherConfig
from kd_core.data import load_task
from kd_core.jobs.plan import make_plan, read_vocabulary
from kd_core.models import checkpoints
from kd_core.models.checkpoints import usual_teacher
from kd_core.models.e5 import has_e5
from kd_core.models.loading import teacher_name

TEXTS = {
    "English": "The government agreed on new plans for the economy, didn't it?",
    "tweets": "@you lol im sooo tired 😂 #monday http://example.org",
    "German": "Die Regierung hat einen neuen Plan für die Wirtschaft des Landes beschlossen",
    "Arabic": "هذا الكتاب يتحدث عن تاريخ المدينة القديمة",
    "Arabic with its vowels": "وَإِنَّ رَبَّكَ لَهُوَ الْعَزِيزُ الرَّحِيمُ",
    "Hebrew with its vowels": "בְּרֵאשִׁית בָּרָא אֱלֹהִים אֵת הַשָּׁמַיִם",
    "Chinese": "酒店的服务非常好，早餐也很丰富",
    "Hindi": "यह पुस्तक बहुत अच्छी है और मुझे पसंद आई",
}


@pytest.mark.parametrize("language", TEXTS)
def test_e5_small_for_other_languages(language: str) -> None:
    if not has_e5():
        pytest.skip("the extra zh is not installed")
    english = language in ("English", "tweets")
    assert usual_teacher([TEXTS[language]] * 3) == ("minilm-l6" if english else "e5-small")


def test_minilm_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "has_e5", lambda: False)
    assert {usual_teacher([text]) for text in TEXTS.values()} == {"minilm-l6"}


def test_a_given_teacher(tiny_task) -> None:
    assert teacher_name(TeacherConfig(model="minilm-l3"), tiny_task) == "minilm-l3"


def test_a_plan_names_the_teacher() -> None:
    config = DistillConfig().change({"task.train_texts": 50, "task.transfer_texts": 0})
    task = load_task(config.task)
    plan = make_plan(config, task, read_vocabulary(config.teacher, task))
    assert (plan.config.teacher.model, plan.teacher.name) == ("minilm-l6", "minilm-l6")
