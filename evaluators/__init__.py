"""The judgements over one answer or a stream of them: a leaf that imports nothing of the proxy."""
