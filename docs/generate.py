"""The parts of the documentation that are tables of the code: made from the code, never by hand.

Usage: python docs/generate.py          writes them
       python docs/generate.py --check  writes nothing, and exits with 1 where one is out of date
"""

from __future__ import annotations

import csv
import inspect
import re
import statistics
import sys
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atoll.build.run_folder import FILES
from atoll.cli.app import make_app
from atoll.compat import names
from atoll.edgetpu import refusals, rules, sources, verdict, versions
from atoll.edgetpu.latency.constants import CONSTANTS
from atoll.files import write_text
from atoll.host.doctor import CHECKS
from atoll.legalize.table import PASSES, REWRITES
from atoll.runtime.devices import DEVICES
from atoll.train.augment import AUGMENTATIONS
from atoll.train.backbones import BACKBONES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

DOCS = Path(__file__).resolve().parent
# Beside the code, wherever this file is run from.
_RESULTS = Path(inspect.getfile(rules)).resolve().parents[3] / "benchmarks" / "results"

_MOST_KINDS = 4
_MADE = "<!-- Made by docs/generate.py from the code: change it there. -->\n\n"
_METAVARS = {Path: "PATH", str: "TEXT", int: "N", float: "X"}

_CLI = """# The command line

| exit status | means |
|---|---|
| 0 | done |
| 1 | done, and a limit set with `--fail-on` was crossed |
| 2 | bad input or usage: one line that names the thing, the rule, what was received and the fix |
| 130 | stopped with Ctrl-C |
| 141 | whoever read the output went away |

Progress goes to standard error: a bar with the time left on a terminal, plain lines elsewhere.
Results go to standard output; with `--json` they are one JSON document.

`atoll --version` prints the version, `atoll COMMAND --help` what follows here.
"""

_BACKBONES = """# Backbones

The networks that `atoll build --backbone` takes. `auto` chooses `small_convnet` where most
photos are at most 64 pixels a side, and `mobilenet_v2` otherwise. Such tiny photos keep their own
size in `small_convnet`, unless `--size` gives another. Brackets give the source of
what is said of the Edge TPU; none was used here.

Every network ends in an average over the plane, a dropout (while training) and one dense layer
with a softmax. How a photo becomes its input, and what the passes train, is told in
[Training](training.md).
"""

_OPERATIONS = """# Operators

Which TFLite operators Atoll takes the Edge TPU to run. The tables are the ones that the program
itself reads ([how they are used](architecture.md#how-to-add-an-operator-rule)); what they lead to
is held against published pairs of models, source and compiled ([agreement](agreement.md)).

Google's compiler is closed. A rule here is what the vendor's documents, published logs and
published files say, not what its code does: another model may show one to be wrong.
"""

_EVIDENCE = {
    sources.Evidence.MEASURED: "read off a file that Google's compiler made",
    sources.Evidence.LOG: "printed by Google's compiler for somebody who published it",
    sources.Evidence.VENDOR: "written by the maker of the chip",
    sources.Evidence.INFERRED: "follows from other facts; nobody has seen it itself",
    sources.Evidence.UNKNOWN: "nobody has evidence; treated as not mapped",
}

_CUT = f"""
## The cut

An operator is mapped if the tables allow it and it needs nothing that a CPU operator computes
from mapped ones. So the mapped part is one piece; what comes behind the first operator that
stays on the CPU stays there too, unless it hangs on another branch. Operators that must run on
the CPU at the very beginning do not end the mapped part. An operator that is supported and still
left out has the status `{verdict.SECOND_SUBGRAPH}`.

- With `-a` what is supported behind the cut is mapped as further parts: as few as can hold it, each
  of which needs nothing that the CPU computes from itself.
- With `-i` the operators that read the named tensors stay on the CPU, and so what is computed from
  them; with `-a` that is mapped as further parts (logs: google-coral/edgetpu#601 and #324).
- With `-d`, where a compile fails, the last operators stay on the CPU, as many as it takes in steps
  of `-k`, as if the tensors between had been named.
"""

