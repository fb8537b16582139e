"""The one way to AWS: ``calls`` beside the event loop, made with clients of ``sessions``."""
