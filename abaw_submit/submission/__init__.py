"""The official files: format, check, pack, plan."""
