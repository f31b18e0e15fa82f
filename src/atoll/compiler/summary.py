"""The JSON documents of compile, check and profile. Their keys are a contract with scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atoll.compiler.advice import Blocker, Checkup
    from atoll.compiler.profiling import Profile
    from atoll.compiler.result import Compiled
    from atoll.edgetpu.analysis import Analysis
    from atoll.edgetpu.latency.predict import Latency
    from atoll.edgetpu.verdict import Verdict

# Digits behind the point: a microsecond is less than any prediction knows.
_MS_DIGITS = 3


def compile_document(compiled: Sequence[Compiled]) -> dict[str, Any]:
    """What `atoll compile --json` prints: an entry a file that was written."""
    return {"models": [_compiled(one) for one in compiled]}


def check_document(checkup: Checkup) -> dict[str, Any]:
    """What `atoll check --json` prints.

    The operators are those of the model as it is; `blockers` of a model that computes in float are
    those that quantisation leaves.
    """
    entry = {
        "input": str(checkup.path),
        "backend": "sim",
        "input_bytes": checkup.input_bytes,
        **_analysis(checkup.analysis),
        "compile_ms": _ms(checkup.ms),
        **_times(checkup.analysis),
        "unblocked_ms": None if checkup.unblocked_ms is None else _ms(checkup.unblocked_ms),
        "notes": list(checkup.caveats),
        "quantized": _outlook(checkup.quantized),
        "legalized": _outlook(checkup.legalized),
        "blockers": [blocker_document(blocker) for blocker in checkup.blockers],
        "ops": [_operator(verdict) for verdict in checkup.analysis.verdicts],
    }
    return {"models": [entry]}


def profile_document(profile: Profile) -> dict[str, Any]:
    """What `atoll profile --json` prints."""
    latency = profile.latency
    times = {op.index: op for op in latency.ops}
    ops = []
    for verdict in profile.analysis.verdicts:
        time = times[verdict.index]
        ops.append(
            {
                **_operator(verdict),
                "macs": time.macs,
                "cycles": time.cycles,
                "ms": _ms(time.ms),
                "bound_by": time.bound_by,
            }
        )
    entry = {
        "input": str(profile.path),
        "backend": "sim",
        "input_bytes": profile.input_bytes,
        **_analysis(profile.analysis),
        "compile_ms": _ms(profile.ms),
        **_times(profile.analysis),
        "link": latency.link,
        "clock": latency.clock,
        "ms": _ms(latency.ms),
        "breakdown_ms": {kind: _ms(value) for kind, value in latency.breakdown.items()},
        "cached_ms": _ms(latency.cached_ms),
        "narrow_bytes_per_tile": profile.analysis.memory.narrow_bytes_per_tile,
        "ops": ops,
    }
    return {"models": [entry]}


def blocker_document(blocker: Blocker) -> dict[str, Any]:
    """One thing that keeps operators off the chip."""
    return {
        "type": blocker.type,
        "count": len(blocker.ops),
        "ops": list(blocker.ops),
        "status": blocker.status,
        "reason": blocker.reason,
        "fix": blocker.fix,
        "gain_ms": None if blocker.gain_ms is None else _ms(blocker.gain_ms),
        "ops_more": blocker.ops_more,
        "legalize": blocker.legalize,
    }


def _compiled(one: Compiled) -> dict[str, Any]:
    entry = {
        "input": str(one.input),
        "output": str(one.output),
        "log": str(one.log),
        "backend": one.backend,
        "input_bytes": one.input_bytes,
        "output_bytes": one.output_bytes,
        "parameter_bytes": one.sizes.parameters,
        "onchip_used_bytes": one.sizes.cached,
        "onchip_memory_bytes": one.sizes.onchip_memory,
        "onchip_remaining_bytes": one.sizes.onchip_remaining,
        "offchip_bytes": one.sizes.offchip,
        "subgraphs": one.subgraphs,
        "ops_total": one.ops_total,
        "ops_tpu": one.ops_tpu,
        "ops_cpu": one.ops_cpu,
        "compile_ms": _ms(one.compile_ms),
        **_times(one.analysis),
    }
    number, count = one.segment
    if count > 1:
        entry |= {"segment": number, "segments": count}
    changes = [
        {
            "name": change.name,
            "what": change.what,
            "count": change.count,
            "exactness": change.exactness,
        }
        for change in one.changes
    ]
    return entry | {
        "changes": changes,
        "moved": one.moved,
        "notes": list(one.notes),
        "ops": [_operator(verdict) for verdict in one.verdicts],
    }


def _analysis(analysis: Analysis) -> dict[str, Any]:
    memory = analysis.memory
    return {
        "parameter_bytes": memory.parameter_bytes,
        "onchip_used_bytes": memory.cached_bytes,
        "onchip_memory_bytes": memory.onchip_memory_bytes,
        "onchip_remaining_bytes": memory.onchip_remaining_bytes,
        "offchip_bytes": memory.offchip_bytes,
        "subgraphs": analysis.subgraphs,
        "ops_total": analysis.ops_total,
        "ops_tpu": analysis.ops_tpu,
        "ops_cpu": analysis.ops_cpu,
    }


def _times(analysis: Analysis) -> dict[str, Any]:
    latencies = analysis.latency
    return {
        "latency_ms": {link: _ms(latency.ms) for link, latency in latencies.items()},
        "latency_range_ms": {link: _range(latency) for link, latency in latencies.items()},
    }


def _range(latency: Latency) -> list[float]:
    return [_ms(latency.low_ms), _ms(latency.high_ms)]


def _outlook(analysis: Analysis | None) -> dict[str, Any] | None:
    """The short of an analysis of the model as it could be."""
    return None if analysis is None else {**_analysis(analysis), **_times(analysis)}


def _operator(verdict: Verdict) -> dict[str, Any]:
    return {
        "index": verdict.index,
        "type": verdict.type,
        "name": verdict.name,
        "target": verdict.target,
        "status": verdict.status,
        "reason": verdict.reason,
        "fix": verdict.fix,
    }


def _ms(value: float) -> float:
    return round(value, _MS_DIGITS)
