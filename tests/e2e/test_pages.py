"""Read-only pages in a real browser: accessibility, keyboard, charts, tables and layout."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from kd_core.distillation.roles import NAMES
from kd_core.figures.style import INK
from kd_core.learn.lessons import lessons
from kd_core.system.formatting import percent
from pages.learn.labs.catalogue import LABS
from tests.e2e.conftest import Home
from tests.e2e.dashboard import CUT, reach, settle

pytestmark = pytest.mark.looks

Visit = Callable[..., None]
Browser = Callable[..., Page]
Found = Callable[[Page], list[str]]

LAB_PATHS = [f"/{lab.name}" for lab in LABS]
PATHS = [
    *("/", "/data", "/distill", "/search", "/runs", "/report", "/report?report.tab=Reproduce", "/tradeoffs"),
    *(
        "/capacity",
        "/learn",
        *LAB_PATHS,
        *(f"{path}?hide=question" for path in LAB_PATHS),
        "/quiz",
        "/lessons",
    ),
    *("/lessons?lesson=alpha", "/lessons?lesson=alpha&step=2", "/lessons?lesson=when-not&step=3"),
    *("/lessons?lesson=choosing&step=4", "/race", "/glossary", "/playground", "/export"),
]
SIDEBAR = [
    *("Home", "Data", "Distill", "Search", "Runs", "Report", "Trade-offs", "Capacity"),
    *("Labs", "Lessons", "Quiz", "Race", "Glossary", "Playground", "Export"),
]
TEXT = "My parcel never came and I want my money back"
FORMULA = '=HYPERLINK("http://127.0.0.1:9/x")'
PLOTLY = re.compile(r"/plotly\.min\.js")


def top(element: Locator) -> float:
    element.first.wait_for()
    return element.first.evaluate("element => element.getBoundingClientRect().top")  # type: ignore[no-any-return]


@pytest.mark.parametrize(("theme", "width"), [("light", 1440), ("dark", 390)])
def test_every_page_is_accessible_and_fits_the_window(
    theme: str,
    width: int,
    browser: Browser,
    visit: Visit,
    axe: Found,
    console_errors: Found,
    foreign_requests: Found,
) -> None:
    page = browser(theme=theme, width=width)
    for path in PATHS:
        visit(page, path)
        expect(page.locator("[data-testid=stSkeleton]")).to_have_count(0)
        assert axe(page) == [], path
        overflow = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert overflow == 0, path
    assert console_errors(page) == []
    assert foreign_requests(page) == []


def test_nothing_is_cut_in_the_presenter_view_at_150_percent(browser: Browser, visit: Visit) -> None:
    page = browser(zoom=1.5)
    labs = [f"{path}?hide=question&" for path in LAB_PATHS]
    steps = [f"/lessons?lesson={name}&step={step}&" for name in lessons() for step in ("1", "3")]
    for path in ("/learn?", "/quiz?", "/race?", *labs, *steps):
        visit(page, f"{path}view=presenter")
        expect(page.locator("html")).to_have_css("font-size", "24px")
        assert page.evaluate(CUT) == [], path


def test_navigation_and_a_link_with_an_impossible_value(page: Page, visit: Visit) -> None:
    visit(page, "/distill?distill.temperature=999")
    names = [text.splitlines()[-1] for text in page.get_by_test_id("stSidebarNavLink").all_inner_texts()]
    assert names == SIDEBAR
    expect(
        page.get_by_text("The link has distill.temperature=999, which is not possible here")
    ).to_be_visible()
    expect(page.get_by_role("slider", name="Temperature")).to_have_value("2")


# Charts


def test_a_chart_keeps_its_legend_and_follows_width_and_theme(page: Page, visit: Visit) -> None:
    page.emulate_media(color_scheme="light")
    visit(page, "/loss?hide=question")
    place = ".st-key-loss-sizes .kd-chart"
    chart = page.locator(place)
    chart.evaluate("chart => { chart.dataset.mine = 'yes' }")
    hidden = chart.locator(".legend .traces").first
    hidden.locator(".legendtoggle").click()
    expect(hidden).to_have_css("opacity", "0.5")  # Plotly dims a trace that is switched off
    line = chart.locator(".shapelayer path")
    before = line.get_attribute("d")
    page.get_by_role("slider", name="Temperature").press("ArrowRight")
    expect(line).not_to_have_attribute("d", before or "")
    expect(chart).to_have_attribute("data-mine", "yes")  # updated, not drawn again
    expect(hidden).to_have_css("opacity", "0.5")

    narrow = chart.evaluate("chart => chart.offsetWidth")
    page.get_by_test_id("stSidebarHeader").hover()
    page.get_by_test_id("stSidebarCollapseButton").get_by_role("button").click()
    page.wait_for_function(
        """([place, narrow]) => {
            const chart = document.querySelector(place);
            const drawn = chart.querySelector('.main-svg').clientWidth;
            return drawn > narrow + 100 && drawn === chart.offsetWidth;
        }""",
        arg=[place, narrow],
    )
    colour = f"() => document.querySelector('{place}').layout.font.color"
    for scheme, ink in (("dark", INK[1]), ("light", INK[0])):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function(f"(ink) => ({colour})() === ink", arg=ink)
    assert sum(bool(PLOTLY.search(url)) for url in page.kd_requests) == 1  # type: ignore[attr-defined]


def test_a_chart_whose_script_fails_to_load(page: Page, visit: Visit) -> None:
    page.route(PLOTLY, lambda route: route.fulfill(status=503))
    visit(page, "/temperature?hide=question")
    chart = page.locator(".st-key-temperature-entropy .kd-chart")
    expect(chart).to_have_text("What draws charts could not be loaded: the server says 503. Reload the page.")
    page.unroute(PLOTLY)
    page.reload()
    expect(chart.locator(".main-svg").first).to_be_visible()


def test_a_click_on_a_mark_opens_its_report_once(page: Page, visit: Visit, finished: Home) -> None:
    visit(page, "/tradeoffs")
    marks = page.locator(".st-key-tradeoffs-chart .js-plotly-plot .scatterlayer .points path")
    marks.last.hover(force=True)  # an invisible layer of Plotly lies above the mark
    expect(page.locator(".hoverlayer .hovertext").first).to_be_visible()
    marks.last.click(force=True)
    expect(page).to_have_url(re.compile(rf"/report\?run={finished.run}"))
    page.get_by_role("link", name="Trade-offs").click()
    expect(marks.last).to_be_visible()
    settle(page)
    expect(page).to_have_url(re.compile(r"/tradeoffs"))


# Labs and lessons


def test_the_loss_lab_by_keyboard_alone(page: Page, visit: Visit) -> None:
    visit(page, "/loss")
    expect(page.get_by_role("slider", name="Temperature")).to_have_count(0)
    reach(page, "button", "More weakly")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Right: More weakly.")).to_be_visible()
    reach(page, "combobox", "Soft loss")
    page.keyboard.type("DKD")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("loss.divergence=DKD"))
    reach(page, "slider", "Temperature")
    page.keyboard.press("End")
    reach(page, "switch", "Times T²")
    page.keyboard.press("Space")
    expect(page.get_by_text("Without T² the soft gradient has length")).to_be_visible()


def test_a_number_of_the_loss_is_traced_by_pointer_touch_and_keyboard(
    page: Page, browser: Browser, visit: Visit
) -> None:
    visit(page, "/loss?hide=question")
    flow, how = page.locator(".kd-flow"), page.locator(".kd-flow-how")
    flow.get_by_role("button", name="Soft loss: 5.076").hover()
    expect(how).to_contain_text("T² × D = 4² × 0.317 = 5.076")
    expect(flow.get_by_role("button", name="Total loss:")).to_have_class(re.compile("kd-flow-way"))
    expect(flow.get_by_role("button", name="Hard loss: 7.318")).not_to_have_class(re.compile("kd-flow-way"))
    page.mouse.move(5, 5)
    expect(how).to_contain_text("Point at a number")
    reach(page, "button", "Teacher's logit of politics")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(how).to_contain_text("Teacher's probability of politics, softened: 0.325")

    phone = browser(width=390, height=844)
    visit(phone, "/loss?hide=question")
    phone.locator(".kd-flow").get_by_role("button", name="Total loss: 5.749").click()
    expect(phone.locator(".kd-flow-how")).to_contain_text("2.195 + 3.554 = 5.749")


@pytest.mark.parametrize("width", [1440, 390])
def test_a_labs_slider_stays_in_view(width: int, browser: Browser, visit: Visit) -> None:
    page = browser(width=width)
    for lab, label in (("loss", "Alpha"), ("size", "Accuracy that you would give up")):
        visit(page, f"/{lab}?hide=question")
        page.get_by_role("heading", name="What you see").scroll_into_view_if_needed()
        slider = page.get_by_role("slider", name=label).first  # an input that is not drawn
        expect(page.get_by_test_id("stSlider").filter(has=slider)).to_be_in_viewport()


def test_a_row_of_a_table_becomes_the_text(page: Page, visit: Visit) -> None:
    visit(page, "/temperature?hide=question")
    page.get_by_role("tab", name="Most undecided").scroll_into_view_if_needed()
    table = page.get_by_test_id("stDataFrame").nth(1)
    # The canvas gets its accessible copy when it is at rest; before that, a click can count as two.
    expect(table.locator("canvas td").first).to_be_attached()
    expect(page.locator(".st-key-temperature-similarity .main-svg").first).to_be_visible()
    table.click(position={"x": 16, "y": 52})  # the check box of the first row
    expect(page.get_by_role("combobox", name="Text", exact=True)).to_have_value(re.compile("Falconer rebuts"))


def test_a_shared_link_opens_the_same_lab_with_its_question(
    page: Page, browser: Browser, visit: Visit
) -> None:
    visit(page, "/temperature?hide=question")
    page.get_by_role("slider", name="Temperature").press("ArrowRight")
    expect(page).to_have_url(re.compile("temperature=4.5"))
    page.get_by_text("Share this lab").click()
    page.get_by_label("Question (optional)").fill("Why?")
    page.get_by_label("Question (optional)").press("Enter")
    expect(page.get_by_role("textbox", name="Answers to choose from")).to_be_enabled()
    settle(page)
    page.get_by_role("button", name="Make the link").press("Enter")
    link = page.get_by_test_id("stCode").inner_text().strip()
    assert link.endswith("/temperature?temperature.temperature=4.5&ask=Why%3F")
    other = browser()
    other.goto(link)
    settle(other)
    other.get_by_label("Your answer").fill("Because")
    other.get_by_role("button", name="Show the lab").click()
    expect(other.get_by_role("slider", name="Temperature")).to_have_value("4.5")
    expect(other.get_by_text("Your answer: Because")).to_be_visible()


def test_a_lesson_by_keyboard_alone(page: Page, visit: Visit) -> None:
    visit(page, "/lessons")
    reach(page, "button", "2. Temperature")
    page.keyboard.press("Enter")
    reach(page, "spinbutton", "Your answer")
    page.keyboard.type("30")
    page.get_by_role("button", name="Next").click()  # the click also ends the input, and must not be lost
    reach(page, "slider", "Temperature")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text("At T = 1.5 it is").first).to_be_visible()
    reach(page, "button", "Next")
    page.keyboard.press("Enter")
    expect(page.get_by_text("You said 30.0 %; it is 31.7 %.")).to_be_visible()
    page.keyboard.press("b")  # the shortcut of Back
    expect(page.get_by_role("slider", name="Temperature")).to_be_visible()


def test_the_presenters_keys(page: Page, visit: Visit) -> None:
    visit(page, "/lessons?lesson=alpha&view=presenter")
    expect(page.get_by_test_id("stSidebar")).to_have_count(0)
    page.wait_for_function("() => window.kdTurns")  # the key listener is installed
    for key, step in (("PageDown", 2), ("ArrowRight", 3), ("PageUp", 2)):
        settle(page)
        page.keyboard.press(key)
        expect(page.get_by_text(f"Step {step} of 4")).to_be_visible()
    settle(page)
    slider = page.get_by_role("slider", name="Alpha")
    slider.focus()
    page.keyboard.press("ArrowRight")  # moves the slider, not the lesson
    expect(slider).to_have_value("0.35")
    expect(page.get_by_text("Step 2 of 4")).to_be_visible()
    page.get_by_role("button", name="Leave presenter view").click()
    expect(page.get_by_test_id("stSidebar")).to_be_visible()


def test_a_race_fits_a_small_projector(browser: Browser, visit: Visit) -> None:
    page = browser(width=1280, height=720)
    visit(page, "/race")
    axis = page.locator(".st-key-race-recorded").get_by_text("Step", exact=True)
    expect(axis).to_be_in_viewport(ratio=1)
    page.get_by_text("C: 12,000 texts").click()
    page.get_by_role("button", name="Start the race").click()
    expect(page.get_by_text(re.compile("which all lanes have reached"))).to_be_visible()
    expect(axis).to_be_in_viewport(ratio=1)


# Tables and phones


def test_tables_offer_no_unsafe_download_and_their_buttons_cover_nothing(
    browser: Browser, visit: Visit
) -> None:
    """Streamlit's own download writes a cell such as =1+1 unchanged."""
    page = browser()
    visit(page, "/data")
    page.get_by_test_id("stDataFrame").first.hover()
    expect(page.get_by_role("button", name="Search").first).to_be_visible()
    expect(page.get_by_role("button", name="Download as CSV")).to_have_count(0)
    phone = browser(width=390, height=844, has_touch=True, is_mobile=True)
    visit(phone, "/data")
    buttons = phone.get_by_test_id("stElementToolbar").first
    expect(buttons).to_be_visible()
    phone.wait_for_function(
        """buttons => {
            const place = buttons.closest("[data-testid=stElementContainer]");
            const above = place.previousElementSibling.getBoundingClientRect().bottom;
            return buttons.firstElementChild.getBoundingClientRect().top >= above;
        }""",
        arg=buttons.element_handle(),
    )


