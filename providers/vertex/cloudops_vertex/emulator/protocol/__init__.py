"""The protocol of Vertex AI and what surrounds it: routes, messages, what a request must and must not hold.

``descriptors.binpb.gz`` is compiled from the published ``.proto`` files by ``providers/vertex/build_protocol.py``;
their licence is beside it.
"""
