"""Page: one file that loads nothing, in which no name from outside becomes an element."""

import base64
import hashlib
import re
import shutil
import socket
import subprocess
from collections import defaultdict
from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError
from markdown_it import MarkdownIt
from nasty import NASTY

from tasks.records.results import Figures, Rule
from tasks.reporting.html import PAGE, html, inline, markdown
from tasks.reporting.report import Section, before_training, sections
from tasks.settings.escaping import for_terminal
from tasks.storage.files import store

EVIL = '<script>alert(1)</script><img src=x onerror="alert(2)">&amp;'
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")
EVERY = "\n\n".join(NASTY)


class Elements(HTMLParser):
    """Every element of a page with its attributes, and the text that follows each kind of them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text: defaultdict[str, str] = defaultdict(str)
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.text[self.lasttag] += data


@pytest.fixture
def places(outcome):
    return outcome.config.places


@pytest.fixture
def page(outcome, places):
    return html(sections(outcome), "Casting inspection model", f"{outcome.source.name}, {outcome.run_id}", places)


def test_the_page_loads_nothing_from_anywhere(page):
    assert not re.search(r"https?:|@import|url\(|//[a-z]", page)
    for tag, attributes in Elements(page).found:
        assert tag not in {"script", "link", "iframe", "object", "embed", "form"}
        assert not any(name.startswith("on") or name == "href" for name in attributes)
        if "src" in attributes:
            assert attributes["src"].startswith(("data:image/png;base64,", "data:image/svg+xml;base64,"))


def test_every_picture_is_inside(page, outcome, places):
    pictures = [attributes for tag, attributes in Elements(page).found if tag == "img"]
    assert len(pictures) == 5
    content = outcome.figures.figures[0].file.path(places).read_bytes()
    assert base64.b64decode(pictures[1]["src"].partition(",")[2]) == content
    assert [picture["alt"] for picture in pictures[:2]] == ["Found, shown and allowed", "The samples"]


def test_a_name_from_outside_becomes_no_element(outcome, places):
    harmless = html(sections(outcome), "heading", "title", places)
    source = outcome.source.model_copy(update={"name": EVIL})
    figures = outcome.figures.model_copy(
        update={
            "figures": tuple(one.model_copy(update={"title": EVIL, "caption": EVIL}) for one in outcome.figures.figures)
        }
    )
    page = html(sections(replace(outcome, source=source, figures=figures)), EVIL, EVIL, places)
    assert [tag for tag, _ in Elements(page).found] == [tag for tag, _ in Elements(harmless).found]
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 2 + 4


def test_no_element_attribute_or_address_comes_from_a_name(outcome, places):
    def elements(name: str) -> list[tuple[str, list[str]]]:
        release = outcome.release.model_copy(
            update={"reason": name, "rules": (Rule(name=name, figure=name, limit=name, kept=True),)}
        )
        figures = tuple(one.model_copy(update={"title": name, "caption": name}) for one in outcome.figures.figures)
        source = outcome.source.model_copy(update={"name": name})
        changed = replace(outcome, release=release, figures=Figures(figures=figures), source=source)
        page = html(sections(changed), name, name, places)
        page.encode()
        found = Elements(page).found
        assert not any(attributes.get("href") for _, attributes in found)
        assert all(attributes["src"].startswith("data:image/") for tag, attributes in found if tag == "img")
        return [(tag, [*attributes]) for tag, attributes in found]

    harmless = elements("harmless")
    for name in (*NASTY, EVERY):
        assert elements(name) == harmless, name


def of_one_picture(name: str) -> Elements:
    """A page on which everything from outside is called so."""
    figure = SimpleNamespace(title=name, caption=name)
    section = SimpleNamespace(title=name, markdown="", pictures=[figure])
    functions = {"as_html": str, "data_address": lambda figure: "data:"}
    return Elements(PAGE.render(heading=name, title=name, sections=[section], style="", style_digest="", **functions))


@given(st.text(st.characters()) | st.sampled_from(NASTY))
def test_a_name_is_text_in_an_element_and_in_an_attribute(name):
    page, harmless = of_one_picture(name), of_one_picture("harmless")
    shown = for_terminal(name)
    assert [tag for tag, _ in page.found] == [tag for tag, _ in harmless.found]
    (picture,) = (attributes for tag, attributes in page.found if tag == "img")
    assert picture == {"src": "data:", "alt": shown}
    for element in ("title", "h1", "p", "h2", "figcaption", "b"):
        assert page.text[element] == harmless.text[element].replace("harmless", shown), element


def test_a_page_shows_no_secret(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hunter2-or-so")
    page = of_one_picture("it is hunter2-or-so at http://me:hunter2@host/")
    assert "hunter2" not in page.rawdata + str(page.found) + str(page.text)


def test_a_value_that_the_page_lacks_is_an_error():
    with pytest.raises(UndefinedError, match="style_digest"):
        PAGE.render(title="")


def test_a_browser_is_told_to_load_nothing_and_to_run_nothing(page):
    (policy,) = (one["content"] for tag, one in Elements(page).found if one.get("http-equiv"))
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    style = page.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert rules == {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": f"'sha256-{digest}'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert page.index("Content-Security-Policy") < page.index("<style>") < page.index("<img")
    assert not any("style" in attributes for _, attributes in Elements(page).found), "the policy would refuse it"


@pytest.mark.skipif(not BROWSER, reason="no Chromium on the PATH")
def test_a_real_browser_shows_the_pictures_and_loads_nothing_else(server, process, page, tmp_path):
    """The attack stands behind the policy, as if all escaping had failed."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        evil = f"http://127.0.0.1:{listening.getsockname()[1]}/x"
        attack = f"<img src={evil}><script>fetch('{evil}')</script><link rel=stylesheet href={evil}>"
        picture = "<img id=own src=data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs=>"
        (tmp_path / "page.html").write_text(page.replace("</body>", f"{picture}{attack}</body>"), encoding="utf-8")
        words = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={tmp_path}/profile",
            "--enable-logging=stderr",
        ]
        done = subprocess.run(
            [BROWSER, *words, "--dump-dom", (tmp_path / "page.html").as_uri()],
            capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        listening.settimeout(0)
        with pytest.raises(BlockingIOError):
            listening.accept()
    refused = [line for line in done.stderr.splitlines() if "violates the following Content Security Policy" in line]
    assert len(refused) >= 3
    assert not any("data:" in line.partition("directive")[0] for line in refused)
    assert "Casting inspection model" in done.stdout


def test_images_and_addresses_in_a_section_are_text_even_where_nobody_escaped_them(places):
    page = html(
        [Section("a", "![x][y] <http://evil> [x] [y]\n\n[x]: http://evil\n[y]: http://evil")],
        "heading",
        "title",
        places,
    )
    assert not {"img", "a"} & {tag for tag, _ in Elements(page).found}
    assert "<img" not in html([Section("a", "![x](http://evil/x.png)")], "heading", "title", places)


def test_the_markdown_for_the_ui_has_no_picture_but_its_own(outcome, places):
    for name in NASTY:
        figure = outcome.figures.figures[0].model_copy(update={"title": name, "caption": name})
        shown = markdown(Section("a", "text", (figure,)), places)
        inside = [token for block in MarkdownIt("js-default").parse(shown) for token in block.children or ()]
        assert [token.attrs["src"][:11] for token in inside if token.type == "image"] == ["data:image/"]
        assert not any(token.type == "link_open" for token in inside)
        shown.encode()


def test_markup_in_a_section_is_text(places):
    page = html([Section("<i>", "<b>bold</b> <img src=x>")], "heading", "title", places)
    assert "&lt;b&gt;bold&lt;/b&gt;" in page
    assert not {"i", "b", "img"} & {tag for tag, _ in Elements(page).found}


def test_braces_are_only_braces(places):
    assert "{body} {0}" in html([Section("a", "{body} {0}")], "{heading}", "{title}", places)


def test_tables_are_tables(page):
    assert [tag for tag, _ in Elements(page).found].count("table") == 7


def test_a_picture_of_photographs_says_that_it_is_a_jpeg(outcome, places):
    content = b"\xff\xd8 photographs"
    file = store(lambda path: path.write_bytes(content), places, "data", "figures/leak.jpeg")
    leak = outcome.figures.figures[0].model_copy(update={"name": "leak", "file": file})
    figures = outcome.figures.model_copy(update={"figures": (leak, *outcome.figures.figures)})
    page = html(sections(replace(outcome, figures=figures)), "heading", "title", places)
    (first, *_) = (attributes["src"] for tag, attributes in Elements(page).found if tag == "img")
    assert first == "data:image/jpeg;base64," + base64.b64encode(content).decode()
    assert page.index("data:image/jpeg") < page.index("<h2>Result</h2>")


def test_what_is_known_before_training_is_a_page_too(outcome, places):
    page = html(before_training(outcome), "heading", "title", places)
    assert [tag for tag, _ in Elements(page).found].count("h2") == 3


def test_the_markdown_for_the_ui_has_its_pictures_inside(outcome, places):
    (test,) = (section for section in sections(outcome) if section.title == "Test")
    shown = markdown(test, places)
    assert shown.startswith("## Test\n\n")
    assert shown.count("](data:image/png;base64,") == 2
    assert inline(outcome.figures.figures[2], places) in shown
