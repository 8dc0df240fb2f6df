"""House rules: what loads what, what may be read, and how files and functions are named. `lint-imports` checks who imports whom."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
VERBS = {path.stem for path in (ROOT / "tasks").glob("*.py")} - {"__init__"}
FILES = sorted(path for folder in ("flows", "tasks") for path in (ROOT / folder).rglob("*.py"))
ALL_FILES = [
    *FILES,
    *sorted(path for folder in ("benchmarks", "deployments") for path in (ROOT / folder).rglob("*.py")),
]


def imports(path: Path) -> set[str]:
    """Return the modules that the file imports; what stands under TYPE_CHECKING is for the type checker alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        node
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and "TYPE_CHECKING" in ast.dump(branch.test)
        for node in ast.walk(branch)
    }
    modules = set()
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return modules


def relative_name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def layers() -> list[str]:
    """Return the layers of the import contract, the highest first."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (found,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    return found


def test_the_verbs_are_the_steps_of_the_pipeline():
    (steps,) = (layer for layer in layers() if "|" in layer)
    assert set(steps.replace("tasks.", "").split(" | ")) == VERBS


RUNS_CODE = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}  # libraries whose files are programs
UNSAFE = {"allow_pickle=True", "safe_mode=False", "weights_only=False"}


def calls(path: Path) -> set[str]:
    """Return what the file calls, `name` or `module.name`, and the constants that it hands over, as `name=value`."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            names |= {ast.unparse(node.func)} if isinstance(node.func, ast.Name | ast.Attribute) else set()
            names |= {
                f"{word.arg}={word.value.value}" for word in node.keywords if isinstance(word.value, ast.Constant)
            }
    return names


def test_no_file_that_is_read_could_run_code():
    for path in ALL_FILES:
        assert not {module.split(".")[0] for module in imports(path)} & RUNS_CODE, relative_name(path)
        assert not calls(path) & {
            "eval",
            "exec",
            "compile",
            "__import__",
            "yaml.load",
            "importlib.import_module",
            *UNSAFE,
        }, relative_name(path)


def test_the_contracts_name_every_room():
    """A folder that no layer names would be checked by none."""
    rooms = {path.parent.name for path in (ROOT / "tasks").glob("*/__init__.py")}
    assert {layer.removeprefix("tasks.") for layer in layers() if "|" not in layer} == {"flows", *rooms}


def test_no_flow_hides_a_step_or_a_module_of_the_standard_library():
    for flow in (ROOT / "flows").glob("*.py"):
        assert flow.stem == "__init__" or flow.stem not in sys.stdlib_module_names | VERBS


def test_no_room_is_called_by_what_it_is_not_about():
    assert not {path.stem for path in FILES} & {"utils", "helpers", "common", "core", "base", "misc", "manager"}


def test_loading_the_flows_loads_no_heavy_library():
    heavy = "tensorflow", "keras", "ai_edge_litert", "matplotlib", "mlflow", "kaggle", "scipy"
    code = f"import sys, flows.retrain, flows.predict; print(*[name for name in {heavy!r} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []


def test_every_step_has_its_file_of_tests():
    for verb in VERBS:
        assert (ROOT / "tests" / f"test_{verb}.py").exists(), verb


# Words that hide what a name holds or does: participles, question words, pronouns.
HIDING = {
    "told", "kept", "shown", "found", "made", "known", "learnt", "settled", "seen", "given", "asked", "chosen",
    "taken", "begun", "obtained", "drawn", "ruled", "accepted", "planned", "mixed", "undecided", "taken_up",
    "look_first", "one", "other", "some", "there", "whole", "alone", "of", "what", "which", "who", "whether", "how",
    "lit", "warmth", "said", "sent", "fed", "dealt", "sided", "judged", "trained", "arrived", "divided", "changed",
    "apart", "beside", "altering", "wanted",
}  # fmt: skip


def test_no_public_name_hides_what_it_is():
    for path in ALL_FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                assert node.name not in HIDING, f"{relative_name(path)}: {node.name}"


def test_every_file_says_what_it_is_for():
    for path in ALL_FILES:
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), relative_name(path)
