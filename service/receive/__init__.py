"""Reception by DIMSE: admission of peers, accepted objects, and the responses.

Nothing is acknowledged before it is durable.
"""
