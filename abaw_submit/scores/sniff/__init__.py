"""Score and feature files of any tool: recognised by what is in them, read exactly or refused."""
