"""Sequence models: the features of a clip's rows to the outputs of a task."""
