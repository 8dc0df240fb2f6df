"""GPU libraries: the lock, the image and the table hold what TensorFlow's own metadata and binary ask for."""

import importlib
import mmap
import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from deployments import link_gpu_libraries
from tasks.networks.gpu_libraries import (
    OPENED,
    OVERLOOKED,
    PACKAGES,
    SEARCHED,
    installed_packages,
    is_overlooked,
    library_file,
    link_overlooked,
    lost_files,
    package_folder,
    searched_file,
)

ROOT = Path(__file__).parents[2]
ASKED = {
    requirement.name: requirement.specifier
    for requirement in map(Requirement, metadata.requires("tensorflow") or [])
    if requirement.marker and requirement.marker.evaluate({"extra": "and-cuda"})
    if not requirement.marker.evaluate({"extra": ""})
}


def locked_packages() -> dict[str, tuple[str, list[str]]]:
    """Return the version and the hashes of each package of requirements-gpu.txt."""
    text = (ROOT / "requirements-gpu.txt").read_text(encoding="utf-8").replace("\\\n", "")
    lines = re.findall(r"^([\w.-]+)==(\S+)(.*)$", text, flags=re.MULTILINE)
    return {name: (version, re.findall(r"--hash=sha256:([0-9a-f]{64})\b", rest)) for name, version, rest in lines}


def test_tensorflow_names_its_gpu_packages():
    assert len(ASKED) >= 10 and all(name.startswith("nvidia-") for name in ASKED)


@pytest.mark.parametrize("package", sorted(ASKED))
def test_the_gpu_lock_holds_what_tensorflow_asks_for(package):
    version, hashes = locked_packages()[package]
    assert ASKED[package].contains(version), f"{package} is {version}, asked for is {ASKED[package]}"
    assert hashes


def test_the_gpu_lock_is_of_the_tensorflow_that_is_tested():
    assert locked_packages()["tensorflow"][0] == metadata.version("tensorflow")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (extra,) = map(Requirement, project["optional-dependencies"]["gpu"])
    (plain,) = [one for one in map(Requirement, project["dependencies"]) if one.name == "tensorflow"]
    assert (extra.name, extra.extras, extra.specifier) == ("tensorflow", {"and-cuda"}, plain.specifier)


def test_each_library_comes_from_a_package_that_tensorflow_asks_for():
    assert set(OPENED) <= PACKAGES.keys()
    assert set(PACKAGES.values()) <= ASKED.keys()


@pytest.mark.parametrize("library", sorted(PACKAGES))
def test_a_library_s_number_is_that_of_the_locked_package(library):
    assert library.rpartition(".")[2] == locked_packages()[PACKAGES[library]][0].partition(".")[0]


def test_tensorflow_s_binary_searches_the_folders_of_all_libraries_but_one():
    binary = Path(str(metadata.distribution("tensorflow").locate_file("tensorflow/libtensorflow_framework.so.2")))
    if not binary.exists():
        pytest.skip("this TensorFlow has no such file")
    with binary.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for library in OPENED:
            name = PACKAGES[library].removeprefix("nvidia-").removesuffix("-cu12").replace("-", "_")
            searched = content.find(f"$ORIGIN/../nvidia/{name}/lib".encode()) >= 0
            assert searched == (library != OVERLOOKED), f"{library}: see OVERLOOKED"


def test_the_image_of_the_gpu_installs_this_lock_and_then_links():
    compose = yaml.safe_load((ROOT / "deployments/compose.yaml").read_text(encoding="utf-8"))
    assert compose["services"]["worker-gpu"]["build"]["args"] == {"LOCK": "requirements-gpu.txt"}
    lines = (ROOT / "deployments/Dockerfile").read_text(encoding="utf-8").replace("\\\n", "").splitlines()
    (copied,) = [number for number, line in enumerate(lines) if line.startswith("COPY ${LOCK} /app/requirements.txt")]
    (installed,) = [
        number for number, line in enumerate(lines) if re.search("RUN pip .*--requirement requirements", line)
    ]
    (code,) = [number for number, line in enumerate(lines) if line.startswith("COPY deployments ")]
    (linked,) = [number for number, line in enumerate(lines) if "python deployments/link_gpu_libraries.py" in line]
    assert copied < installed < code < linked


def test_make_gpu_installs_and_then_links():
    recipe = re.search(r"^gpu:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    installs, links = recipe[1].splitlines()
    assert "-r requirements-gpu.txt" in installs and "deployments/link_gpu_libraries.py" in links


def install(package: str, library: str, site: Path) -> Path:
    """Put a package with one library into a folder of packages, and return the library."""
    information = site / f"{package.replace('-', '_')}-12.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 12.0\n", encoding="utf-8")
    importlib.invalidate_caches()  # it goes by the folder's time, whose steps are of some milliseconds
    folder = package_folder(package)
    assert folder == site / "nvidia" / folder.parent.name / "lib"
    folder.mkdir(parents=True)
    (folder / library).write_bytes(b"library")
    record = [
        f"nvidia/{folder.parent.name}/lib/{library},sha256=x,7",
        f"nvidia/{folder.parent.name}/include/header.h,,",
    ]
    (information / "RECORD").write_text("\n".join(record), encoding="utf-8")
    return folder / library


@pytest.fixture
def site(tmp_path, monkeypatch) -> Path:
    """Let an empty folder be the only one in which packages are looked for."""
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    return tmp_path


def test_without_packages_there_is_no_library_and_nothing_to_link(site, capsys):
    assert installed_packages() == set() and not is_overlooked()
    assert library_file("libcudnn.so.9") is None and searched_file(OVERLOOKED) is None
    link_gpu_libraries.main()
    assert capsys.readouterr().out == "no libcusolver.so.11 to link: NVIDIA's packages are not installed\n"


def test_a_library_is_found_where_its_package_put_it(site):
    file = install("nvidia-cuda-runtime-cu12", "libcudart.so.12", site)
    assert file == site / "nvidia/cuda_runtime/lib/libcudart.so.12" == library_file("libcudart.so.12")
    assert searched_file("libcudart.so.12") == file
    assert installed_packages() == {"nvidia-cuda-runtime-cu12"}
    assert lost_files() == {}, "a header may be left out"
    file.write_bytes(b"cut")
    assert lost_files() == {"libcudart.so.12": "nvidia-cuda-runtime-cu12"}
    file.unlink()
    assert library_file("libcudart.so.12") is None
    assert lost_files() == {"libcudart.so.12": "nvidia-cuda-runtime-cu12"}


def test_the_overlooked_library_is_linked_into_a_folder_that_is_searched(site, capsys):
    file = install("nvidia-cusolver-cu12", OVERLOOKED, site)
    assert link_overlooked() is None, "there is no folder to link it into"
    beside = install(SEARCHED, "libcusparse.so.12", site)
    assert is_overlooked() and searched_file(OVERLOOKED) is None
    for _ in range(2):
        link_gpu_libraries.main()
        link = searched_file(OVERLOOKED)
        assert link == beside.parent / OVERLOOKED and link.resolve() == file
        assert not link.readlink().is_absolute(), "the virtual environment may be copied"
        assert not is_overlooked()
        assert capsys.readouterr().out == f"libcusolver.so.11 is linked: {link}\n"
    file.unlink()
    assert searched_file(OVERLOOKED) is None and not is_overlooked(), "the link leads nowhere: the library is missing"
