"""Bytes to values, values to bytes: the protocols that the service speaks."""
