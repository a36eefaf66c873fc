"""Sound on the container's clock, mel spectra, alignment to rows."""
