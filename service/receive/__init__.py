"""DIMSE in: who may associate, what is accepted, and the answer by name.

Nothing is acknowledged before it is durable.
"""
