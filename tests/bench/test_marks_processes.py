from bench.marks.processes import spread


def opened() -> int:
    return 100


def added(room: int, item: int) -> int:
    return room + item


def test_results_come_in_order_from_one_process_and_from_two() -> None:
    alone = list(spread(added, range(5), opened=opened, processes=1))
    assert alone == [100, 101, 102, 103, 104]
    assert list(spread(added, range(5), opened=opened, processes=2)) == alone
