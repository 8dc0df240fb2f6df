"""Names: which names of files and folders are used, and which belong to a system, a NAS or a copy program."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import accumulate, takewhile
from typing import NamedTuple

from tasks.images.decoding import BY_SUFFIX
from tasks.settings.escaping import for_terminal

UNLABELED = ("unlabeled", "unlabelled")  # folders of the inbox for images that nobody has labeled yet
MAX_DEPTH = 12  # parts of a name
MAX_PART = 255  # bytes of one part, as most file systems have it
MAX_NAME = 1_024  # bytes
UNSAFE = frozenset(
    {"Cc", "Cf", "Cs", "Zl", "Zp"}
)  # control, format (right-to-left), surrogates, line and paragraph ends
FINDER_ICON = re.compile(r"(^|/)Icon\r$")  # the one name with a control character that a system makes itself

# Side files, which belong to no data set, by the name of a file or folder in any case. Hidden names (`.DS_Store`, `._x`,
# `.Trash-1000`, `.nfs0001`, `.@__thumb`, `.syncthing.x.tmp`) are left out first.
SIDE_NAMES = frozenset({
    # Windows
    "thumbs.db", "thumbs.db:encryptable", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "$recycle.bin",
    "recycler", "recycled", "system volume information", "dfsrprivate", "msocache", "config.msi", "$extend",
    "pagefile.sys", "hiberfil.sys", "swapfile.sys",
    # macOS
    "__macosx", "icon\r", "icon\uf00d", "desktop db", "desktop df", "network trash folder", "temporary items",
    "thefindbycontentfolder", "thevolumesettingsfolder",
    # Synology
    "@eadir", "@tmp", "@sharebin", "@sharesnap", "@appstore", "@appconf", "@appdata", "@apphome", "@appshare", "@apptemp",
    "@autoupdate", "@clamav", "@cloudsync", "@database", "@docker", "@download", "@img_bkp_cache", "@quarantine", "@s2s",
    "@spool", "@ssbackup",
    # Synology, TerraMaster, UGREEN
    "#recycle", "#snapshot",
    # QNAP
    "@recycle", "@recently-snapshot", "@transcode", "network recycle bin",
    # Buffalo, ASUSTOR, NetApp
    "trashbox", "recycle bin", "~snapshot",
    # Linux
    "lost+found", "aquota.user", "aquota.group",
    # photograph programs
    "picasa.ini",
})  # fmt: skip
SIDE_PATTERN = re.compile(
    r"found\.\d{3}"  # of chkdsk
    r"|\$windows\.~.*"
    r"|@syno.*"
    r"|network recycle bin \d+"
    r"|:2e.*",  # a hidden file of a Mac, as netatalk stores it
    re.IGNORECASE,
)
# Files only, as a folder may well be called `housing.part`.
SIDE_FILE_PATTERN = re.compile(
    r"~\$.*"  # an open document of Office
    r"|.*~|#.*#"  # a backup of an editor
    r"|.*@syno(eastream|resource)"
    r"|syno(photo|file|index)_.*|syno@.*"
    r"|.*[:\uf022\uf03a](zone\.identifier|afp_\w+|com\.[\w.#]+)(:\$data)?"  # a stream that a share shows as a file
    r"|~.*\.(tmp|temp)"
    r"|.*\.(xmp|aae|thm)"  # notes of a photograph program beside an image
    # copies and downloads under way
    r"|.*\.(part|partial|filepart|crdownload|opdownload|fdmdownload|download|tmp|temp|crswap|aria2|incomplete|inprogress"
    r"|uploading|copying|pending|!ut|!qb|!bt|!sync|bc!|jc!|dctmp|swp|lock|lck)"
    rf"|.*({'|'.join(map(re.escape, BY_SUFFIX))})\.[0-9a-f]{{6,8}}",  # AWS, rclone
    re.IGNORECASE,
)


class Listing(NamedTuple):
    """The usable files below a folder, and the faults of the others."""

    names: list[str]
    """Files, relative and posix, sorted."""
    faults: list[str]
    """A sentence for each file or folder that is left out for a reason of its own."""


def compose(name: str) -> str:
    """Return `name` in Unicode's form NFC. A Mac writes an accent apart from its letter, and means the same name."""
    return unicodedata.normalize("NFC", name)


