"""Google Vertex AI for cloudops. So far: the protocol that its offline cloud speaks."""
