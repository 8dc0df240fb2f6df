"""HTML: the sections of a report as one self-contained page, or as Markdown for the Prefect UI."""

import base64
import hashlib
from collections.abc import Iterable
from functools import partial

from markdown_it import MarkdownIt

from tasks.records.results import Figure
from tasks.reporting.report import Drawing, Section
from tasks.reporting.template_files import ROOM, load_template
from tasks.settings.escaping import for_markdown
from tasks.settings.settings import Places

# Lets no HTML through. Names were escaped before they come here; what no section may hold is switched off besides.
MARKDOWN = MarkdownIt("js-default").disable(["image", "autolink", "html_inline", "html_block", "reference"])
STYLE = (ROOM / "templates/report.css").read_text(encoding="utf-8")
STYLE_DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
PAGE = load_template("templates/report.html")


def html(sections: Iterable[Section], heading: str, title: str, places: Places) -> str:
    """Return the page; it loads nothing from anywhere."""
    return PAGE.render(
        heading=heading,
        title=title,
        sections=sections,
        style=STYLE,
        style_digest=STYLE_DIGEST,
        as_html=MARKDOWN.render,
        data_address=partial(inline, places=places),
    )


def markdown(section: Section, places: Places) -> str:
    """Return a section as Markdown, with its pictures inside."""
    pictures = [
        f"**{title}**\n\n![{title}]({inline(figure, places)})\n\n{for_markdown(figure.caption)}"
        for figure in section.pictures
        for title in [for_markdown(figure.title)]
    ]
    return "\n\n".join([f"## {section.title}", section.markdown, *pictures])


def inline(picture: Figure | Drawing, places: Places) -> str:
    """Return the picture as a data address."""
    if isinstance(picture, Drawing):
        kind, content = "svg+xml", picture.svg.encode()
    else:
        kind = "jpeg" if picture.file.name.endswith(".jpeg") else "png"
        content = picture.file.path(places).read_bytes()
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
