"""Why a request was refused, in the form every client gets: a status and JSON with `code` and `message`."""


class Refusal(Exception):
    """Ends a request with `status`. `retry_after` (whole seconds) goes into the header of that name.

    `project_id` is the project of the request's key, 0 while that is not known.
    """

    def __init__(self, status: int, code: str, message: str, retry_after: int = 0, project_id: int = 0) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.retry_after = status, code, message, retry_after
        self.project_id = project_id
