"""Where each address is answered."""

urlpatterns: list = []
