import pytest

from exporter.web.figures import NOT_KNOWN, duration, expiry, moment, rate, relative

DAY = 86400.0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "just now"),
        (-0.9, "just now"),
        (1.0, "1 s ago"),
        (59.9, "59 s ago"),
        (60.0, "1 min ago"),
        (7200.0, "2 h ago"),
        (90000.0, "1 d ago"),
        (-61.0, "in 1 min"),
        (-364 * DAY, "in 364 d"),
        (-800 * DAY, "in 2 y"),
    ],
)
def test_times_are_told_as_people_do(seconds: float, text: str) -> None:
    assert relative(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "0 µs"), (0.00004, "40 µs"), (0.0123, "12.3 ms"), (1.0, "1 s"), (83.21, "83.2 s")]
)
def test_durations_have_the_unit_that_fits(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_what_is_not_known_says_so() -> None:
    assert moment(None, 0.0) == duration(None) == rate(None) == expiry(None, 0.0) == NOT_KNOWN
    assert 'title="not known"' in NOT_KNOWN


def test_the_exact_time_is_in_the_title() -> None:
    assert moment(0.0, 5.0) == (
        '<time datetime="1970-01-01T00:00:00.000+00:00" title="1970-01-01 00:00:00 UTC">5 s ago</time>'
    )


@pytest.mark.parametrize("wall", [1e30, float("inf"), -1e30])
def test_times_beyond_the_calendar_do_not_break_the_page(wall: float) -> None:
    assert moment(wall, 0.0).startswith("<time")


@pytest.mark.parametrize(
    ("left", "remark"), [(15 * DAY, None), (13 * DAY, "ends soon"), (1.0, "ends soon"), (-1.0, "expired")]
)
def test_a_certificate_that_ends_is_pointed_out(left: float, remark: str | None) -> None:
    made = expiry(100 * DAY + left, 100 * DAY)
    assert ("<small>" in made) == (remark is not None)
    assert remark is None or remark in made


@pytest.mark.parametrize(("percent", "level"), [(100.0, "ok"), (95.0, "warn"), (12.34, "bad")])
def test_a_rate_has_a_number_and_a_bar(percent: float, level: str) -> None:
    assert f'class="{level}"' in rate(percent)
    assert rate(12.34).startswith("12.3 %")