def test_the_button_of_a_row_opens_its_report(page: Page, visit: Visit, finished: Home) -> None:
    visit(page, "/runs")
    table = page.get_by_test_id("stDataFrame").first
    expect(table.locator("canvas td").first).to_be_attached()
    table.click(position={"x": 33 + 215 + 30, "y": 52})  # after the check box and the name
    expect(page).to_have_url(re.compile(rf"/report\?run={finished.run}"))


def test_a_phone_shows_choices_and_pictures_before_buttons(
    browser: Browser, visit: Visit, finished: Home
) -> None:
    """app.css reorders columns, which depends on how Streamlit nests them."""
    page = browser(width=390, height=844)
    visit(page, "/distill")
    expect(page.get_by_text("4 Validate")).to_be_visible()
    assert top(page.get_by_role("combobox", name="Task")) < top(
        page.get_by_role("heading", name="What will happen")
    )
    visit(page, "/search")
    start, example = page.get_by_role("button", name="Start search"), page.locator(".st-key-search-map")
    assert top(start) < top(example) < top(page.get_by_role("combobox", name="Task"))
    visit(page, f"/report?run={finished.run}")
    expect(page.locator("[data-testid=stSkeleton]")).to_have_count(0)
    places = (".st-key-report-accuracy", ".st-key-report-actions", "[data-testid=stTabs]")
    tops = [top(page.locator(place)) for place in places]
    assert tops == sorted(tops)
    visit(page, "/runs")
    assert top(page.locator("[data-testid=stDataFrame]")) < top(page.locator(".st-key-runs-bar"))


