"""Google's compiler as a backend, with stand-ins that behave as it is known to.

The program itself was not tried: it is closed and for one platform.
"""

import json
from dataclasses import replace

import pytest
from google_stand_in import ABORTS, LARGE, REPORT, VERSION, chain, compiled, program, say

from atoll.compiler import program as backend
from atoll.compiler.job import compile_models
from atoll.compiler.request import Request
from atoll.edgetpu.simfile import EDGETPU_OP
from atoll.edgetpu.verdict import LIMITATION, MAPPED, SECOND_SUBGRAPH
from atoll.errors import CompilerError
from atoll.tflite.reader import read_model
from atoll.tflite.writer import write_model

OPS = 9


class Listener:
    def __init__(self):
        self.notes = []

    def start(self, title): ...

    def update(self, done, total, detail=""): ...

    def note(self, text):
        self.notes.append(text)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with models, what the stand-ins make of them, and no other compiler."""
    monkeypatch.setattr(backend, "COMMAND", "no-such-compiler")
    for name in ("m", "n"):
        (tmp_path / f"{name}.tflite").write_bytes(write_model(chain(OPS)))
    (tmp_path / "made").mkdir()
    for count in range(OPS + 1):
        (tmp_path / "made" / f"{count}.tflite").write_bytes(compiled(chain(OPS), count))
    return tmp_path


@pytest.fixture
def stand_in(folder, monkeypatch):
    """Puts a program in the compiler's place."""

    def put(script):
        monkeypatch.setenv(backend.VARIABLE, str(program(folder / "compiler", script)))

    return put


def google(folder, *names, listener=None, **asked):
    paths = [folder / f"{name}.tflite" for name in names or ("m",)]
    request = Request(**{"backend": "google"} | asked)
    return compile_models(paths, folder / "out", request, listener or Listener())


def makes(folder, count=OPS, name="${stem}"):
    """Shell that writes a compiled file with the first operators mapped, and its report."""
    return (
        f'cp "{folder}/made/{count}.tflite" "$out/{name}_edgetpu.tflite"\n'
        + "cat <<END\n" + REPORT.format(name=name) + "END\n"
    )  # fmt: skip


def test_its_flags_reach_it_and_its_report_is_believed(folder, stand_in):
    """The figures that it printed are what the chip will do."""
    stand_in(makes(folder) + f'echo "$all" > "{folder}/flags"\necho log > "$out/m_edgetpu.log"\n')
    (done,) = google(
        folder,
        timeout_s=77,
        min_runtime=13,
        multiple_subgraphs=True,
        intermediate_tensors=((read_model(folder / "m.tflite").main.tensors[-1].name,),),
    )
    flags = (folder / "flags").read_text().split()
    assert flags[:7] == ["-s", "-o", "out", "-t", "77", "-m", "13"]
    assert flags[7:9] == ["-a", "-i"]
    assert flags[-1] == "m.tflite"
    assert done.output == folder / "out" / "m_edgetpu.tflite"
    assert done.output.read_bytes() == (folder / "made" / f"{OPS}.tflite").read_bytes()
    assert done.log.read_text() == "log\n"
    assert (done.backend, done.compiler_version, done.compile_ms) == ("google", VERSION, 1524)
    assert done.sizes.onchip_memory == done.sizes.parameters == round(4.21 * 2**20)
    assert (done.ops_total, done.ops_tpu, done.subgraphs) == (OPS, OPS, 1)
    assert set(done.latency) == {"usb3", "usb2", "pcie"}


def test_without_its_log_what_it_printed_is_kept(folder, stand_in):
    """A person needs it to ask for help."""
    stand_in(makes(folder))
    (done,) = google(folder)
    assert "On-chip memory used" in done.log.read_text()


def test_a_failure_by_chance_is_tried_again_and_said(folder, stand_in):
    """The same file often compiles at the next try (google-coral/edgetpu issue 211)."""
    count = f'echo x >> "{folder}/runs"\n'
    flaky = f'if [ "$(wc -l < "{folder}/runs")" -lt 3 ]; then {say(ABORTS)}exit 1; fi\n'
    stand_in(count + flaky.replace("then cat", "then\ncat") + makes(folder))
    listener = Listener()
    (done,) = google(folder, listener=listener)
    assert done.ops_tpu == OPS
    assert "try 3" in done.notes[0]
    assert [note for note in listener.notes if "tried again" in note]


