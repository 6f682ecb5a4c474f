"""The benchmark's report: its columns, and whose speed is divided by whose."""

import csv

from report import COLUMNS, OURS, Row, ratio, write


def test_the_report_says_how_much_faster_this_engine_is(tmp_path):
    ours = Row("one", OURS, 24, 2000, [10.0, 12.0, 11.0], 1.0, [20.0, 21.0, 22.0])
    server = Row("one", "llama-server", 24, 2000, [22.0], 0.25)
    other = Row("alone", "x", 1, 10, [1.0])
    rows = [ours, server, other]
    assert ratio(server, rows) == 2.0 and ratio(other, rows) is None
    write(tmp_path, rows, "a machine")
    with (tmp_path / "bench.csv").open() as file:
        read = list(csv.DictReader(file))
    assert tuple(read[0]) == COLUMNS
    assert read[0]["seconds_median"] == "11.000" and read[0]["seconds_min"] == "10.000"
    assert read[1]["ratio"] == "2.000" and read[1]["identical_share"] == "0.2500"
    assert read[2]["ratio"] == "" and read[2]["cpu_seconds_median"] == ""
    assert "| one | llama-server | 24 | 2000 | 91 |" in (tmp_path / "bench.md").read_text()
    assert (tmp_path / "bench.svg").stat().st_size > 1000
