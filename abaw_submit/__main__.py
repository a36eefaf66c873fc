"""`python -m abaw_submit`, the same as `abaw-submit`."""

from abaw_submit.cli import main

if __name__ == "__main__":
    main()
