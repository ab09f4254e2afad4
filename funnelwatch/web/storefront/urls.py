"""Addresses of the demo shop, under `/demo/`."""

from django.urls import path

from funnelwatch.web.storefront import views

urlpatterns = [
    path("", views.shelf, name="storefront-shelf"),
    path("products/<str:sku>/", views.product, name="storefront-product"),
    path("cart/", views.cart, name="storefront-cart"),
    path("checkout/", views.checkout, name="storefront-checkout"),
    path("thanks/", views.thanks, name="storefront-thanks"),
]
