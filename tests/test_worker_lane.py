"""Processes that work for the app: what reaches the whole terminal is the app's to answer."""

import os
import signal

from worker_lane import WorkerLane


def interrupted() -> int:
    os.kill(os.getpid(), signal.SIGINT)
    return os.getpid()


def test_a_worker_leaves_ctrl_c_to_its_parent():
    lane = WorkerLane("interrupted", 1)
    try:
        first = lane.in_process(lambda: None, interrupted)
        assert first != os.getpid()
        assert lane.in_process(lambda: None, interrupted) == first  # it lives on
    finally:
        lane.stop()
