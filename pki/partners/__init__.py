"""Platforms that we speak OCPI with: registration, their objects, questions and pushes."""
