"""What the frame around every page is made of."""

from __future__ import annotations

from kd_core.system.paths import app_folder

ASSETS = app_folder() / "assets"
ICON = str(ASSETS / "icon.svg")
LOGO = str(ASSETS / "logo.svg")
STYLE = ASSETS / "app.css"
