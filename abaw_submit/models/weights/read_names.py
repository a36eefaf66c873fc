"""Where training checkpoints keep weights. Standard library only."""

# in the order of preference; a teacher is an average of students
CONTAINERS = (
    "model",
    "state_dict",
    "model_state_dict",
    "net",
    "network",
    "teacher",
    "model_ema",
    "ema",
    "student",
    "online_network",
    "encoder",
    "backbone",
    "params",
)
