"""One function a question, one file a subject; the SQL is whole and visible."""
