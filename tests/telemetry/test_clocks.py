"""A notice about a vendor's clock is in the status of the streams that request data from it, and logged twice."""

import structlog
from structlog.testing import capture_logs

from collector.telemetry.status import ProcessStatus, SourceStatus, StreamStatus
from collector.telemetry.vendor import ClockTelemetry
from tests.simulated import START


def test_a_notice_is_shown_by_the_running_streams_of_the_host_until_it_ends() -> None:
    structlog.reset_defaults()
    streams = [
        StreamStatus("seemetrix", "mall", "sessions", "live"),
        StreamStatus("seemetrix", "mall", "devices"),
        StreamStatus("quividi", "lobby", "viewers", "live", notices=["since is ignored"]),
    ]
    sources = [SourceStatus("seemetrix", "mall", "one.example"), SourceStatus("quividi", "lobby", "two.example")]
    status = ProcessStatus("1", "group", streams, sources)
    telemetry = ClockTelemetry(status)

    def notices() -> list[list[str]]:
        shown = status.as_json(START)["streams"]
        assert isinstance(shown, list)
        return [stream["notices"] for stream in shown]

    with capture_logs() as logs:
        telemetry.doubted("one.example", "vendor_clock_wrong", "its clock is wrong", "inform its operator")
        assert [["its clock is wrong: inform its operator"], [], ["since is ignored"]] == notices()
        telemetry.agrees("one.example")
        assert [[], [], ["since is ignored"]] == notices()

    assert [("clocks_differ", "warning"), ("clocks_agree", "info")] == [
        (line["event"], line["log_level"]) for line in logs
    ]
    assert {"one.example"} == {line["host"] for line in logs}
    assert "vendor_clock_wrong" == logs[0]["code"]