@pytest.mark.parametrize(
    ("said", "rule"),
    [
        (LARGE, "large activation tensors"),
        ("ERROR: Didn't find op for builtin opcode 'CONV_2D' version '6'", "version '6'"),
    ],
)
def test_what_is_final_is_not_tried_again(folder, stand_in, said, rule):
    """Three minutes of waiting for the same answer."""
    stand_in(f'echo x >> "{folder}/runs"\n{say(said)}exit 1\n')
    with pytest.raises(CompilerError, match=rule) as caught:
        google(folder)
    assert (folder / "runs").read_text() == "x\n"
    assert "\n" not in str(caught.value)
    assert not list((folder / "out").iterdir())


def breaks_at(folder, bad, said):
    """Shell that fails if more than `bad` operators are to be mapped, told by -i."""
    names = [
        read_model(folder / "m.tflite").main.tensors[op.outputs[0]].name
        for op in read_model(folder / "m.tflite").main.operators
    ]
    cases = "".join(f'  "{name}") count={i + 1} ;;\n' for i, name in enumerate(names))
    return (
        f'echo "$tensors" >> "{folder}/runs"\ncount={OPS}\ncase "$tensors" in\n{cases}esac\n'
        f'if [ "$count" -gt {bad} ]; then\n{say(said)}exit 1\nfi\n'
    ) + makes(folder, "$count")


def test_the_operator_that_breaks_it_is_named(folder, stand_in):
    """It only says "Internal compiler error": nobody knows what to change."""
    stand_in(breaks_at(folder, 5, ABORTS))
    with pytest.raises(CompilerError, match=r"operator 5, CONV_2D .*5 operators before") as caught:
        google(folder)
    assert "--search_delegate" in caught.value.fix
    # Three tries of the whole, then at most two a step of the halving.
    assert len((folder / "runs").read_text().splitlines()) <= 3 + 2 * 4


@pytest.mark.parametrize("said", [ABORTS, LARGE])
def test_search_delegate_leaves_the_rest_on_the_cpu(folder, stand_in, said):
    """With -d the best compile is what a person wants, with what was left out and why."""
    stand_in(breaks_at(folder, 5, said))
    (done,) = google(folder, search_delegate=True)
    assert [verdict.target for verdict in done.verdicts] == ["tpu"] * 5 + ["cpu"] * 4
    assert "first 5 of 9" in done.notes[0]
    assert done.output.read_bytes() == (folder / "made" / "5.tflite").read_bytes()


def test_the_search_step_is_kept(folder, stand_in):
    """-k says how many operators to leave out at a time: 9, 6, 3."""
    stand_in(breaks_at(folder, 5, ABORTS))
    (done,) = google(folder, search_delegate=True, search_step=3)
    assert done.ops_tpu == 3


def test_a_failure_that_no_operator_explains_is_said(folder, stand_in):
    """A name would send the user after an innocent operator."""
    stand_in(f"{say(ABORTS)}exit 1\n")
    with pytest.raises(CompilerError, match="leaving operators out does not help"):
        google(folder)


def test_tensors_whose_names_it_cannot_take_are_renamed_for_the_search(folder, stand_in):
    """Its list is divided by commas, and by colons (google-coral/edgetpu issue 778)."""
    model = chain(OPS)
    graph = model.main
    tensors = [replace(t, name=f"t,{i}:0") for i, t in enumerate(graph.tensors)]
    model = replace(model, subgraphs=[replace(graph, tensors=tensors)])
    (folder / "m.tflite").write_bytes(write_model(model))
    stand_in(f'echo "$tensors" >> "{folder}/runs"\n{say(ABORTS)}exit 1\n')
    with pytest.raises(CompilerError):
        google(folder)
    named = (folder / "runs").read_text().split()
    assert named
    assert not any("," in name or ":" in name for name in named)


def test_of_several_models_the_one_that_fails_is_named(folder, stand_in):
    """It names none."""
    stand_in(
        f'case "$all" in *n.tflite*)\n{say(ABORTS)}exit 1 ;; esac\n' + makes(folder)
    )  # fmt: skip
    with pytest.raises(CompilerError, match=r"n\.tflite"):
        google(folder, "m", "n")


