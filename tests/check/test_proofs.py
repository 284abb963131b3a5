"""Conversions prove themselves: the same numbers pass, others are told, and a proof is made once."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from proof_cases import (
    CASES,
    SAME_MODEL,
    bake,
    convert,
    freeze,
    made_by_tensorflow,
    onnx_file,
    text_graph,
    to_onnx,
    twin,
)

from modelprep.check.proof import kinds
from modelprep.check.proof import prove as proof
from modelprep.check.proof import record as proof_record
from modelprep.check.proof import tensorflow as graphs
from modelprep.check.proof.prove import prove
from modelprep.check.proof.types import Conversion, Side, Sides
from modelprep.check.runtimes import host as runtimes
from modelprep.errors import MissingTool
from modelprep.installed import install_command
from modelprep.steps import Exempt, Proven, find, names
from modelprep.store import Store, maintenance

np = pytest.importorskip("numpy", reason="proofs need the check extra")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


@pytest.fixture
def baked(store: Store, tmp_path: Path) -> Conversion:
    return bake(store, tmp_path)


def never(*_: object) -> Any:
    raise AssertionError("it was measured again")


# -- every step ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", names())
def test_every_step_is_proven_or_says_why_not(name: str) -> None:
    declared = find(name).proof
    if isinstance(declared, Exempt):
        # A reason is a sentence, not a word; and none of the steps below may have one instead of its test.
        assert len(declared.reason.split()) >= 4
        assert name not in CASES
    else:
        assert declared.by in kinds.KINDS
        assert SAME_MODEL.get(name, name) in CASES, (
            "a step that is proven needs a case here, and a fault that its proof tells"
        )
        assert 0 <= declared.tolerance <= 1e-4
        assert declared.origin.startswith("exact: ") if declared.tolerance == 0 else "measured" in declared.origin


def test_every_kind_of_proof_is_some_step_s() -> None:
    declared = [find(name).proof for name in names()]
    assert {one.by for one in declared if isinstance(one, Proven)} == set(kinds.KINDS)


#: Proven by TensorFlow, which takes seconds to start.
BY_TENSORFLOW = {"caffe.from_tf", "tf.freeze", "tf.to_onnx"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in BY_TENSORFLOW else name for name in CASES]
)
def test_a_step_s_result_gives_the_same_numbers_and_a_fault_in_it_others(
    name: str, store: Store, tmp_path: Path
) -> None:
    case = CASES[name]
    conversion = case.make(store, tmp_path)
    found = prove(conversion, store)
    assert found.outcome == "same", found
    assert found.difference is not None
    declared = find(name).proof
    assert isinstance(declared, Proven)
    # The tolerance is not met by being generous: a tenth of it would do.
    assert found.difference <= declared.tolerance / 10
    told = prove(case.spoilt(conversion, tmp_path), store)
    assert told.outcome == "differs", told
    # Step, tensor, how far, how far it may be, what to do.
    assert told.tensor
    assert told.difference is not None
    assert told.difference > declared.tolerance
    text = str(told)
    for part in (
        name,
        f"'{told.tensor}'",
        f"{told.difference:.2g}",
        f"allowed {declared.tolerance:.2g}",
        declared.origin,
    ):
        assert part in text
    assert text.partition("next: ")[2].startswith("modelprep cache verify")
    assert declared.otherwise in text


# -- Caffe -----------------------------------------------------------------------------------------------------------


def test_a_change_that_was_asked_for_is_made_to_the_original_too(store: Store, tmp_path: Path) -> None:
    changed = bake(store, tmp_path, set={"layer[name=pool].pooling_param.pool": "AVE"})
    assert prove(changed).outcome == "same"
    # Without it the pooling is another one, and that is told.
    assert prove(replace(changed, params={**changed.params, "set": None})).outcome == "differs"
    assert prove(CASES["caffe.bake"].spoilt(changed, tmp_path)).outcome == "differs"


def test_what_goes_into_the_softmax_is_compared_too(baked: Conversion) -> None:
    assert kinds.KINDS["caffe"].sides(baked).outputs == ("prob", "ip")


def test_a_twin_whose_picture_is_flattened_in_the_wrong_order_is_told(store: Store, tmp_path: Path) -> None:
    conversion = twin(store, tmp_path)
    from modelprep.formats.caffe.messages import new

    net = new("NetParameter")
    net.ParseFromString(conversion.output.read_bytes())
    blob = next(layer for layer in net.layer if layer.name == "ip").blobs[0]
    # As it would be if channels came last in Caffe, too: 16 places of 3 channels.
    turned = np.array(blob.data).reshape(4, 3, 16).transpose(0, 2, 1).reshape(-1)
    del blob.data[:]
    blob.data.extend(turned.tolist())
    other = tmp_path / "turned"
    other.write_bytes(net.SerializeToString())
    assert prove(replace(conversion, output=other, output_sha256="0" * 64)).outcome == "differs"


def test_arm_s_own_twin_is_proven_and_that_its_normalisation_is_another_one_is_seen(
    upstream: Path, store: Store, tmp_path: Path
) -> None:
    pytest.importorskip("cv2", reason="Caffe models run in OpenCV, of the check extra")
    pytest.importorskip("tensorflow", reason="the twin is a text, which only TensorFlow reads")
    raw = upstream / "raw.githubusercontent.com"
    files = {
        "graph": raw / "ARM-software/armnn/v18.02/tests/TfCifar10-Armnn/cifar10_tf.prototxt",
        "prototxt": raw / "BVLC/caffe/master/examples/cifar10/cifar10_full.prototxt",
    }
    constants = {layer: [f"{layer}/weights", f"{layer}/biases"] for layer in ("conv1", "conv2", "conv3", "ip1")}
    # As the recipe has it; and as it would be without its `set`, the weights being the same.
    for wishes, outcome in (
        ({"set": {"layer[type=LRN].lrn_param.norm_region": "ACROSS_CHANNELS"}}, "same"),
        ({}, "differs"),
    ):
        conversion = convert(store, "caffe.from_tf", dict(files), tmp_path, constants=constants, **wishes)
        found = prove(replace(conversion, tolerance=2e-6, shape=(1, 3, 32, 32)))
        assert found.outcome == outcome, found


@pytest.mark.slow
def test_without_tensorflow_a_twin_and_an_onnx_model_are_held_to_opencv(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime", reason="ONNX models run in onnxruntime, of the check extra")
    conversions = []
    for make in (twin, to_onnx):
        folder = tmp_path / make.__name__
        folder.mkdir()
        conversions.append((make(store, folder), folder))
    monkeypatch.setattr(graphs, "tensorflow", lambda: None)
    for conversion, folder in conversions:
        found = prove(conversion)
        assert found.outcome == "same", found
        assert found.runtimes[0].startswith("OpenCV")
        assert prove(CASES[conversion.step].spoilt(conversion, folder)).outcome == "differs"


def test_without_tensorflow_a_text_graph_is_said_to_need_it(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("cv2", reason="OpenCV, of the check extra, is what is left")
    path = text_graph(tmp_path)
    made = convert(store, "tf.convert", {"graph": path}, tmp_path, to="binary")
    monkeypatch.setattr(graphs, "tensorflow", lambda: None)
    found = prove(made, store)
    assert (found.outcome, install_command("tf") in str(found)) == ("unknown", True)
    assert not (store.root / "proofs").exists()


# -- TensorFlow ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["reference", "resource", "saver"])
@pytest.mark.parametrize("version", [1, 2])
def test_a_frozen_graph_gives_the_numbers_of_its_checkpoint(
    store: Store, tmp_path: Path, kind: str, version: int
) -> None:
    conversion = freeze(store, tmp_path, kind, version)
    found = prove(conversion)
    assert (found.outcome, found.difference) == ("same", 0.0), found
    assert prove(CASES["tf.freeze"].spoilt(conversion, tmp_path)).outcome == "differs"


def test_a_graph_frozen_with_another_checkpoint_is_told(store: Store, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    frozen = freeze(store, tmp_path, "reference", 1)
    other = freeze(store, tmp_path / "other", "reference", 1, seed=6)
    checkpoint = other.params["checkpoint"]
    found = prove(replace(frozen, params={**frozen.params, "checkpoint": checkpoint}))
    assert (found.outcome, found.tensor) == ("differs", "logits")


def test_without_tensorflow_a_freeze_is_said_to_be_unproven_and_what_to_install(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversion = freeze(store, tmp_path)
    monkeypatch.setattr(graphs, "tensorflow", lambda: None)
    found = prove(conversion, store)
    assert found.outcome == "unknown"
    assert str(found) == (
        f"tf.freeze: not compared, running a graph with its checkpoint needs TensorFlow ({install_command('tf')})"
    )
    assert not (store.root / "proofs").exists()


def test_what_another_machine_proved_is_told_where_tensorflow_is_missing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversion = freeze(store, tmp_path)
    first = prove(conversion, store)
    monkeypatch.setattr(graphs, "tensorflow", lambda: None)
    assert prove(conversion, store) == first
    assert first.runtimes[0].startswith("TensorFlow ")


def test_a_checkpoint_that_names_its_variables_otherwise_is_said_to_be_unprovable(store: Store, tmp_path: Path) -> None:
    conversion = freeze(store, tmp_path)
    (tmp_path / "other").mkdir()
    graph = made_by_tensorflow(tmp_path / "other", "reference").read_bytes()
    renamed = tmp_path / "renamed.pb"
    renamed.write_bytes(graph.replace(b"w1", b"q1"))
    found = prove(replace(conversion, params={**conversion.params, "graph": renamed}))
    assert found.outcome == "unknown"
    assert "q1" in found.reason


def test_tensorflow_s_version_is_known_without_importing_it() -> None:
    tf = pytest.importorskip("tensorflow", reason="the tf extra is what is asked about")
    assert graphs.tensorflow() == f"TensorFlow {tf.__version__}"


def test_the_original_text_is_read_by_tensorflow_and_not_by_us(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modelprep.formats.tensorflow import text

    path = text_graph(tmp_path)
    # A reader of ours that takes another value for the one that stands there ...
    real = text.encoded_fields

    def wrong(source: Path, *more: Any) -> Iterator[bytes]:
        other = tmp_path / "misread"
        other.write_text(source.read_text().replace("1.5", "2.5"))
        return real(other, *more)

    monkeypatch.setattr(text, "encoded_fields", wrong)
    made = convert(store, "tf.convert", {"graph": path}, tmp_path, to="binary")
    # ... is found out, though it would read the same on both sides.
    assert prove(made).outcome == "differs"


def test_a_graph_can_be_proven_back_to_text(store: Store, tmp_path: Path) -> None:
    binary = convert(store, "tf.convert", {"graph": text_graph(tmp_path)}, tmp_path, to="binary")
    text = convert(store, "tf.convert", {"graph": binary.output}, tmp_path, to="text")
    assert prove(text).difference == 0.0
    wrong = tmp_path / "wrong.pbtxt"
    assert text.output.read_text().count("1.5") == 1
    wrong.write_text(text.output.read_text().replace("1.5", "1.5000001"))
    assert prove(replace(text, output=wrong, output_sha256="0" * 64)).outcome == "differs"


@pytest.mark.slow
@pytest.mark.parametrize(("opset", "turned"), [(9, True), (13, False)])
def test_an_onnx_model_with_its_channels_second_is_fed_so(
    store: Store, tmp_path: Path, opset: int, turned: bool
) -> None:
    pytest.importorskip("onnxruntime", reason="ONNX models run in onnxruntime, of the check extra")
    wishes = {"inputs_as_nchw": ["input"]} if turned else {"inputs": ["input"], "outputs": ["prob", "activated"]}
    conversion = to_onnx(store, tmp_path, opset=opset, **wishes)
    found = prove(conversion)
    assert found.outcome == "same", found


# -- once ------------------------------------------------------------------------------------------------------------


def test_a_proof_is_made_once(baked: Conversion, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first = prove(baked, store)
    assert first.outcome == "same"
    monkeypatch.setattr(proof, "measure", never)
    assert prove(baked, store) == first
    # Another tolerance judges the same measurement anew.
    told = prove(replace(baked, tolerance=-1.0, origin="this test's"), store)
    assert (told.outcome, told.origin) == ("differs", "this test's")


def test_a_proof_lies_under_the_key_of_the_step_s_result(baked: Conversion, store: Store) -> None:
    from modelprep.store import result_key

    prove(baked, store)
    plain = {name: baked.params[name] for name in ("batch", "input", "outputs", "target", "set", "engine")}
    key = result_key("caffe.bake", baked.version, plain, baked.inputs)
    kept = json.loads((store.root / "proofs" / f"{key}.json").read_text())
    (entry,) = kept["measured"]
    assert entry["output"] == baked.output_sha256
    assert entry["proof"] == proof_record.VERSION
    assert entry["runtimes"][0].startswith("OpenCV ")


@pytest.mark.parametrize("changed", ["runtime", "proof", "shape", "output"])
def test_a_proof_is_renewed_when_what_it_rests_on_changes(
    changed: str, baked: Conversion, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    prove(baked, store)
    seen: list[tuple[str, ...]] = []
    real = proof.measure

    def counted(both: Sides, names: tuple[str, ...]) -> proof_record.Measured:
        seen.append(names)
        return real(both, names)

    monkeypatch.setattr(proof, "measure", counted)
    conversion = baked
    if changed == "runtime":
        monkeypatch.setattr("cv2.__version__", "4.99.0")
    elif changed == "proof":
        monkeypatch.setattr(proof_record, "VERSION", proof_record.VERSION + 1)
    elif changed == "shape":
        conversion = replace(baked, shape=(2, 2, 6, 6))
    else:
        conversion = replace(baked, output_sha256="1" * 64)
    found = [prove(conversion, store) for _ in range(2)]
    assert len(seen) == 1, "once anew, and once only"
    assert found[0] == found[1]
    assert found[0].runtimes == seen[0]
    if changed == "runtime":
        assert found[0].runtimes == ("OpenCV 4.99.0", "OpenCV 4.99.0")


def test_a_record_keeps_the_newest_measurements_only(tmp_path: Path) -> None:
    for number in range(20):
        record = proof_record.Record.read(tmp_path, "key")
        record.keep("o", (1,), proof_record.Measured(0.5, "t", 1, "", (f"r {number}",)))
    kept = proof_record.Record.read(tmp_path, "key")
    assert [entry["runtimes"] for entry in kept.entries] == [[f"r {number}"] for number in range(12, 20)]
    newest = kept.find("o", (1,))
    assert newest is not None
    assert newest.runtimes == ("r 19",)
    assert kept.find("o", (1,), ("r 3",)) is None


@pytest.mark.parametrize(
    "text",
    [
        "{", "[]", "null", '{"measured": 3}', '{"measured": [1, {}]}', '{"measured": [{"difference": NaN}]}',
        "[" * 100_000,
    ],
)  # fmt: skip
def test_a_damaged_proof_is_made_again(text: str, baked: Conversion, store: Store) -> None:
    first = prove(baked, store)
    (path,) = (store.root / "proofs").iterdir()
    path.write_text(text)
    assert prove(baked, store) == first
    assert json.loads(path.read_text())["measured"][0]["difference"] == first.difference


def test_a_proof_goes_with_its_result(baked: Conversion, store: Store) -> None:
    from modelprep.store import Result

    prove(baked, store)
    store.put_result(baked.key(), Result({"": baked.output_sha256}, step="caffe.bake", version=1))
    (path,) = (store.root / "proofs").iterdir()
    maintenance.gc(store, {baked.output_sha256})
    assert path.exists()
    rehearsed = maintenance.gc(store, set(), dry_run=True)
    assert path.exists()
    done = maintenance.gc(store, set())
    assert not path.exists()
    assert [item.name for item in done.removed if item.what == "proof"] == [baked.key()]
    assert [item.name for item in rehearsed.removed if item.what == "proof"] == [baked.key()]


# -- what there is no number for ---------------------------------------------------------------------------------------


def test_without_a_runtime_it_is_said_and_not_kept(
    baked: Conversion, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtimes, "opencv", lambda: None)
    found = prove(baked, store)
    assert found.outcome == "unknown"
    assert "OpenCV" in found.reason
    assert install_command("check") in found.reason
    assert not (store.root / "proofs").exists()


def test_without_onnxruntime_or_litert_it_is_said(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = onnx_file(tmp_path)
    named = convert(store, "onnx.rename_io", {"model": model}, tmp_path, inputs={"in": "data"})

    def absent(_: object) -> str:
        raise MissingTool("running an ONNX model on this machine needs onnxruntime", hint=install_command("check"))

    kind = replace(kinds.KINDS["onnx"], runtimes=(absent, absent))
    monkeypatch.setattr(kinds, "KINDS", {**kinds.KINDS, "onnx": kind})
    assert install_command("check") in str(prove(named))


def test_a_step_that_has_no_comparison_says_why(baked: Conversion) -> None:
    assert "not compared: it unpacks bytes" in str(prove(replace(baked, step="gunzip")))


def test_what_the_store_has_lost_is_said_and_what_was_proven_of_it_still_holds(baked: Conversion, store: Store) -> None:
    lost = replace(baked, missing="the store no longer has it", output=Path("nowhere"))
    found = prove(lost, store)
    assert (found.outcome, found.reason) == ("unknown", "the store no longer has it")
    first = prove(baked, store)
    assert prove(lost, store) == first


def test_a_proof_that_memory_does_not_allow_is_not_tried(
    baked: Conversion, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kinds, "_free_memory", lambda: 1000)
    monkeypatch.setattr(proof, "measure", never)
    found = prove(baked, store)
    assert found.outcome == "unknown"
    assert "memory" in found.reason


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="only Linux tells")
def test_free_memory_is_what_the_system_has() -> None:
    free = kinds._free_memory()
    assert free is not None
    assert 0 < free <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def answers(monkeypatch: pytest.MonkeyPatch, before: Side, after: Side) -> None:
    """Let a bake's two sides answer so."""

    @contextmanager
    def opened(side: Side) -> Iterator[Side]:
        yield side

    made = Sides(("out",), lambda: opened(before), lambda: opened(after))
    kind = replace(kinds.KINDS["caffe"], sides=lambda _: made)
    monkeypatch.setattr(kinds, "KINDS", {**kinds.KINDS, "caffe": kind})