_AGREEMENT = """# Agreement with Google's compiler

Every published pair of models at hand, source and compiled: where Google's compiler put each
operator and where Atoll would, and the bytes of parameters. Made from
`benchmarks/results/agreement.csv`, which `benchmarks/bench_agreement.py` writes; a test holds the
file against what the code gives now.

Where the last columns are empty, both agree. Memory is that of a model compiled alone. The sets v10
and v13 are google-coral's older and newer files; v16 is from the LibrEdgeTPU project, made with
compiler 16.
"""


def cli() -> str:
    """Every command with its arguments and options."""
    return _CLI + "".join(
        _command(command.name, command.callback) for command in make_app().registered_commands
    )


def backbones() -> str:
    """The table of backbones."""
    rows = (
        (
            f"`{row.name}`",
            row.size,
            f"{row.smallest} to 1024" + (f", by {row.multiple}" if row.multiple > 1 else ""),
            ", ".join(f"{alpha:g}" for alpha in row.alphas),
            "Keras" if row.application else "none",
            f"({', '.join(f'{v:g}' for v in row.mean)}) / ({', '.join(f'{v:g}' for v in row.std)})"
            f" {row.channel_order.upper()}",
            f"`{row.cut}`" if row.cut else "trained whole",
            row.edgetpu,
        )
        for row in BACKBONES.values()
    )
    heads = (
        "backbone",
        "input",
        "sizes",
        "`--alpha`",
        "ImageNet weights",
        "mean / std, channels",
        "last blocks start at",
        "on the Edge TPU",
    )
    return f"{_BACKBONES}\n{_table(heads, rows)}"


def operations() -> str:
    """The rules of the Edge TPU: what holds for all operators, and each operator's own."""
    words = "".join(
        f"- {value}\n"
        for name, value in vars(verdict).items()
        if name.isupper() and isinstance(value, str)
    )
    everywhere = "".join(f"- {_sentence(test)}\n" for test in (*rules.TYPES, *rules.GENERAL))
    return (
        f"{_OPERATIONS}{_CUT}\n## What must hold for every operator\n\n{everywhere}"
        f"\n## Operator by operator\n\nA runtime is a version of the Edge TPU's driver, "
        f"{rules.OLDEST_RUNTIME} to {rules.NEWEST_RUNTIME}.\n\n{_operators()}"
        f"\nHow a row is known:\n\n"
        f"{_table(('word', 'means'), _EVIDENCE.items())}"
        f"\n{''.join(_document(short, long) for short, long in sources.DOCUMENTS.items())}"
        f"\n## Operators that stay on the CPU\n\nKnown from:\n\n{_refused()}"
        f"\nOf all others nobody has evidence: `atoll check` calls them unknown, and treats them "
        f"as not mapped.\n"
        f"\n## Operator versions\n\n{_versions()}"
        f"\n## Files that Google's compiler refuses\n\n{_refusals()}"
        f"\n## Statuses\n\nIn the words of Google's compiler, version 16, so that a search finds "
        f"them:\n\n{words}"
    )


def _operators() -> str:
    rows = (
        (
            f"`{rule.op}`",
            f"{rule.since} to {rule.until}" if rule.since < rule.until else rule.since,
            " ".join((*map(_sentence, rule.constraints), rule.caveat)).strip(),
            rule.sources[0].evidence,
            "; ".join(source.where for source in rule.sources),
        )
        for rule in rules.RULES
    )
    return _table(("operator", "runtime", "what must hold besides", "known", "from"), rows)


def _document(short: sources.Source, long: str) -> str:
    name = short.where.removeprefix("the ")
    return f"- The {name}: {long}\n"


def _refused() -> str:
    rows = (
        (f"`{op}`", source.evidence, source.where) for op, source in sorted(rules.REFUSED.items())
    )
    return _table(("operator", "known", "from"), rows)


