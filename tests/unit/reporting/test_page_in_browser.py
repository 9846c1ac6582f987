"""The page in a real Chromium, opened from disk: on a desk, on a phone, on paper, by keyboard, by a screen reader."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from synthetic_results import RUNS

from mamba_narrative.config.report import ReportSettings
from mamba_narrative.reporting.page import build_page
from mamba_narrative.reporting.tables.write import write_tables

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
SCROLLING = "What the cleaning of the raw files removed"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]


@pytest.fixture(scope="session")
def address(drawn: Path) -> str:
    folder = drawn / "report"
    write_tables(drawn, RUNS, folder / "tables")
    (folder / "figures").mkdir()
    for path in drawn.glob("*.svg"):
        shutil.copy(path, folder / "figures")
    (folder / "index.html").write_text(build_page(drawn, RUNS, ReportSettings(), {"runs": {}}), encoding="utf-8")
    return (folder / "index.html").as_uri()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Containers lack what Chromium's own sandbox needs; the page is ours.
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser: Any, address: str) -> Iterator[Any]:
    """Opens the page and collects what the browser complains of or asks for; a test fails where there is any."""
    complaints: list[str] = []
    contexts = []

    def open_page(size: dict[str, int], **options: Any) -> Any:
        contexts.append(browser.new_context(viewport=size, **options))
        page = contexts[-1].new_page()
        page.on("console", lambda message: complaints.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on(
            "request",
            lambda request: None if request.url.startswith(("data:", address)) else complaints.append(request.url),
        )
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def scrolling_regions(page: Any) -> list[str]:
    return page.evaluate(
        "[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth + 1)"
        ".map(e => e.getAttribute('aria-label'))"
    )


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_all_figures_are_drawn_and_the_page_never_scrolls_sideways(visit, size):
    page = visit(size)
    figures = page.evaluate(
        "[...document.images].map(i => [i.complete && i.naturalWidth > 0, i.getBoundingClientRect().width])"
    )
    assert len(figures) == 6
    assert all(drawn and 300 < width <= size["width"] for drawn, width in figures)
    page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]


def test_on_a_phone_the_list_of_removals_alone_scrolls_and_text_can_be_read(visit):
    page = visit(PHONE)
    page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
    assert [label for label in scrolling_regions(page) if not label.startswith(SCROLLING)] == []
    sizes = page.evaluate(
        "[...document.querySelectorAll('p, td, th, dd, dt, li, figcaption')]"
        ".map(e => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert min(sizes) >= 12


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_axe_finds_no_barrier(visit, size, colours):
    from axe_playwright_python.sync_playwright import Axe

    page = visit(size, color_scheme=colours, bypass_csp=True)  # the page allows no script, and axe is one
    page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
    found = Axe().run(page).response["violations"]
    assert [(entry["id"], entry["nodes"][0]["target"]) for entry in found] == []


def test_rows_stay_rows_for_a_screen_reader_on_a_phone(visit):
    tree = visit(PHONE).get_by_role("region", name="Likelihood by run").aria_snapshot()
    assert re.search(r"- '?table", tree)
    assert len(re.findall(r"- '?row\b", tree)) >= len(RUNS)
    assert "rowheader" in tree
    assert re.search(r"cell \"Bits per byte [\d.]+", tree)


def test_the_keyboard_reaches_the_content_and_opens_and_scrolls_what_the_mouse_can(visit):
    page = visit(PHONE)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.url.endswith("#content")
    details = page.locator("details").first
    details.locator("summary").focus()
    page.keyboard.press("Enter")
    assert details.get_attribute("open") is not None
    region = page.locator(f".scroll[aria-label^='{SCROLLING}']")
    region.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("e => e.scrollLeft > 0", arg=region.element_handle())


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_every_metric_and_figure_is_one_click_from_its_definition(visit, size):
    page = visit(size)
    links = page.locator("a[href^='#definition-']:visible")
    targets = {link.get_attribute("href") for link in links.all()}
    assert targets >= {f"#definition-{key}" for key in ("bits_per_byte", "seq_rep_4", "loss_by_position", "energy")}
    for target in sorted(targets):
        page.locator(f"a[href='{target}']:visible").first.click()
        assert page.locator(target).is_visible()


def test_on_paper_everything_is_there_and_nothing_is_cut_off(visit):
    page = visit({"width": 680, "height": 960})  # the width between the margins of A4
    page.emulate_media(media="print")
    assert page.locator("nav").is_hidden()
    assert page.locator("dl.definitions dd").first.is_visible()
    assert page.locator("details.sample blockquote").last.is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 680
    pdf = page.pdf(format="A4", margin=dict.fromkeys(("top", "bottom", "left", "right"), "15mm"))
    assert pdf.startswith(b"%PDF")
    assert 8 < len(re.findall(rb"/Type\s*/Page\b", pdf)) < 40
