"""Pages of the demo shop. All it does in the browser goes through the SDK, as in any shop."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from funnelwatch.projects.models import WriteKey
from funnelwatch.simulate.shop import HIGH_INTENT, Product


@require_safe
def shelf(request: HttpRequest) -> HttpResponse:
    """`/demo/`: the products."""
    return _page(request, "shelf", HIGH_INTENT.name)


@require_safe
def product(request: HttpRequest, sku: str) -> HttpResponse:
    """`/demo/products/SKU/`."""
    found = next((product for product in HIGH_INTENT.products if product.sku == sku), None)
    if found is None:
        raise Http404("The demo shop has no such product.")
    return _page(request, "product", found.name, product=_entry(found))


@require_safe
def cart(request: HttpRequest) -> HttpResponse:
    """`/demo/cart/`."""
    return _page(request, "cart", "Your bag")


@require_safe
def checkout(request: HttpRequest) -> HttpResponse:
    """`/demo/checkout/`."""
    return _page(request, "checkout", "Checkout")


@require_safe
def thanks(request: HttpRequest) -> HttpResponse:
    """`/demo/thanks/`."""
    return _page(request, "thanks", "Thank you")


def _page(request: HttpRequest, page: str, title: str, **context: object) -> HttpResponse:
    key = WriteKey.objects.filter(revoked_at=None).order_by("pk").first()
    if key is None:
        raise Http404("The demo shop sends to the first project, and there is none yet.")
    data = {
        "page": page,
        "currency": HIGH_INTENT.currency,
        "products": [_entry(product) for product in HIGH_INTENT.products],
        "urls": {name: reverse(f"storefront-{name}") for name in ("shelf", "cart", "checkout", "thanks")},
    } | context
    return render(request, f"storefront/{page}.html", {"title": title, "shop": HIGH_INTENT, "key": key.key, "data": data})


def _entry(product: Product) -> dict[str, object]:
    return {
        "sku": product.sku,
        "name": product.name,
        "category": product.category,
        "line": product.name.split()[0].lower(),
        "price": product.price,
        "url": reverse("storefront-product", args=[product.sku]),
    }