def _versions() -> str:
    rows = ((f"`{op}`", versions.newest_version(op)) for op in sorted({r.op for r in rules.RULES}))
    where = "".join(f"- {source}\n" for source in versions.SOURCES)
    return (
        f"Google's compiler has TensorFlow {versions.TENSORFLOW} built in, and reads no file with "
        f"an operator of a newer version. `atoll legalize` brings versions down where the meaning "
        f"is the same.\n\n{_table(('operator', 'newest version'), rows)}\n{where}"
    )


def _refusals() -> str:
    rows = (
        (
            f"`{kind.words}`",
            kind.reason,
            f"{kind.fix}.",
            "every such file" if kind.certain else "some such files",
            kind.source,
        )
        for kind in refusals.KINDS
    )
    heads = ("it prints", "reason", "fix", "refuses", "known from")
    return _table(heads, rows)


def agreement() -> str:
    """Google's compiler and Atoll on every published pair, from the benchmark's figures."""
    with (_RESULTS / "agreement.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    cut = [
        (
            f"{row['set']}/{row['model']}",
            row["operators"],
            row["tpu_google"],
            row["tpu_atoll"],
            row["only_google_on_cpu"],
            row["only_atoll_on_cpu"],
        )
        for row in found
    ]
    memory = [
        (
            f"{row['set']}/{row['model']}",
            *(f"{int(row[f'{what}_{who}']):,}" for what in _BYTES for who in ("google", "atoll")),
            row["cause"],
        )
        for row in found
    ]
    same_cut = sum(not row["only_google_on_cpu"] + row["only_atoll_on_cpu"] for row in found)
    same_bytes = sum(row["parameter_bytes_google"] == row["parameter_bytes_atoll"] for row in found)
    cut_heads = ("pair", "operators", "on the TPU: Google", "Atoll", "on the CPU for Google only")
    bytes_heads = [f"{what}: {who}" for what in _BYTES.values() for who in ("Google", "Atoll")]
    return (
        f"{_AGREEMENT}\n## Where operators run\n\n{same_cut} of {len(found)} pairs are cut "
        f"alike.\n\n{_table((*cut_heads, 'for Atoll only'), cut)}"
        f"\n## Parameters, in bytes\n\n{same_bytes} of {len(found)} pairs have the same bytes of "
        f"parameters.\n\n{_table(('pair', *bytes_heads, 'cause of a difference'), memory)}"
    )


_BYTES = {"parameter_bytes": "all", "cached": "kept on the chip", "streamed": "streamed"}


def run_files() -> str:
    """What a finished RUN holds."""
    return _table(("file", "what it is"), ((f"`{name}`", what) for name, what in FILES.items()))


def devices() -> str:
    """The devices there are."""
    return _table(("device", "what it is"), ((f"`{d.name}`", d.what) for d in DEVICES.values()))


def checks() -> str:
    """What the doctor looks at."""
    return _table(
        ("check", "what must or should be so"), ((f"`{c.name}`", c.sentence) for c in CHECKS)
    )


def augmentations() -> str:
    """How far an augmented view may stray."""
    heads = ("`--augment`", "crop keeps", "proportions", "mirrored", "brightness, contrast")
    rows = (
        (f"`{name}`", "all", "kept", "no", "kept")
        if how is None
        else (
            f"`{name}`",
            f"{how.smallest:.0%} to 100% of each side",
            f"up to {how.stretch:g} : 1",
            "half of the views" if how.flip else "no",
            f"±{how.light:.0%}",
        )
        for name, how in AUGMENTATIONS.items()
    )
    return _table(heads, rows)


def rewrites() -> str:
    """The passes and rewrites of `atoll legalize`, in the order in which they are tried."""
    passes = ((f"`{row.name}`", "the graph", row.what, row.exactness, "yes") for row in PASSES)
    rows = (
        (
            f"`{row.name}`",
            _some(row.ops),
            row.what,
            row.exactness,
            "yes" if row.always else "where refused",
        )
        for row in REWRITES
    )
    heads = ("name", "starts from", "what is changed, and why", "promise", "always")
    return _table(heads, (*passes, *rows))


