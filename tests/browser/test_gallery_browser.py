"""The gallery as a person meets it: opened from its folder, in Chromium."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import gallery_runs as runs
import pytest
from playwright.sync_api import Browser, Page, expect

from tasks.schemas.export import RunExport

pytestmark = pytest.mark.browser

WIDTHS = (375, 768, 1280)


@dataclass
class Visit:
    """An opened gallery, and what the browser had to say and to fetch."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


class Opener:
    """Exports a run and opens its page."""

    def __init__(self, browser: Browser, folder: Path) -> None:
        self._browser = browser
        self._folder = folder
        self.pages: list[Page] = []

    def __call__(self, export: RunExport, *, width: int = 1280, scheme: str = "light") -> Visit:
        out = self._folder / f"run{len(self.pages)}"
        runs.write(export, out)
        page = self._browser.new_page(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,  # type: ignore[arg-type]
        )
        self.pages.append(page)
        visit = Visit(page)
        page.on("console", lambda message: visit.complaints.append(message.text))
        page.on("pageerror", lambda error: visit.complaints.append(str(error)))
        page.on("request", lambda request: visit.requests.append(request.url))
        page.on("requestfailed", lambda request: visit.complaints.append(request.url))
        page.goto((out / "index.html").as_uri())
        return visit


@pytest.fixture
def open_gallery(chromium: Browser, tmp_path: Path) -> Iterator[Opener]:
    opener = Opener(chromium, tmp_path)
    yield opener
    for page in opener.pages:
        page.close()


def scroll_through(page: Page) -> None:
    """Bring every section into view, so that lazy pictures load."""
    for section in page.locator(".person").all():
        section.scroll_into_view_if_needed()
        for picture in section.locator(".tweet").all():
            picture.scroll_into_view_if_needed()


def broken_pictures(page: Page) -> list[str]:
    page.wait_for_function("[...document.images].every((image) => image.complete)")
    return page.evaluate(
        "[...document.images].filter((i) => i.naturalWidth === 0).map((i) => i.src)"
    )


def overflow_px(page: Page) -> int:
    return page.evaluate("document.documentElement.scrollWidth - window.innerWidth")


def test_every_character_tweet_and_picture_is_shown_without_a_network(
    open_gallery: Opener,
) -> None:
    visit = open_gallery(runs.english_run())
    scroll_through(visit.page)
    expect(visit.page.locator(".person")).to_have_count(3)
    expect(visit.page.locator(".tweet")).to_have_count(12)
    expect(visit.page.locator(".tweet img")).to_have_count(9)
    assert broken_pictures(visit.page) == []
    assert visit.complaints == []
    assert {url.split(":")[0] for url in visit.requests} <= {"file", "data"}


def test_a_name_in_the_index_leads_to_its_character(open_gallery: Opener) -> None:
    page = open_gallery(runs.english_run(people=30, tweets=2)).page
    page.locator(".index a", has_text="Hana Sato").first.click()
    expect(page.get_by_role("heading", name="Hana Sato", level=2).first).to_be_in_viewport()


def test_the_filter_leaves_whom_it_finds(open_gallery: Opener) -> None:
    visit = open_gallery(runs.english_run(people=100, tweets=1))
    page = visit.page
    box = page.get_by_role("searchbox")
    expect(page.locator("#filter-count")).to_have_text("101 / 101 shown")
    box.fill("HANA 32 sato")
    expect(page.locator(".person:visible h2")).to_have_text("Hana Sato")
    expect(page.locator(".index li:visible")).to_have_count(1)
    box.press("Enter")
    expect(page.locator(".person:visible")).to_have_count(1)
    box.fill("nobody at all")
    expect(page.locator("#nobody")).to_be_visible()
    box.fill("")
    expect(page.locator(".index li:visible")).to_have_count(101)
    assert visit.complaints == []


def test_details_open_with_the_keyboard(open_gallery: Opener) -> None:
    page = open_gallery(runs.english_run()).page
    summary = page.locator("summary", has_text="Social network").first
    expect(page.get_by_text("Old Teo").first).to_be_hidden()
    summary.focus()
    summary.press("Enter")
    expect(page.get_by_text("Old Teo").first).to_be_visible()


def test_hostile_text_does_nothing_but_stand_there(open_gallery: Opener) -> None:
    visit = open_gallery(runs.hostile_run())
    page = visit.page
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    scroll_through(page)
    expect(page.locator(".tweet .text")).to_have_text(runs.HOSTILE)
    assert page.title() == "20261123-rain7 · Castline"
    assert page.locator("svg").count() == 0
    assert dialogs == []
    assert visit.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_sticks_out_sideways(open_gallery: Opener, width: int, scheme: str) -> None:
    for export in (runs.english_run(), runs.chinese_run(), runs.hostile_run()):
        page = open_gallery(export, width=width, scheme=scheme).page
        page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        scroll_through(page)
        assert overflow_px(page) <= 0


def test_dark_mode_is_dark(open_gallery: Opener) -> None:
    export = runs.chinese_run()
    papers = [
        open_gallery(export, scheme=scheme).page.evaluate(
            "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]"
        )
        for scheme in ("light", "dark")
    ]
    assert papers[0] > 200
    assert papers[1] < 60


CONTRAST = """
() => {
  const channels = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (color) => channels(color).slice(0, 3)
    .map((c) => c / 255).map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const paper = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const color = getComputedStyle(e).backgroundColor;
      if ((channels(color)[3] ?? 1) > 0) return color;
    }
    return "rgb(255, 255, 255)";
  };
  const low = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || !element.checkVisibility()) continue;
    const [a, b] = [light(getComputedStyle(element).color), light(paper(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) low.push(`${element.tagName}.${element.className} ${ratio.toFixed(2)}`);
  }
  return low;
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_the_contrast_of_wcag_aa(open_gallery: Opener, scheme: str) -> None:
    page = open_gallery(runs.english_run(), scheme=scheme).page
    assert page.evaluate(CONTRAST) == []
