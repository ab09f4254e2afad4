"""One module a page. A view checks rights, asks `data` for what the page says and renders; it computes nothing."""
