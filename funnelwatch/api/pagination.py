"""Lists are `{next, previous, results}` by cursor."""

from rest_framework import pagination


class CursorPagination(pagination.CursorPagination):
    """Newest first; the cursor stays true while rows are added."""

    ordering = "-id"
    page_size_query_param = "limit"
    max_page_size = 500