def test_what_answers_alike_whatever_it_is_fed_proves_nothing(
    monkeypatch: pytest.MonkeyPatch, baked: Conversion, store: Store
) -> None:
    answers(monkeypatch, lambda _: [np.ones(3)], lambda _: [np.ones(3)])
    assert "do not depend" in prove(baked, store).reason
    assert not (store.root / "proofs").exists()


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ([np.array([np.nan, 1.0])], "NaN or infinity"),
        ([np.array([np.inf, 1.0])], "NaN or infinity"),
        ([np.ones(3)], "2 values before, 3 after"),
        ([np.ones(2), np.ones(2)], "1 outputs before, 2 after"),
    ],
)
def test_answers_of_another_kind_are_told(
    after: list[Any], said: str, monkeypatch: pytest.MonkeyPatch, baked: Conversion, store: Store
) -> None:
    answers(monkeypatch, lambda number: [np.array([number, 1.0])], lambda _: after)
    for _ in range(2):
        found = prove(baked, store)
        assert (found.outcome, found.difference) == ("differs", None)
        assert said in str(found)
        assert "'out', input 1 of 2" in str(found)
        assert json.loads(json.dumps(found.to_json(), allow_nan=False))["reason"] == found.reason
        monkeypatch.setattr(proof, "measure", never)


def test_an_original_that_answers_with_no_numbers_proves_nothing(
    monkeypatch: pytest.MonkeyPatch, baked: Conversion
) -> None:
    answers(monkeypatch, lambda _: [np.array([np.nan])], lambda _: [np.array([np.nan])])
    found = prove(baked)
    assert (found.outcome, "the original itself" in found.reason) == ("unknown", True)


def test_one_model_is_let_go_before_the_other_is_loaded(monkeypatch: pytest.MonkeyPatch, baked: Conversion) -> None:
    events: list[str] = []

    @contextmanager
    def opened(name: str) -> Iterator[Side]:
        events.append(f"{name} opened")
        yield lambda number: [np.array([float(number)])]
        events.append(f"{name} closed")

    made = Sides(("out",), lambda: opened("before"), lambda: opened("after"))
    kind = replace(kinds.KINDS["caffe"], sides=lambda _: made)
    monkeypatch.setattr(kinds, "KINDS", {**kinds.KINDS, "caffe": kind})
    assert prove(baked).outcome == "same"
    assert events == ["before opened", "before closed", "after opened", "after closed"]