def latency_constants() -> str:
    """The numbers of the latency model."""
    rows = (
        (
            f"`{name}`",
            f"{row.value:g}",
            "" if row.low == row.high else f"{row.low:g} to {row.high:g}",
            row.unit,
            row.source,
        )
        for name, row in CONSTANTS.items()
    )
    return _table(("constant", "value", "moves from, to", "unit", "source"), rows)


def latency_summary() -> str:
    """How far predicted latencies are from published ones, by what the rows were used for."""
    groups: dict[str, list[dict[str, str]]] = {}
    for line in _results("latency.csv"):
        name, _, size = line["network"].partition("/")
        groups.setdefault(f"sweep {name}" if size else line["role"], []).append(line)
    rows = []
    for name, lines in groups.items():
        errors = [abs(float(line["error_percent"])) for line in lines]
        without = [abs(float(line["without_it_percent"])) for line in lines]
        inside = sum(
            float(line["low_ms"]) <= float(line["published_ms"]) <= float(line["high_ms"])
            for line in lines
        )
        rows.append(
            (
                name,
                len(lines),
                *(f"{value:.1f}%" for value in (statistics.median(errors), max(errors))),
                *(f"{value:.1f}%" for value in (statistics.median(without), max(without))),
                f"{inside} of {len(lines)}",
            )
        )
    heads = ("rows", "how many", "median error", "most", "left out: median", "most", "in range")
    return _table(heads, rows)


def latency_rows() -> str:
    """Predicted latencies beside published ones, sweeps aside."""
    rows = (
        (
            f"[{line['network']}]({line['source']})"
            if line["source"].startswith("https") and " " not in line["source"]
            else line["network"],
            line["link"] + (" std" if line["clock"] == "std" else ""),
            line["role"],
            line["published_ms"],
            f"{float(line['predicted_ms']):.4g}",
            f"{float(line['low_ms']):.3g} to {float(line['high_ms']):.3g}",
            f"{float(line['error_percent']):+.0f}%",
            f"{float(line['without_it_percent']):+.0f}%",
        )
        for line in _results("latency.csv")
        if "/" not in line["network"]
    )
    heads = ("network", "link", "used for", "published, ms", "predicted", "range", "error")
    return _table((*heads, "left out"), rows)


def latency_cycles() -> str:
    """Google's estimates of cycles beside ours."""
    rows = (
        (
            line["file"],
            line["google_cycles"],
            line["predicted_cycles"],
            f"{float(line['error_percent']):+.1f}%",
        )
        for line in _results("latency_cycles.csv")
    )
    return _table(("file", "Google's estimate", "predicted", "error"), rows)


def runtime_overhead() -> str:
    """What Atoll's interpreter adds to a call."""
    rows = (
        (line["who"], line["median_ms"], f"{float(line['ratio_to_bare']):.3f}")
        for line in _results("runtime_overhead.csv")
    )
    return _table(("who", "median, ms", "of bare LiteRT's time"), rows)


def _results(name: str) -> list[dict[str, str]]:
    with (_RESULTS / name).open(newline="") as file:
        return list(csv.DictReader(file))


def _some(kinds: Sequence[str]) -> str:
    """Operators by name, a few of many."""
    shown = ", ".join(f"`{kind}`" for kind in kinds[:_MOST_KINDS])
    return f"{shown} and {len(kinds) - _MOST_KINDS} more" if kinds[_MOST_KINDS:] else shown or "any"


PAGES: dict[str, Callable[[], str]] = {
    "agreement.md": agreement,
    "backbones.md": backbones,
    "cli.md": cli,
    "operations.md": operations,
}
"""Whole pages, and what makes them."""

