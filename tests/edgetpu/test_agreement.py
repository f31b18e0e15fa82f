"""The page on agreement must say what the code gives, or nobody could trust the others."""

import csv
import importlib
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def published():
    with (BENCHMARKS / "results" / "agreement.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_page_is_of_what_the_code_gives_now(shared, published, monkeypatch):
    """Where this fails, run: python benchmarks/bench_agreement.py && make docs."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    bench = importlib.import_module("bench_agreement")
    rows = [{key: str(value) for key, value in row.items()} for row in bench.rows(shared)]
    assert rows == published


def test_every_published_pair_is_cut_as_google_cut_it(published):
    """The first promise of the compiler's front, and every difference in memory has its word."""
    assert len(published) >= 20
    for row in published:
        assert row["only_google_on_cpu"] == row["only_atoll_on_cpu"] == "", row["model"]
        same = all(row[f"{name}_google"] == row[f"{name}_atoll"] for name in ("cached", "streamed"))
        assert same == (row["cause"] == ""), row["model"]
