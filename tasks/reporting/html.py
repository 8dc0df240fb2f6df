"""HTML: the sections of a report as one self-contained page, or as Markdown for the Prefect UI."""

import base64
import hashlib
from collections.abc import Iterable

from markdown_it import MarkdownIt

from tasks.records.results import Figure
from tasks.reporting.report import Section
from tasks.settings.escaping import for_html, for_markdown
from tasks.settings.settings import Places

# Lets no HTML through. Names were escaped before they come here; what no section may hold is switched off besides.
MARKDOWN = MarkdownIt("js-default").disable(["image", "autolink", "html_inline", "html_block", "reference"])
STYLE = """
:root { color-scheme: light; --ink: #22313f; --pale: #5f7285; --line: #dde4ea; }
body { font: 16px/1.55 system-ui, sans-serif; color: var(--ink); max-width: 54rem; margin: 2.5rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.7rem; margin: 0; }
h2 { font-size: 1.15rem; margin: 2.4rem 0 .6rem; border-top: 1px solid var(--line); padding-top: 1.4rem; }
p.lead, figcaption, th { color: var(--pale); }
p.lead { margin-top: .2rem; }
table { border-collapse: collapse; margin: .8rem 0; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th:empty { padding: 0; }
th { font-weight: 600; }
img { max-width: 100%; }
code { font-size: .88em; overflow-wrap: anywhere; }
pre { overflow-x: auto; font-size: .75rem; line-height: 1.35; }
figure { margin: 1rem 0; }
figcaption { font-size: .92rem; }
"""
# The browser refuses all else that may ever get into the page: it runs no script and loads nothing, not even from the folder beside it.
POLICY = "; ".join((
    "default-src 'none'",
    "img-src data:",
    f"style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'",
    "base-uri 'none'",
    "form-action 'none'",
))  # fmt: skip
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<h1>Casting inspection model</h1>
<p class="lead">{title}</p>
{body}
</body>
</html>
"""
FIGURE = """<figure>
<img src="{source}" alt="{title}">
<figcaption><b>{title}.</b> {caption}</figcaption>
</figure>
"""


def html(sections: Iterable[Section], title: str, places: Places) -> str:
    """Return the page; it loads nothing from anywhere."""
    body = "".join(
        f"<h2>{for_html(section.title)}</h2>\n{MARKDOWN.render(section.markdown)}{figures(section, places)}"
        for section in sections
    )
    return PAGE.format(title=for_html(title), policy=POLICY, style=STYLE, body=body)


def figures(section: Section, places: Places) -> str:
    """Return the pictures of a section as HTML, each with its caption."""
    return "".join(
        FIGURE.format(source=inline(figure, places), title=for_html(figure.title), caption=for_html(figure.caption))
        for figure in section.figures
    )


def markdown(section: Section, places: Places) -> str:
    """Return a section as Markdown, with its pictures inside."""
    pictures = [
        f"**{title}**\n\n![{title}]({inline(figure, places)})\n\n{for_markdown(figure.caption)}"
        for figure in section.figures
        for title in [for_markdown(figure.title)]
    ]
    return "\n\n".join([f"## {section.title}", section.markdown, *pictures])


def inline(figure: Figure, places: Places) -> str:
    """Return the picture as a data address."""
    kind = "jpeg" if figure.file.name.endswith(".jpeg") else "png"
    return f"data:image/{kind};base64," + base64.b64encode(figure.file.path(places).read_bytes()).decode()
