"""GPU benchmark: its arithmetic, its limits, and its short form, which does a little of every part on the processors."""

import fcntl
import json
import math
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import gpu, gpu_device, gpu_images, gpu_steps, gpu_trainings, supervisor
from benchmarks.gpu_device import Job
from benchmarks.gpu_images import NETWORKS, Pack
from benchmarks.gpu_steps import Combination
from benchmarks.isolation import run_isolated
from benchmarks.supervisor import Emit, Part
from tasks.images.views import shape
from tasks.networks import gpu_diagnosis
from tasks.records.rows import SPLITS, Row
from tasks.settings.errors import BadInput
from tasks.settings.settings import SampleSettings
from tasks.sources.synthetic.sample import write_sample

SCRIPT = Path(__file__).parents[1] / "benchmarks/gpu.py"
OPERATIONS_OF_RING = (
    3
    * 2
    * sum(  # by hand: places of the output, filter, planes, filters
        places * size**2 * planes * filters
        for places, size, planes, filters in (
            (24 * 144, 8, 3, 16),
            (24 * 144, 3, 16, 32),
            (12 * 72, 4, 32, 48),
            (12 * 72, 3, 48, 64),
            (12 * 64, 1, 64, 1),  # without the columns that are continued at both ends
        )
    )
)
TRAINED = [f"whole {network}" for network in NETWORKS]


def test_the_operations_of_a_step_are_those_of_products_forward_and_twice_as_many_back():
    convolution, dense = ((3, 3, 2, 8), (10, 20, 8)), ((100, 5), (5,))
    assert gpu_steps.count_operations([convolution]) == 3 * 2 * (3 * 3 * 2) * (10 * 20 * 8)
    assert gpu_steps.count_operations([dense]) == 3 * 2 * 100 * 5
    assert gpu_steps.count_operations([convolution, dense]) == 3 * 2 * (18 * 1_600 + 500)


def test_the_rates_of_a_step_follow_from_its_seconds():
    rates = gpu_steps.step_figures(batch=32, seconds=0.004, work=10**9, ceiling=400.0)
    assert rates == pytest.approx(
        {"milliseconds": 4, "images_per_second": 8_000, "teraflops": 8, "share_of_ceiling": 0.02}
    )
    assert gpu_steps.step_figures(32, 0.004, 10**9, None)["share_of_ceiling"] is None


def test_compiling_pays_from_the_step_at_which_its_time_is_gained():
    plain, compiled = ({"milliseconds": 8.0, "first_seconds": 3.0}, {"milliseconds": 4.0, "first_seconds": 15.0})
    assert gpu_steps.break_even_step(plain, compiled) == 3_000
    assert gpu_steps.break_even_step(compiled, plain) is None, "it gains nothing"
    assert gpu_steps.break_even_step({}, compiled) is gpu_steps.break_even_step(plain, {"error": "no memory"}) is None


def test_waiting_is_what_a_step_takes_longer_than_from_memory():
    assert gpu_steps.waiting_share(8.0, 2.0) == {"share_of_waiting": 0.75}
    assert gpu_steps.waiting_share(None, 2.0) == gpu_steps.waiting_share(8.0, None) == {}, "one of them failed"


def test_the_pace_of_a_training_leaves_out_its_first_epoch():
    assert gpu_trainings.epoch_figures([20, 22, 25, 27]) == {
        "epochs": 4,
        "first_epoch_seconds": 20,
        "seconds_an_epoch": 2,
    }
    assert gpu_trainings.epoch_figures([20])["seconds_an_epoch"] is None


def test_errors_are_counted_at_the_likelier_class():
    logits = np.array([[0, 1], [1, 0], [1, 0], [0, 1], [2, 1]])
    assert gpu_trainings.count_errors(logits, np.array([1, 1, 1, 0, 0])) == {
        "test_images": 5,
        "test_errors": 3,
        "missed_defects": 2,
        "false_rejects": 1,
    }


def test_two_trainings_do_as_much_as_one_where_each_takes_twice_as_long():
    assert gpu_trainings.relative_throughput(3.0, 6.0, 6.0) == 1
    assert gpu_trainings.relative_throughput(3.0, 3.0, 4.0) == 1.75


