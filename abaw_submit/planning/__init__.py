"""The five submissions a task allows."""
