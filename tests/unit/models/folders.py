"""Load a teacher from a folder, and change the config of one."""

import json

from kd_core.config import TeacherConfig
from kd_core.models.loading import load_teacher


def load(folder, task, **settings):
    return load_teacher(TeacherConfig(model=str(folder), **settings), task)


def change_config(folder, **changes):
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))