def test_libraries_are_named_as_they_are_loaded():
    maps = "7f r-xp 0 /x/nvidia/cudnn/lib/libcudnn.so.9\n7f r-xp 0 /x/libcublasLt.so.12.9\n7f r--p 0 /x/libcudnn.so.9\n7f /usr/libc.so.6"
    assert gpu_device.nvidia_libraries(maps) == ["libcublasLt.so.12.9", "libcudnn.so.9"]


@pytest.mark.parametrize("sizes", [gpu.GPU, gpu.CPU, gpu.SHORT])
def test_every_step_is_planned_once_and_the_first_batch_size_first(sizes):
    steps, compiled = (gpu_steps.plan_steps(sizes, xla) for xla in (False, True))
    assert len({*steps, *compiled}) == len(steps) + len(compiled)
    first = len(sizes.networks) * (len(sizes.precisions) + len(sizes.executions))
    assert {one.batch for one in steps[:first]} == {sizes.batches[0]}
    assert {one[:3] for one in steps if one.executions == 1} == {
        (network, batch, precision)
        for network in sizes.networks
        for batch in sizes.batches
        for precision in sizes.precisions
    }
    assert {one.precision for one in compiled[: len(sizes.networks) * len(sizes.batches)]} == {sizes.precisions[0]}
    assert len({str(one) for one in (*steps, *compiled)}) == len(steps) + len(compiled)


def test_the_names_of_steps_say_what_differs():
    assert str(Combination("ring", 32, "tf32")) == "ring 32 tf32"
    assert str(Combination("ring", 32, "tf32", xla=True, executions=8)) == "ring 32 tf32 XLA x8"


def make_pack(train: int, validation: int = 1, test: int = 1, size: int = 50) -> Pack:
    number = train + validation + test
    contents = np.random.default_rng(0).integers(0, 256, number * size, np.uint8)
    sides = np.repeat([0, 1, 2], [train, validation, test]).astype(np.uint8)
    return Pack(contents, np.arange(1, number + 1) * size, np.arange(number, dtype=np.uint8) % 2, sides)


def test_a_pack_gives_back_the_files_of_each_split(tmp_path):
    made = make_pack(3, 2, 1)
    assert gpu_images.write_pack(made, tmp_path / "folder") == (tmp_path / "folder" / "images.npz").stat().st_size
    found = gpu_images.read_pack(tmp_path / "folder")
    files = [found.files(split) for split in ("train", "validation", "test")]
    assert [len(part) for part in files] == [3, 2, 1]
    assert b"".join(file for part in files for file in part) == made.contents.tobytes()


def test_fewer_images_of_a_pack_are_not_chosen_in_silence(tmp_path):
    gpu_images.write_pack(make_pack(3), tmp_path)
    with pytest.raises(BadInput, match="is packed, and --images 2 chooses while it is: give --images beside --prepare"):
        gpu_images.write_images(str(tmp_path), 2, tmp_path, lambda *_: None)


