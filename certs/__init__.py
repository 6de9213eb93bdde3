"""Data of a deployment: ceremony files, public trust anchors, lint waivers. Never a private key."""
