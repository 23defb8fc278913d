"""The one page that a run leaves behind."""
