"""Stops that come too early and too late: real processes, words and codes."""

import signal
import subprocess
import sys
import textwrap

import pytest

from abaw_submit.signals import Terminated, blocked, deferred, install, listening

STOPS = [signal.SIGTERM, signal.SIGINT]
HEAD = """
import click, os, signal, sys
from abaw_submit import signals
from abaw_submit.cli.entry import run
"""
CODES = {signal.SIGTERM: 143, signal.SIGINT: 130}


def program(body):
    """A program with one command, as the entry point runs it."""
    code = HEAD + textwrap.dedent(body)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("stop", STOPS)
def test_a_stop_before_the_command_begins_is_heard_by_it(stop):
    done = program(f"""
        signals.install()
        os.kill(os.getpid(), {stop})
        sys.exit(run(click.Command("x", callback=lambda: print("worked"))))
    """)
    assert (done.returncode, done.stdout) == (CODES[stop], "")
    assert done.stderr.startswith("Stopped")


@pytest.mark.parametrize("stop", STOPS)
def test_a_stop_after_the_work_is_done_changes_nothing(stop):
    done = program(f"""
        import atexit
        atexit.register(lambda: os.kill(os.getpid(), {stop}))
        code = run(click.Command("x", callback=lambda: print("worked")))
        os.kill(os.getpid(), {stop})
        sys.exit(code)
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "worked\n", "")


@pytest.mark.parametrize("stop", STOPS)
def test_a_second_stop_while_the_first_is_told_changes_nothing(stop):
    done = program(f"""
        from abaw_submit.cli import entry
        entry.stop_workers = lambda: os.kill(os.getpid(), {stop})
        sys.exit(run(click.Command("x", callback=lambda: os.kill(os.getpid(), {stop}))))
    """)
    assert done.returncode == CODES[stop]
    assert done.stderr.strip().startswith("Stopped")
    assert "Traceback" not in done.stderr


def test_a_stop_between_two_commands_of_a_job_is_not_lost():
    done = program("""
        first = run(click.Command("x", callback=lambda: print("one")))
        os.kill(os.getpid(), signal.SIGTERM)
        sys.exit(first or run(click.Command("x", callback=lambda: print("two"))))
    """)
    assert (done.returncode, done.stdout) == (143, "one\n")


def test_a_stop_that_a_library_swallowed_comes_again():
    done = program("""
        signals._AGAIN_S = 1
        def work():
            try:
                os.kill(os.getpid(), signal.SIGTERM)
            except BaseException:
                pass
            signal.pause()
        sys.exit(run(click.Command("x", callback=work)))
    """)
    assert done.returncode == 143


@pytest.fixture
def handlers():
    numbers = (signal.SIGTERM, signal.SIGUSR1, signal.SIGXCPU, signal.SIGINT, signal.SIGALRM)
    before = [signal.getsignal(number) for number in numbers]
    install()
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("stop", "error"), [(signal.SIGTERM, Terminated), (signal.SIGINT, KeyboardInterrupt)]
)
def test_a_stop_waits_until_a_state_is_whole(handlers, stop, error):
    told = []
    with pytest.raises(error), listening():
        with deferred():
            signal.raise_signal(stop)
            told.append("whole")
        told.append("never")
    assert told == ["whole"]


def test_what_is_started_while_stops_are_blocked_does_not_hear_them(handlers):
    with blocked():
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    child.send_signal(signal.SIGTERM)
    child.send_signal(signal.SIGINT)
    child.communicate(b"\n", timeout=30)
    assert child.returncode == 0


def test_the_second_of_two_quick_stops_does_not_break_what_tidies_up():
    done = program("""
        def work():
            try:
                os.kill(os.getpid(), signal.SIGINT)
            finally:
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGTERM)
                print("tidied")
        sys.exit(run(click.Command("x", callback=work)))
    """)
    assert (done.returncode, done.stdout) == (130, "tidied\n")
    assert done.stderr.strip() == "Stopped. Run the same command again to go on."


def test_a_later_interrupt_is_meant_again():
    done = program("""
        signals._ONCE_S = 0
        def work():
            try:
                os.kill(os.getpid(), signal.SIGINT)
            finally:
                os.kill(os.getpid(), signal.SIGINT)
                print("never")
        sys.exit(run(click.Command("x", callback=work)))
    """)
    assert (done.returncode, done.stdout) == (130, "")
