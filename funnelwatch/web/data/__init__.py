"""What each page says, gathered from rows and from what jobs stored; one module a page, plain values out."""
