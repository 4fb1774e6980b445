"""The benchmark's own parts, on tiny sizes and without the peers."""

import subprocess
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from benchmarks.api_load import LoadResult
from benchmarks.environments import HERE, stamp_of
from benchmarks.measurement import SUBJECTS, Measurement, measure
from benchmarks.prices import price_bars
from benchmarks.tables import page, table

BARS = 2_000
LOAD = LoadResult("/api/market/prices", 512.3, 40.2, 99.6, 15_000, 0)
OURS = next(subject for subject in SUBJECTS if subject.ours)
PEERS = {subject.peer for subject in SUBJECTS} - {None}


def measured(label, seconds, ours=False, bars=1_000):
    subject = replace(OURS, label=label, ours=ours)
    return Measurement(subject, bars, seconds, 2 * seconds, 64.2, 12, 10_050.4, {"numpy": "2"})


@pytest.fixture(scope="module")
def prices(tmp_path_factory):
    path = tmp_path_factory.mktemp("prices") / "prices.npy"
    np.save(path, price_bars(BARS))
    return path


class TestPrices:
    def test_the_same_seed_gives_the_same_bars(self):
        np.testing.assert_array_equal(price_bars(BARS), price_bars(BARS))

    def test_another_seed_gives_others(self):
        assert not np.array_equal(price_bars(BARS, seed=1), price_bars(BARS, seed=2))

    def test_bars_are_positive_and_hold_their_open_and_close(self):
        opened, high, low, close, volume = price_bars(BARS)
        assert low.min() > 0
        assert volume.min() > 0
        assert np.all(high >= np.maximum(opened, close))
        assert np.all(low <= np.minimum(opened, close))

    def test_a_bar_opens_where_the_one_before_closed(self):
        opened, _, _, close, _ = price_bars(BARS)
        np.testing.assert_array_equal(opened[1:], close[:-1])


class TestOurRun:
    def test_it_reports_time_memory_and_what_it_traded(self, prices):
        one = measure(OURS, prices, BARS, repeats=1)
        assert one.seconds > 0
        assert one.bars_per_second == pytest.approx(BARS / one.seconds)
        assert 10 < one.peak_mb < 1_000
        assert one.trades > 5
        assert one.final_value > 0
        assert one.versions["numpy"] == np.__version__

    def test_its_variants_trade_alike(self, prices):
        ours = [subject for subject in SUBJECTS if subject.peer is None]
        outcomes = {
            (one.trades, one.final_value)
            for one in (measure(subject, prices, BARS, repeats=1) for subject in ours)
        }
        assert len(ours) > 1
        assert len(outcomes) == 1

    def test_a_subject_that_fails_is_an_error(self, prices):
        broken = replace(OURS, variant="no such variant")
        with pytest.raises(subprocess.CalledProcessError):
            measure(broken, prices, BARS, repeats=1)


class TestTable:
    def test_times_are_given_relative_to_ours(self):
        text = table([measured("ours", 0.5, ours=True), measured("peer", 4.0)])
        header, rule, ours, peer = (line.strip("|").split("|") for line in text.splitlines())
        column = [cell.strip() for cell in header].index("times ours")
        assert ours[column].strip() == "1.00×"
        assert peer[column].strip() == "8.00×"
        assert len({len(line) for line in text.splitlines()}) == 1
        assert len(header) == len(rule) == len(ours)

    def test_bars_a_second_come_from_bars_and_seconds(self):
        assert "| 2,000 |" in " ".join(table([measured("ours", 0.5, ours=True)]).split())

    def test_the_page_names_date_versions_and_every_length(self):
        groups = [[measured("ours", 0.5, ours=True, bars=bars)] for bars in (1_000, 50_000)]
        text = page(groups, groups[0], [LOAD], datetime(2024, 5, 6, 7, 8, tzinfo=UTC))
        assert "| `/api/market/prices` | 512 | 40 ms | 100 ms | 15,000 | 0 |" in text
        assert "2024-05-06 at 07:08 UTC" in text
        assert "- ours: numpy 2" in text
        assert "## 1,000 bars" in text
        assert "## 50,000 bars" in text
        assert "fee\nof 0.1% a fill" in text


class TestRequirements:
    @pytest.mark.parametrize("peer", sorted(PEERS))
    def test_a_peer_is_pinned_to_the_last_of_its_packages(self, peer):
        lines = (HERE / f"requirements-{peer}.txt").read_text().splitlines()
        packages = [line for line in lines if line and not line.startswith("#")]
        assert packages
        assert all("==" in line for line in packages)

    def test_a_changed_file_makes_a_new_environment(self, tmp_path):
        requirements = tmp_path / "requirements.txt"
        requirements.write_text("numpy==2.0.0\n")
        before = stamp_of(requirements)
        assert stamp_of(requirements) == before
        requirements.write_text("numpy==2.0.1\n")
        assert stamp_of(requirements) != before
