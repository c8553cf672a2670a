"""The allocator setting: what it does to the pages of a freed block; a session that ends."""

import platform
import subprocess
import sys
import textwrap

import keras
import pytest

from spectral_keras.memory import clear_session, keep_freed_memory

GLIBC = platform.libc_ver()[0] == "glibc"


def test_says_whether_it_was_done():
    # In a process of its own: the setting cannot be taken back.
    code = "from spectral_keras.memory import keep_freed_memory; print(keep_freed_memory())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(GLIBC)


def test_other_systems_are_left_alone(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert keep_freed_memory() is False


@pytest.mark.skipif(not GLIBC, reason="a setting of glibc")
@pytest.mark.parametrize("keep", [False, True])
def test_a_large_block_is_reused_without_new_pages(keep):
    code = f"""
        import resource
        from spectral_keras.memory import keep_freed_memory
        if {keep}:
            assert keep_freed_memory()
        faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        def touch():
            return sum(bytearray(64 << 20)[::4096])
        touch()
        before = faults()
        for _ in range(4):
            touch()
        print(faults() - before)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    pages = int(done.stdout)
    # Four blocks of 16384 pages of 4 KiB; huge pages may make the kernel's faults fewer.
    assert pages < 200 if keep else pages > 200


def test_the_settings_of_the_program_outlive_a_session():
    keras.config.set_dtype_policy("mixed_bfloat16")
    keras.config.disable_interactive_logging()
    keras.config.disable_traceback_filtering()
    distribution = keras.distribution.DataParallel(devices=["cpu:0"])
    keras.distribution.set_distribution(distribution)
    try:
        keras.layers.Dense(1)
        clear_session()
        assert keras.layers.Dense(1).name == "dense"  # counted anew
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
        assert not keras.config.is_interactive_logging_enabled()
        assert not keras.config.is_traceback_filtering_enabled()
        assert keras.distribution.distribution() is distribution
    finally:
        keras.distribution.set_distribution(None)
        keras.config.enable_interactive_logging()
        keras.config.enable_traceback_filtering()
