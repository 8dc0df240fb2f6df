"""Template files: load the Jinja templates of this room, those of pages and pictures so that nothing from outside becomes markup."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from tasks.settings.escaping import for_terminal

ROOM = Path(__file__).parent


def load_template(name: str) -> Template:
    """Return the template `templates/NAME`. A value that it lacks is an error.

    In HTML and SVG, all that the template does not call `safe` is data: it is made printable and redacted, then escaped. In Markdown
    nothing is escaped: every value is finished Markdown.
    """
    is_markup = not name.endswith(".md")
    environment = Environment(
        loader=FileSystemLoader(ROOM),
        autoescape=is_markup,
        undefined=StrictUndefined,
        finalize=as_printable if is_markup else None,
        trim_blocks=is_markup,
        keep_trailing_newline=True,
    )
    return environment.get_template(name)


def as_printable(value: object) -> object:
    """Return a value as text without control characters and secrets; what is called `safe` stays as it is."""
    return value if hasattr(value, "__html__") else for_terminal(str(value))