def casefold_name(name: str) -> str:
    """Return `name` for a file system that ignores case and Unicode form. Names with an equal result are one file there."""
    return compose(name).casefold()


def is_junk(name: str) -> bool:
    """Return whether a part of a name is hidden, or comes from an operating system, a NAS or a copy program.

    The last part is a file's name; a folder's ends in "/".
    """
    *folders, file = name.split("/")
    return any(map(_is_side, folders)) or _is_side(file) or bool(SIDE_FILE_PATTERN.fullmatch(file))


def _is_side(part: str) -> bool:
    """Return whether one part of a name is hidden or the name of a side file."""
    return part.startswith(".") or part.casefold() in SIDE_NAMES or bool(SIDE_PATTERN.fullmatch(part))


def safe_names(names: Iterable[str]) -> Listing:
    """Split names into those that are safe in tables and on other disks, and a sentence for each file or folder to rename.

    When two names are one on some disks, the first in sorted order is kept.
    """
    taken: dict[str, str] = {}  # files and the folders above them, as some disks fold their names -> a file
    files: dict[str, str] = {}
    faults: dict[str, str] = {}
    for name in sorted(names):
        key = casefold_name(name)
        above = list(_folders_above(key))
        if name_fault(name):
            first = next(part for part in accumulate(name.split("/"), "{}/{}".format) if name_fault(part))
            faults[first] = name_fault(first)
        elif earlier := taken.get(key) or next((files[folder] for folder in above if folder in files), None):
            faults[name] = f"and '{for_terminal(earlier)}' are one name on some disks"
        else:
            files[key] = name
            taken |= dict.fromkeys((key, *above), name)
    lines = [f"'{for_terminal(name)}' {fault}: rename it" for name, fault in faults.items()]
    return Listing(list(files.values()), lines)


def _folders_above(name: str) -> Iterator[str]:
    """Yield the folders above a file, the nearest first."""
    while name := name.rpartition("/")[0]:
        yield name


def name_faults(names: Iterable[str]) -> Iterator[str]:
    """Yield a sentence for each unsafe name, and for names that would be one file. A folder's name ends in "/"."""
    names_by_key: dict[str, str] = {}
    folders: set[str] = set()
    for name in names:
        if fault := name_fault(name):
            yield f"{name[:80]!r} {fault}"
        key = casefold_name(name.removesuffix("/"))
        if key in names_by_key:
            yield f"{names_by_key[key]!r} and {name!r} are one name on some disks"
        names_by_key[key] = name
        folders.update(takewhile(lambda folder: folder not in folders, _folders_above(key)))
    for key in folders & names_by_key.keys():
        if not names_by_key[key].endswith("/"):
            yield f"{names_by_key[key]!r} is a file and a folder"


def name_fault(name: str) -> str:
    """Return what is wrong with a name, or an empty text."""
    parts = name.removesuffix("/").split("/")
    sizes = [len(part.encode(errors="surrogatepass")) for part in parts]
    visible = FINDER_ICON.sub(r"\1Icon", name)
    odd = [char for char in visible if unicodedata.category(char) in UNSAFE] if not visible.isprintable() else []
    if odd and unicodedata.category(odd[0]) == "Cs":
        return "has a name that is not UTF-8"
    if odd:
        return f"has the invisible character U+{ord(odd[0]):04X} in its name"
    if name.startswith("/") or re.match("[A-Za-z]:", name):
        return "is an absolute path"
    if "\\" in name:
        return "has a backslash in its name"
    if not {"", ".", ".."}.isdisjoint(parts):
        return "has an empty part, '.' or '..' in its name"
    if len(parts) > MAX_DEPTH:
        return f"lies {len(parts)} deep, at most {MAX_DEPTH} are taken"
    if max(sizes) > MAX_PART or sum(sizes) + len(sizes) - 1 > MAX_NAME:
        return f"has a name of {sum(sizes) + len(sizes) - 1:,} bytes, at most {MAX_PART} a part and {MAX_NAME:,} in all are taken"
    return ""
