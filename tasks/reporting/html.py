"""HTML: the sections of a report as one self-contained page, or as Markdown for the Prefect UI."""

import base64
import hashlib
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt

from tasks.records.results import Figure
from tasks.reporting.report import Drawing, Section
from tasks.settings.escaping import for_markdown, for_terminal
from tasks.settings.settings import Places

# Lets no HTML through. Names were escaped before they come here; what no section may hold is switched off besides.
MARKDOWN = MarkdownIt("js-default").disable(["image", "autolink", "html_inline", "html_block", "reference"])
ROOM = Path(__file__).parent
STYLE = (ROOM / "templates/report.css").read_text(encoding="utf-8")
STYLE_DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
# All that the template does not call `safe` is data: first made printable and redacted, then escaped.
PAGE = Environment(
    loader=FileSystemLoader(ROOM),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=lambda value: value if hasattr(value, "__html__") else for_terminal(str(value)),
    trim_blocks=True,
    keep_trailing_newline=True,
).get_template("templates/report.html")


def html(sections: Iterable[Section], title: str, places: Places) -> str:
    """Return the page; it loads nothing from anywhere."""
    return PAGE.render(
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
