"""`python -m abaw_submit`, the same as `abaw-submit`."""

import signal


def main() -> None:
    """The program. Until it can say so in words, Ctrl-C ends it without any."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from abaw_submit.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
