"""Builds every long-lived object from Settings; nothing else constructs them.

A module a role: a process imports the libraries of its own role, and no others.
"""
