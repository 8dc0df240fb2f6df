"""Words: the noun for what a run inspects, as its report, its pictures and its card show it."""

from typing import NamedTuple

from tasks.records.results import ClassFolders, Source
from tasks.settings.settings import CASTING, Classes

PART = "part"  # of a product that nobody has named
KAGGLE_CASTINGS = "ravirajsinh45/real-life-industrial-dataset-of-casting-product"


class ProductWords(NamedTuple):
    """The noun for what a run inspects. It holds no markup, since the setting allows none."""

    singular: str
    plural: str
    published: bool = False
    """The photographs are those of the published casting data set, or look like a copy of it by their classes."""


def product_words(product: str | None, source: Source, folders: ClassFolders) -> ProductWords:
    """Return the words of a product.

    Args:
        product: As the settings name it; None: a casting where the class folders are those of the published castings, else a part.
        source: Where the photographs come from.
        folders: The class folders of the source.
    """
    has_casting_classes = folders.classes == Classes()
    singular = product or (CASTING if has_casting_classes else PART)
    is_copy = has_casting_classes and singular.lower() == CASTING and source.sample is None
    return ProductWords(singular, plural_of(singular), is_copy or source.identity.startswith(f"{KAGGLE_CASTINGS}/"))


def plural_of(noun: str) -> str:
    """Return the regular English plural of a noun."""
    lower = noun.lower()
    if lower.endswith(("s", "x", "z", "ch", "sh")):
        return f"{noun}es"
    if lower.endswith("y") and lower[-2:-1] not in tuple("aeiou"):
        return f"{noun[:-1]}ies"
    return f"{noun}s"


def capitalized(words: str) -> str:
    """Return words as they begin a sentence. Other capitals stay, as those of `PCB`."""
    return words[:1].upper() + words[1:]
