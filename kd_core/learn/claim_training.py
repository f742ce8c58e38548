"""The students that test a paper's claim, and what of a lab's config is as in the paper."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kd_core.config import DistillConfig
from kd_core.distillation.roles import StudentVariant, labels_only
from kd_core.learn.claims import EPOCHS, RANDOM, TEMPERATURES, by_epochs
from kd_core.learn.lab_results import LabConfig, LabName
from kd_core.learn.lab_training import LabTraining, transfer_trainings


def trainings(config: LabConfig) -> list[LabTraining]:
    """Of any lab that trains; seed by seed, so that each pass over them is a whole picture."""
    return _TRAININGS[config.lab](config)


def common(config: LabConfig) -> DistillConfig:
    """What all students of the lab have in common. Two of the papers distil on the training texts."""
    if config.lab in ("hinton2015", "cho2019"):
        return config.distil.change({"task.transfer_texts": 0})
    return config.distil


def hinton2015(config: LabConfig) -> list[LabTraining]:
    """Each class left out in turn, on soft answers (alpha = 0) and on labels; and none left out."""

    def distilled(temperature: float, unseen: str = "") -> StudentVariant:
        changes = {"alpha": 0.0, "temperature": float(temperature)}
        return StudentVariant("student", config.distil.objective.model_copy(update=changes), 0, unseen=unseen)

    found = []
    for seed in config.seeds:
        found.append(LabTraining("all classes", seed, distilled(TEMPERATURES[1])))
        for number, unseen in enumerate(config.classes, 1):
            alone = StudentVariant("alone", labels_only(config.distil.objective), 0, unseen=unseen)
            found.append(LabTraining(f"without class {number}, labels alone", seed, alone))
            for temperature in TEMPERATURES:
                name = f"without class {number}, T = {temperature:g}"
                found.append(LabTraining(name, seed, distilled(temperature, unseen)))
    return found


def cho2019(config: LabConfig) -> list[LabTraining]:
    """A student of each teacher, which has the student's seed; and the student alone."""
    objective = config.distil.objective
    found = []
    for seed in config.seeds:
        alone = StudentVariant("alone", labels_only(objective), 0)
        found.append(LabTraining("student alone", seed, alone))
        for epochs in EPOCHS:
            changes = {"teacher.epochs": epochs, "teacher.seed": seed}
            variant = StudentVariant("student", objective, 0)
            name = f"a teacher of {epochs} epochs"
            found.append(LabTraining(name, seed, variant, changes, teacher=by_epochs(epochs, seed)))
    return found


def stanton2021(config: LabConfig) -> list[LabTraining]:
    """By transfer texts, of the lab's teacher and of a random one; and the student alone."""
    objective, sizes = config.distil.objective, sorted(set(config.transfer))
    found = []
    for seed in config.seeds:
        alone = StudentVariant("alone", labels_only(objective), 0)
        found.append(LabTraining("student alone", seed, alone))
        for texts in sizes:
            variant = StudentVariant("student", objective, texts)
            found.append(LabTraining(f"{texts} transfer texts", seed, variant))
        for texts in dict.fromkeys((sizes[0], sizes[-1])):
            soft = objective.model_copy(update={"alpha": 0.0})  # its labels would contradict it
            variant = StudentVariant("student", soft, texts)
            name = f"{texts} transfer texts, random teacher"
            found.append(LabTraining(name, seed, variant, teacher=RANDOM, taught=False))
    return found


_TRAININGS: Mapping[LabName, Callable[[LabConfig], list[LabTraining]]] = {
    "transfer": transfer_trainings,
    "hinton2015": hinton2015,
    "cho2019": cho2019,
    "stanton2021": stanton2021,
}
