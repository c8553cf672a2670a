"""What other packages log is left out for a while, and for no longer."""

import logging
import threading

from spectral_keras.logs import quiet


def test_the_level_is_as_it_was_before(caplog):
    logger = logging.getLogger("spectral_keras_tests")
    logger.setLevel(logging.INFO)
    with quiet(logger.name, logging.ERROR):
        with quiet(logger.name, logging.WARNING):  # shows no more than the block around it
            logger.warning("left out")
        logger.warning("left out")
        logger.error("shown")
    assert caplog.messages == ["shown"] and logger.level == logging.INFO


def test_blocks_of_two_threads_overlap():
    logger = logging.getLogger("spectral_keras_tests")
    logger.setLevel(logging.NOTSET)
    entered, left = threading.Event(), threading.Event()

    def other():
        with quiet(logger.name, logging.CRITICAL):
            entered.set()
            left.wait(60)

    thread = threading.Thread(target=other)
    with quiet(logger.name, logging.CRITICAL):
        thread.start()
        assert entered.wait(60)
    assert logger.level == logging.CRITICAL
    left.set()
    thread.join()
    assert logger.level == logging.NOTSET
