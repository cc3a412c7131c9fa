"""A notice about a vendor's clock is in the status of the sources that request data from it, and logged twice."""

import structlog
from structlog.testing import capture_logs

from collector.telemetry.status import ProcessStatus, SourceStatus, StreamStatus
from collector.telemetry.vendor import ClockTelemetry
from tests.simulated import START


def test_a_notice_is_shown_once_for_each_running_source_of_the_host_until_it_ends() -> None:
    structlog.reset_defaults()
    streams = [
        StreamStatus("seemetrix", "mall", "sessions", "live"),
        StreamStatus("seemetrix", "mall", "devices"),
        StreamStatus("quividi", "lobby", "viewers", "live"),
        StreamStatus("seemetrix", "museum", "sessions"),
    ]
    sources = [
        SourceStatus("seemetrix", "mall", "one.example", notices=["its zone is doubtful"]),
        SourceStatus("quividi", "lobby", "two.example"),
        SourceStatus("seemetrix", "museum", "one.example", notices=["of another replica"]),
    ]
    status = ProcessStatus("1", "group", streams, sources)
    telemetry = ClockTelemetry(status)

    def notices() -> list[list[str]]:
        shown = status.as_json(START)["sources"]
        assert isinstance(shown, list)
        return [source["notices"] for source in shown]

    with capture_logs() as logs:
        telemetry.doubted("one.example", "vendor_clock_wrong", "its clock is wrong", "inform its operator")
        assert [["its clock is wrong: inform its operator", "its zone is doubtful"], [], []] == notices()
        telemetry.agrees("one.example")
        assert [["its zone is doubtful"], [], []] == notices()

    assert [("clocks_differ", "warning"), ("clocks_agree", "info")] == [
        (line["event"], line["log_level"]) for line in logs
    ]
    assert {"one.example"} == {line["host"] for line in logs}
    assert "vendor_clock_wrong" == logs[0]["code"]
