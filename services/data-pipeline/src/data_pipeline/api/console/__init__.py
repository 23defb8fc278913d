"""The operator console: server-rendered pages over the same operations as the API."""