# Playground and export


def test_the_playground_shows_what_kd_predict_prints(
    page: Page, visit: Visit, finished: Home, tmp_path: Path, console_errors: Found
) -> None:
    texts = [TEXT, FORMULA, "The app stops when I press save"]
    said = finished.kd("predict", finished.run, *texts)["predictions"]
    visit(page, f"/playground?run={finished.run}")
    page.get_by_label("Text", exact=True).fill(TEXT)
    page.get_by_role("button", name="Classify").click()
    models = ("teacher", "student", "alone")
    for who in models:
        label, probability = max(said[0][who].items(), key=lambda item: item[1])
        card = page.get_by_test_id("stColumn").filter(has=page.locator(f".st-key-playground-card-{who}"))
        expect(card.get_by_text(NAMES[who], exact=True)).to_be_visible()
        expect(card.get_by_role("heading", name=label, exact=True)).to_be_visible()
        expect(card.get_by_text(f"{percent(probability)} sure")).to_be_visible()
        shaded = [re.compile(rf"^{word}([+−]\d+\.\d)?\s*$") for word in TEXT.split()]
        expect(page.locator(f".st-key-playground-shades-{who} .bartext")).to_have_text(shaded)

    visit(page, f"/playground?run={finished.run}&playground.view=Many+texts")
    lines = page.get_by_label("Texts, one on each line")
    lines.fill("\n".join(texts))
    lines.press("Control+Enter")
    page.get_by_role("button", name="Classify 3 texts").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    download.value.save_as(tmp_path / "predictions.csv")
    with (tmp_path / "predictions.csv").open(encoding="utf-8-sig", newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert [row["text"] for row in rows] == [texts[0], f"'{FORMULA}", texts[2]]  # no spreadsheet runs it
    for who in models:
        assert [row[who] for row in rows] == [max(row[who], key=row[who].get) for row in said]
    assert console_errors(page) == []


def test_the_downloaded_bundle_is_complete(
    page: Page, visit: Visit, finished: Home, tmp_path: Path, console_errors: Found
) -> None:
    visit(page, f"/export?run={finished.run}")
    page.get_by_role("button", name="Make the bundle").click()
    with page.expect_download() as download:
        page.get_by_role("button", name=re.compile("Download zip")).click()
    assert download.value.suggested_filename == f"kd-{finished.run}.zip"
    download.value.save_as(tmp_path / "bundle.zip")
    with zipfile.ZipFile(tmp_path / "bundle.zip") as archive:
        top_folder = f"kd-{finished.run}/"
        sums = json.loads(archive.read(f"{top_folder}checksums.json"))
        assert {f"{top_folder}{name}" for name in sums} == set(archive.namelist()) - {
            f"{top_folder}checksums.json"
        }
        for name, listed in sums.items():
            content = archive.read(top_folder + name)
            assert (len(content), hashlib.sha256(content).hexdigest()) == (listed["bytes"], listed["sha256"])
    assert {"model/model.safetensors", "onnx/model.onnx", "onnx/model_int8.onnx", "README.md"} <= set(sums)
    assert console_errors(page) == []


def test_a_lessons_handout_is_downloaded(page: Page, visit: Visit) -> None:
    visit(page, "/lessons?lesson=temperature")
    with page.expect_download() as started:
        page.get_by_role("button", name="Handout").click()
    assert started.value.suggested_filename == "temperature.html"
    assert "The answer" in Path(started.value.path()).read_text("utf-8")
