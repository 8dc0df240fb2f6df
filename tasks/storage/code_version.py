"""Code version: everything besides its inputs that decides a result, as text.

That is the code of a file, of the files of rooms that it imports, the templates that they name, and the versions of their libraries.
Files are read and not imported, since importing a network would load TensorFlow. Comments and docstrings are left out, and so are the
rooms that carry results and decide none.
"""

import ast
import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

LIBRARIES = {  # import name: distribution, of those that decide a result
    "tensorflow": "tensorflow", "keras": "keras", "numpy": "numpy", "scipy": "scipy",
    "PIL": "pillow", "simplejpeg": "simplejpeg", "matplotlib": "matplotlib",
    "ai_edge_litert": "ai-edge-litert",
}  # fmt: skip
ROOT = Path(__file__).parents[2]  # holds the package `tasks`
CARRIERS = ("tasks.settings", "tasks.storage", "tasks.records", "tasks.tracking", "tasks.pipeline")
DECIDES = (
    "tasks.settings.crops",
    "tasks.settings.frames",
    "tasks.settings.model_specs",
    "tasks.records.rows",
)  # in rooms that otherwise decide nothing


def code_digest(module: Path) -> str:
    """Return the sha256 of everything that decides what the functions of the file `module` return, besides their arguments."""
    return hashlib.sha256("\0".join(code_and_libraries(module)).encode()).hexdigest()


@cache
def code_and_libraries(module: Path) -> tuple[str, ...]:
    """Return the code of the file `module` and of the files of rooms that it imports, with the versions of the libraries that they import.

    A template counts as code where a file or another template that counts names it, as `templates/NAME`.
    """
    templates = [*ROOT.glob("tasks/*/templates/*")]
    code, libraries, unread = {}, set(), [module]
    while unread:
        path = unread.pop()
        if path in code or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8")
        code[path], imports = (text, frozenset[str]()) if path in templates else code_and_imports(text)
        unread += [template for template in templates if f"templates/{template.name}" in code[path]]
        for imported in imports:
            if imported.startswith("tasks.") and (imported in DECIDES or not imported.startswith(CARRIERS)):
                unread.append(ROOT / f"{imported.replace('.', '/')}.py")
            elif (top := imported.partition(".")[0]) in LIBRARIES:
                libraries.add(top)
    return (
        *(f"{path.stem}:{text}" for path, text in sorted(code.items())),
        *(f"{name}=={version(LIBRARIES[name])}" for name in sorted(libraries)),
    )


@cache
def code_and_imports(text: str) -> tuple[str, frozenset[str]]:
    """Return the code of a file without comments, docstrings and layout, and the modules that it may import."""
    tree = ast.parse(text)
    return ast.dump(without_docstrings(tree)), frozenset(imports_of(tree))


def imports_of(tree: ast.AST) -> set[str]:
    """Return every module that the code may import, inside functions too; `from a import b` counts as a and a.b."""
    modules = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return modules


def without_docstrings(tree: ast.Module) -> ast.Module:
    """Remove the docstrings from the tree, in place, and return it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [line for line in node.body if not is_text(line)]
    return tree


def is_text(line: ast.stmt) -> bool:
    """Return whether a statement is a string and nothing else: the docstring of its block, or of the field above it."""
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) and isinstance(line.value.value, str)
