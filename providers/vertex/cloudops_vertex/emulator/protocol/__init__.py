"""Vertex AI's protocol, by the service's own descriptors: routes, messages, what a request must and must not hold.

``descriptors.binpb.gz`` is compiled from the published ``.proto`` files by ``providers/vertex/build_protocol.py``;
their licence is beside it.
"""