def test_a_pack_that_cannot_travel_is_refused_and_so_many_training_images_would_fit(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_images, "MOST_BYTES", 500_000)
    with pytest.raises(
        BadInput, match=r"the 1,002 images take 1\.0 MB, and 0 MB are allowed: with --images (\d+)"
    ) as found:
        gpu_images.write_pack(make_pack(1_000, size=1_000), tmp_path)
    assert list(tmp_path.iterdir()) == []
    fewer = int(str(found.value).split("--images ")[1].split()[0])
    assert 400 < fewer < 500
    assert gpu_images.write_pack(make_pack(fewer, size=1_000), tmp_path) < 500_000


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A zip of eight drawn castings."""
    top = tmp_path_factory.mktemp("sample")
    write_sample(SampleSettings(parts=8, train_images=24, test_images=8), top / "sample.zip", truth=top / "truth")
    return top / "sample.zip"


def test_packed_images_are_those_of_the_source_and_seen_as_the_pipeline_sees_them(sample):
    with gpu_images.split_source(str(sample), None) as data:
        packed = gpu_images.pack_images(data)
        with zipfile.ZipFile(sample) as archive:
            images = {archive.read(name) for name in archive.namelist() if name.endswith("jpeg")}
        assert {file for side in ("train", "validation", "test") for file in packed.files(side)} == images
        assert [len(packed.files(side)) for side in ("train", "validation", "test")] == [
            sum(row.split == side for row in data.rows) for side in ("train", "validation", "test")
        ]
        for network in ("ring", "compact"):
            recipe = gpu_steps.make_recipe(network, 32)
            here, there = gpu_images.load_rows(data, "test", recipe), gpu_images.load_pack(packed, "test", recipe)
            assert here[0].shape == (8, *shape(recipe.view, recipe.image_size))
            np.testing.assert_array_equal(here[0], there[0])
            np.testing.assert_array_equal(here[1], there[1])
            assert {*here[1]} == {0, 1}


@given(st.integers(1, 50), st.integers(1, 60))
def test_fewer_training_images_are_evenly_spread(number, most):
    found = gpu_images.spread_evenly(range(number), most)
    assert len(found) == min(number, most)
    assert np.ptp(np.diff([*found, number + found[0]])) <= 1
    assert gpu_images.spread_evenly(range(number), None) == [*range(number)]


def test_only_training_images_are_left_out():
    rows = [Row(f"{side}{number}", "", "", "", "", 1, 1, 0, 0, 0, "", side) for side in SPLITS for number in range(4)]
    found = gpu_images.select_rows(rows, 2)
    assert [row.path for row in found if row.split == "train"] == ["train0", "train2"]
    assert [row for row in found if row.split != "train"] == [
        row for row in rows if row.split in ("validation", "test")
    ]


def test_parts_are_chosen_by_how_their_names_begin_and_bring_the_images_that_they_need(tmp_path):
    parts = gpu.make_parts(Job(False, gpu.SHORT, tmp_path))

    def names(*asked: str) -> list[str]:
        return [part.name for part in gpu.select_parts(parts, asked)]

    assert names() == [part.name for part in parts]
    assert names("device", "xla") == ["device", "xla"]
    assert names("whole") == ["prepare", *TRAINED]
    assert names("input", "steps") == ["prepare", "steps", "input"]
    with pytest.raises(BadInput, match="there is no part speed: choose of device, prepare, "):
        names("steps", "speed")


def test_time_that_a_part_leaves_is_shared_among_the_others():
    parts = [Part(name, quick, weight, least=20) for name, weight in (("a", 1), ("b", 1), ("c", 2))]
    assert supervisor.time_limit(100, parts) == 25
    assert supervisor.time_limit(95, parts[1:]) == pytest.approx(95 / 3)
    assert supervisor.time_limit(30, parts) == 20, "with less it would tell nothing"
    assert supervisor.time_limit(30, parts[2:]) == 30


def quick(emit: Emit) -> None:
    emit("a", {"seconds": 1})
    emit("a", {"seconds": 2.5})


def slow(lock: Path, emit: Emit) -> None:
    emit("so far", {"epochs": 1})
    run_isolated(hold, lock, emit)


def hold(lock: Path, emit: Emit) -> None:
    with open(lock, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        emit("in a process of its own", {"epochs": 2})
        time.sleep(600)


def fail(emit: Emit) -> None:
    emit("b", {"seconds": 3})
    raise ValueError("no such thing\nand more")


def stop(emit: Emit) -> None:
    raise supervisor.Stop("there is no GPU")


def die(emit: Emit) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.usefixtures("process")
def test_a_part_that_exceeds_its_limit_or_fails_is_told_and_the_others_run(tmp_path, capfd, monkeypatch):
    published: list[str] = []
    works = {"fails": fail, "dies": die, "slow": partial(slow, tmp_path / "lock"), "quick": quick}
    until = time.monotonic() + 4_000

    def monotonic() -> float:  # a thousand seconds later as soon as the slow part has told all
        return time.monotonic() + 1_000 * ("in a process of its own" in supervisor.read_figures("slow", tmp_path))

    monkeypatch.setattr(supervisor, "time", SimpleNamespace(monotonic=monotonic))
    parts = [Part(name, work, weight=1 if name == "slow" else 4) for name, work in works.items()]
    results = supervisor.run_parts(parts, tmp_path, until, lambda known: published.append(json.dumps(known)))
    assert results["quick"].keys() == {"seconds", "limit_seconds", "figures"}
    assert results["quick"]["figures"] == {"a": {"seconds": 2.5}}
    assert results["fails"]["error"] == "ValueError: no such thing"
    assert results["fails"]["figures"] == {"b": {"seconds": 3}}
    assert results["dies"]["error"] == "its process ended with exit status -9"
    assert results["slow"]["figures"] == {"so far": {"epochs": 1}, "in a process of its own": {"epochs": 2}}
    limit = results["slow"]["limit_seconds"]
    assert results["slow"]["timed_out"] == f"after {limit:.0f} s"
    assert results["slow"]["seconds"] >= limit
    with open(tmp_path / "lock") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # what the part started has ended too
    assert any('"cut_off": "after' in known for known in published), "what stands if the run itself is killed"
    assert json.loads(published[0])["quick"] == {"skipped": "the run ended before"}
    assert "timed out: after" in capfd.readouterr().out


def test_parts_without_time_are_skipped_with_the_reason(tmp_path):
    parts = [Part("first", quick), Part("second", quick, least=3)]
    assert supervisor.run_parts(parts, tmp_path, time.monotonic() - 1, dict) == {
        "first": {"skipped": "0.0 s are left, and it needs 1 at least"},
        "second": {"skipped": "0.0 s are left, and it needs 3 at least"},
    }


@pytest.mark.usefixtures("process")
def test_no_other_part_runs_where_one_finds_nothing_to_measure(tmp_path):
    known: dict = {}
    with pytest.raises(BadInput, match="^there is no GPU$"):
        supervisor.run_parts(
            [Part("device", stop), Part("quick", quick)], tmp_path, time.monotonic() + 600, known.update
        )
    assert known["quick"] == {"skipped": "the run ended before"}


def test_half_a_line_of_a_killed_part_is_no_figure(tmp_path):
    table = supervisor.FigureTable(supervisor.rows_file("part", tmp_path))
    table.add("whole", {"seconds": 1.0})
    with open(supervisor.rows_file("part", tmp_path), "a") as file:
        file.write('["half", {"sec')
    assert supervisor.read_figures("part", tmp_path) == {"whole": {"seconds": 1.0}}


def test_a_gpu_that_tensorflow_does_not_see_is_told_with_what_to_do(tensorflow, tmp_path, monkeypatch):
    import tensorflow as tf

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    monkeypatch.setattr(gpu_diagnosis, "why_no_gpu", lambda: "`make gpu` installs what is missing")
    with pytest.raises(
        supervisor.Stop, match=r"sees no GPU: `make gpu` .*; or measure the processors with --device cpu"
    ):
        gpu_device.set_up(Job(True, gpu.GPU, tmp_path))


def test_parts_without_images_say_which_part_failed(tmp_path):
    with pytest.raises(BadInput, match="no train images for ring: see what became of the part `prepare`"):
        gpu_images.load_examples(tmp_path, "ring", "train")


@pytest.mark.usefixtures("process")
def test_a_run_that_is_interrupted_leaves_what_it_knows(tmp_path):
    words = ["--short", "--parts", "prepare,device", "--minutes", "30", "--json", tmp_path / "told.json"]
    with subprocess.Popen([sys.executable, SCRIPT, *words], stdout=subprocess.DEVNULL) as running:
        while not (tmp_path / "told.json").exists() and running.poll() is None:
            time.sleep(0.01)
        running.send_signal(signal.SIGTERM)
    assert running.returncode == 130
    told = json.loads((tmp_path / "told.json").read_text())
    assert told["parts"]["device"]["cut_off"].startswith("after ")
    assert told["parts"]["prepare"] == {"skipped": "the run ended before"}


@pytest.fixture
def run_short(monkeypatch, tmp_path: Path) -> Callable[..., dict]:
    """What the short form writes; `here` runs the parts in this process, to be sooner done."""

    def measured(*words: object, here: bool) -> dict:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
        monkeypatch.setattr(signal, "signal", lambda *_: None)  # of the process that runs the tests
        if here:
            monkeypatch.setattr(supervisor, "supervise", run_directly)
        given = ["gpu.py", "--short", "--minutes", "20", "--json", tmp_path / "told.json", *words]
        monkeypatch.setattr(sys, "argv", [str(word) for word in given])
        gpu.main()
        return json.loads((tmp_path / "told.json").read_text())

    return measured


def run_directly(part: Part, folder: Path, limit: float, note: Callable[[dict], None]) -> None:
    part.work(supervisor.FigureTable(supervisor.rows_file(part.name, folder)).add)
    note({"figures": supervisor.read_figures(part.name, folder)})


@pytest.mark.long
def test_the_short_form_measures_every_part(tensorflow, process, run_short, tmp_path):
    whole = {"ring": {"seconds": 50.0, "test_errors": 6, "missed_defects": 6, "epochs": 3}}
    earlier = {"parts": {f"whole {network}": {"figures": {network: found}} for network, found in whole.items()}}
    (tmp_path / "cpu.json").write_text(json.dumps(earlier))
    words = ["--parts", "device,prepare,whole,steps,input,xla", "--beside", tmp_path / "cpu.json"]
    told = run_short(*words, here=True)
    parts = {name: part["figures"] for name, part in told["parts"].items()}
    assert list(parts) == ["device", "prepare", *TRAINED, "steps", "input", "xla"]
    assert parts["device"]["device"]["gpus"] == 0
    check_ceilings(parts["device"])
    assert parts["prepare"]["ring"]["test"] == 16
    for name in ("steps", "xla"):
        check_steps(parts[name], gpu_steps.plan_steps(gpu.SHORT, name == "xla"), parts["device"])
    plain, compiled = parts["steps"]["ring 2 float32"], parts["xla"]["ring 2 float32 XLA"]
    assert compiled["pays_from_step"] == gpu_steps.break_even_step(plain, compiled)
    check_input(parts["input"])
    for network in NETWORKS:
        check_whole(parts[f"whole {network}"][network])
    assert parts["whole ring"]["ring"]["test_errors_there"] == 6
    assert "test_errors_there" not in parts["whole compact"]["compact"]


def check_ceilings(figures: dict) -> None:
    found = figures["product float32"]
    assert found["teraflops"] == pytest.approx(2 * found["size"] ** 3 / (found["milliseconds"] / 1e3) / 1e12)
    assert figures["copy"]["gb_per_second"] == pytest.approx(
        2 * figures["copy"]["megabytes"] / figures["copy"]["milliseconds"]
    )


def check_steps(figures: dict, planned: list[Combination], device: dict) -> None:
    assert list(figures) == [str(one) for one in planned]
    for one in planned:
        found = figures[str(one)]
        assert found["images_per_second"] == pytest.approx(one.batch / found["milliseconds"] * 1e3)
        assert found["share_of_ceiling"] == pytest.approx(
            found["teraflops"] / device[f"product {one.precision}"]["teraflops"]
        )
        assert found["first_seconds"] > 0
        assert found["peak_mb"] > 100
        assert found["teraflops"] / found["images_per_second"] == pytest.approx(OPERATIONS_OF_RING / 1e12)


def check_input(figures: dict) -> None:
    feeds = ["memory", "memory, loss read", "pipeline", "altered by the host", "altered by the device"]
    assert list(figures) == [f"ring 2 {feed}" for feed in feeds]
    memory = figures["ring 2 memory"]
    assert memory["share_of_waiting"] == 0
    assert memory["images_per_second"] == pytest.approx(2 / memory["milliseconds"] * 1e3)
    for feed in feeds:
        found = figures[f"ring 2 {feed}"]
        assert found["share_of_waiting"] == pytest.approx(1 - memory["milliseconds"] / found["milliseconds"])
        assert ("alone_images_per_second" in found) == (feed in ("pipeline", "altered by the host"))


def check_whole(figures: dict) -> None:
    assert figures["epochs"] == 1
    assert 0 < figures["first_epoch_seconds"] <= figures["seconds"]
    assert figures["test_images"] == 16
    assert figures["missed_defects"] + figures["false_rejects"] == figures["test_errors"] <= 16


@pytest.mark.long
def test_short_trainings_are_killed_resumed_and_run_side_by_side(process, run_short):
    told = run_short("--parts", "deterministic,pair", here=False)["parts"]
    assert list(told) == ["prepare", "deterministic", "pair"]
    assert not any(part.keys() & {"error", "timed_out", "cut_off", "skipped"} for part in told.values())
    found = told["deterministic"]["figures"]
    assert found["killed"] == {"killed_after_epochs": 2}
    assert found["killed and resumed"]["resumed_from_epoch"] == 2
    assert found["killed and resumed"]["epochs"] == 1
    assert found["equal digests"] == {"resumed": True, "twice": True}
    names = "deterministic", "killed and resumed", "deterministic again"
    assert len({found[name]["digest"] for name in names}) == 1
    assert all(found[name]["epochs"] == 3 for name in ("free", "deterministic", "deterministic again"))
    pair = told["pair"]["figures"]
    first, second = pair["first of two"], pair["second of two"]
    assert pair["both"]["work_to_alone"] == pytest.approx(
        sum(first["alone_seconds_an_epoch"] / one["side_by_side_seconds_an_epoch"] for one in (first, second))
    )
    assert math.isfinite(pair["both"]["work_to_alone"])
