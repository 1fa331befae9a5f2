"""Content-addressed artifacts: code packed once under the digest of its content, inputs fetched once per version."""
