"""What the fence raises."""


class FenceError(RuntimeError):
    """What the code tried would have reached beyond the scratch database."""
