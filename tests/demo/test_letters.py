"""Dead letters are kept within bounds, and replayed each by itself."""

from exporter.demo.letters import DeadLetters
from tests.demo.build import job


def test_the_oldest_is_drawn_first_and_only_once_at_a_time() -> None:
    letters = DeadLetters()
    first, second = job(), job()
    letters.write(first)
    letters.write(second)
    drawn = [letters.draw("t") for _ in range(3)]
    assert [letter and letter.id for letter in drawn] == [first.id, second.id, None]
    assert drawn[0] is not None
    letters.put_back(drawn[0])
    assert letters.draw("t") is drawn[0]
    assert letters.draw("nobody") is None


def test_a_delivered_letter_goes_and_another_stays_for_one_more_chance() -> None:
    letters = DeadLetters()
    first, second = job(), job()
    letters.write(first)
    letters.write(second)
    letters.replayed("t", first.id, True)
    letters.replayed("t", second.id, False)
    assert letters.size("t") == 1
    letters.replayed("t", second.id, False)
    assert letters.size("t") == 0


def test_where_there_is_no_room_the_oldest_gives_way_even_if_under_way() -> None:
    letters = DeadLetters(capacity=2)
    jobs = [job() for _ in range(3)]
    letters.write(jobs[0])
    letters.draw("t")
    for each in jobs[1:]:
        letters.write(each)
    assert letters.size("t") == 2
    letters.replayed("t", jobs[0].id, True)
    assert letters.size("t") == 2
    assert letters.size("other") == 0