def test_several_models_are_compiled_together(folder, stand_in):
    """They share the cache only if they stand on one command line."""
    both = makes(folder, name="m") + makes(folder, name="n")
    stand_in(f'echo "$all" > "{folder}/flags"\n{both}')
    one, two = google(folder, "m", "n")
    assert (folder / "flags").read_text().split()[-2:] == ["m.tflite", "n.tflite"]
    assert (one.output.name, two.output.name) == ("m_edgetpu.tflite", "n_edgetpu.tflite")


def test_segments_are_matched_with_their_operators(folder, stand_in):
    """Each file's operators must be told, though Google alone knows where it cut."""
    parts = []
    graph = chain(OPS).main
    for number, (first, last) in enumerate([(0, 4), (4, OPS)]):
        ops = graph.operators[first:last]
        part = replace(graph, operators=ops, inputs=[ops[0].inputs[0]], outputs=ops[-1].outputs)
        name = f"m_segment_{number}_of_2"
        (folder / "made" / f"{name}.tflite").write_bytes(
            compiled(replace(chain(OPS), subgraphs=[part], signatures=[]), last - first)
        )
        parts.append(makes(folder, name, name=name))
    stand_in(f'echo "$all" > "{folder}/flags"\n' + "".join(parts))
    one, two = google(folder, segments=2)
    assert "-n 2" in (folder / "flags").read_text()
    assert (one.segment, two.segment) == ((0, 2), (1, 2))
    assert (one.ops_total, two.ops_total) == (4, OPS - 4)
    assert one.output.name == "m_segment_0_of_2_edgetpu.tflite"


def test_no_output_is_a_failure_even_if_it_claims_success(folder, stand_in):
    """Its exit status is 0 after some failures."""
    stand_in("echo fine\n")
    with pytest.raises(CompilerError):
        google(folder)


def test_a_compiler_that_hangs_is_one_line(folder, stand_in, monkeypatch):
    """Its own time limit was seen not to work."""
    monkeypatch.setattr(backend, "_GRACE_S", 0.2)
    stand_in("sleep 600\n")
    with pytest.raises(CompilerError, match=r"no answer within 1 s.*--timeout_sec"):
        google(folder, timeout_s=1)


def test_its_statuses_are_translated(folder, stand_in):
    """People search for its words; the reason must be ours, for it gives none."""
    table = """
Operator                       Count      Status

CONV_2D                        5          Mapped to Edge TPU
CONV_2D                        1          Operation is otherwise supported, but not mapped due to \
some unspecified limitation
CONV_2D                        3          More than one subgraph is not supported
"""
    stand_in(makes(folder, 5) + say(table))
    (done,) = google(folder)
    statuses = [verdict.status for verdict in done.verdicts]
    assert statuses[:5] == [MAPPED] * 5
    assert sorted(statuses[5:]) == sorted([LIMITATION] + [SECOND_SUBGRAPH] * 3)
    assert all(verdict.reason for verdict in done.verdicts if verdict.target == "cpu")


def test_what_it_really_made_of_a_model_is_believed(folder, stand_in, shared):
    """The verdicts must be about the file that it wrote: here one that is published."""
    source = shared / "models/v13/movenet_single_pose_lightning_ptq.tflite"
    real = source.with_name(f"{source.stem}_edgetpu.tflite")
    stand_in(f'cp "{real}" "$out/{real.name}"\n')
    request = Request(backend="google")
    (done,) = compile_models([source], folder / "out", request)
    assert (done.ops_total, done.ops_tpu, done.ops_cpu, done.subgraphs) == (157, 98, 59, 1)
    kinds = {op.custom_name for op in read_model(done.output).main.operators}
    assert EDGETPU_OP in kinds


def test_where_it_maps_less_than_we_promise_the_verdicts_say_so(folder, stand_in):
    """Our table may be wrong: the file tells."""
    stand_in(makes(folder, 0))
    (done,) = google(folder)
    assert (done.ops_tpu, done.ops_cpu, done.subgraphs) == (0, OPS, 0)
    assert all(v.target == "cpu" and v.status != MAPPED and v.reason for v in done.verdicts)
    assert json.dumps([v.reason for v in done.verdicts])
