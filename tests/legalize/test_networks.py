"""Whole networks map and keep their answers. The largest: benchmarks/bench_legalize.py."""

import pytest
from legalize.whole_networks import NETWORKS, convert, distances

from atoll.legalize.job import legalize

pytestmark = pytest.mark.slow

# Minutes of TensorFlow's converter.
LARGE = ("inception_resnet_v2", "inception_v3", "resnet50")


@pytest.fixture(scope="module", params=[name for name in NETWORKS if name not in LARGE])
def converted(request):
    return convert(request.param)


def test_a_network_maps_fully_and_keeps_its_answers(converted):
    """A network that could run on the chip whole would run on the CPU, or answer otherwise."""
    done = legalize(converted.model, samples=converted.samples)
    cpu = [v.type for v in done.after if v.target == "cpu"]
    assert cpu == ["QUANTIZE", "DEQUANTIZE"], "the float faces alone"
    assert done.refused == []
    assert done.comparison.failure == ""
    before, after = distances(converted, done)
    assert after <= 1.25 * before + 1e-4


def test_bytes_in_and_out_leave_nothing_on_the_cpu(converted):
    """A camera's bytes would be converted on the CPU at every call."""
    done = legalize(converted.model, input_type="uint8", output_type="uint8", verify=False)
    assert [(v.type, v.reason) for v in done.after if v.target == "cpu"] == []
