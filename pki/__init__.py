"""Plug & Charge PKI: the domain. No Flask here; every verb is usable from a shell."""

__version__ = "0.1.0"
