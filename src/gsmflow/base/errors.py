"""The exception for requests and data that are wrong."""


class InputError(ValueError):
    """The request or the data is wrong, and the caller can correct it.

    The message is a single line that names the file (or argument), the offending
    place, and what to do about it. The command line turns it into exit code 2.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
