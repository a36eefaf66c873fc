"""abaw_submit: from the organisers' videos to a checked submission zip for the ABAW challenges."""

__version__ = "0.2.0"