PARTS: dict[str, dict[str, Callable[[], str]]] = {
    "architecture.md": {"run-files": run_files},
    "compat.md": {"compat-names": names.table},
    "devices.md": {"checks": checks},
    "latency.md": {
        "latency-constants": latency_constants,
        "latency-summary": latency_summary,
        "latency-rows": latency_rows,
        "latency-cycles": latency_cycles,
    },
    "legalize.md": {"rewrites": rewrites},
    "runtime.md": {"devices": devices, "runtime-overhead": runtime_overhead},
    "training.md": {"augmentations": augmentations},
}
"""Pages written by hand that hold tables between `<!-- made: NAME -->` and `<!-- end -->`."""


def documents() -> dict[Path, str]:
    """What every page with something generated in it should hold."""
    pages = {DOCS / name: _MADE + make() for name, make in PAGES.items()}
    for name, parts in PARTS.items():
        text = (DOCS / name).read_text()
        for part, make in parts.items():
            text = _with_part(text, part, make())
        pages[DOCS / name] = text
    return pages


def main(arguments: Sequence[str]) -> int:
    """Writes the pages, or with --check names those that are out of date."""
    stale = [
        path for path, text in documents().items() if not path.exists() or path.read_text() != text
    ]
    if "--check" in arguments:
        for path in stale:
            sys.stderr.write(f"{path.name} is out of date. Run: make docs\n")
        return 1 if stale else 0
    for path, text in documents().items():
        if path in stale:
            write_text(path, text)
    return 0


def _with_part(text: str, part: str, table: str) -> str:
    start, end = f"<!-- made: {part} -->", "<!-- end -->"
    pattern = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
    made, count = pattern.subn(lambda _: f"{start}\n{table}{end}", text)
    if count != 1:
        raise ValueError(f"a page must hold the part {part} once. Received: {count} times.")
    return made


def _command(name: str | None, callback: Callable[..., Any] | None) -> str:
    assert callback is not None
    arguments, options = [], []
    words = []
    for parameter in inspect.signature(callback, eval_str=True).parameters.values():
        kind, info = typing.get_args(parameter.annotation)
        metavar = _metavar(parameter.name, kind, info)
        needed = parameter.default is inspect.Parameter.empty
        if type(info).__name__ == "ArgumentInfo":
            arguments.append((f"`{metavar}`", info.help))
            words.append(metavar)
            continue
        flags = [d for d in (info.default, *(info.param_decls or ())) if isinstance(d, str)]
        flags = flags or [f"--{parameter.name.replace('_', '-')}"]
        shown = "`" + "`, `".join(flags) + "`" + (f" `{metavar}`" if metavar else "")
        options.append((shown, info.help, "needed" if needed else _default(parameter, info)))
        words += [f"{flags[-1]} {metavar}"] if needed else []
    name = name or callback.__name__.replace("_", "-")
    return (
        f"\n## atoll {name}\n\n```\n{' '.join(('atoll', name, '[options]', *words))}\n```\n\n"
        f"{inspect.cleandoc(callback.__doc__ or '')}\n\n"
        + (f"{_table(('argument', 'what it is'), arguments)}\n" if arguments else "")
        + f"{_table(('option', 'what it does', 'default'), options)}"
    )


def _metavar(name: str, kind: Any, info: Any) -> str:
    if info.metavar:
        return str(info.metavar)
    if type(info).__name__ == "ArgumentInfo":
        return name.upper()
    kinds = (kind, *typing.get_args(kind))
    return next((word for known, word in _METAVARS.items() if known in kinds), "")


def _default(parameter: inspect.Parameter, info: Any) -> str:
    if isinstance(info.show_default, str):
        return info.show_default
    if parameter.default is None:
        return ""
    return "off" if parameter.default is False else f"`{parameter.default}`"


def _sentence(documented: Any) -> str:
    """A constraint's docstring: the sentence that the user reads."""
    return " ".join((documented.__doc__ or "").split())


def _table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table in markdown, with a line break at its end."""
    lines = [heads, ["---"] * len(heads), *rows]
    cells = ([str(cell).replace("|", "\\|") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
