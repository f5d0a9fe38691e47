"""The desk for those who pack, a page for each customer, and what both post."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.decorators import login_required, permission_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_GET, require_POST

from sockudo_publisher.contrib.pusher_js import pusher_js_options

from .models import Order, Product
from .services import Refused, move, place

at_the_desk = permission_required("orders.work_desk", raise_exception=True)
#: Orders that the board shows.
MAX_SHOWN = 200


@login_required
@require_GET
@ensure_csrf_cookie
def home(request: HttpRequest) -> HttpResponse:
    """The customer's page; the desk's people go to the desk."""
    if request.user.has_perm("orders.work_desk"):
        return redirect("desk")
    orders = request.user.orders.select_related("product").order_by("-pk")[:20]
    return render(request, "orders/home.html", {"orders": orders, "products": Product.objects.order_by("name")})


@login_required
@at_the_desk
@require_GET
@ensure_csrf_cookie
def desk(request: HttpRequest) -> HttpResponse:
    return render(request, "orders/desk.html", {"socket": pusher_js_options(settings.SOCKET_URL)})


@login_required
@at_the_desk
@require_GET
def board(request: HttpRequest) -> JsonResponse:
    """The state of everything: pages load it when they are subscribed, and keep it up to date from events."""
    orders = Order.objects.select_related("customer", "product").exclude(state=Order.State.CANCELLED)
    return JsonResponse(
        {
            "orders": [order.as_event() for order in orders.order_by("-pk")[:MAX_SHOWN]],
            "products": list(Product.objects.order_by("name").values("sku", "name", "stock")),
        }
    )


@login_required
@require_POST
def place_order(request: HttpRequest) -> HttpResponse:
    try:
        quantity = int(request.POST.get("quantity", ""))
        order = place(request.user, request.POST.get("sku", ""), min(quantity, 100))
    except ValueError:
        return JsonResponse({"error": "How many?"}, status=400)
    except Refused as error:
        return JsonResponse({"error": str(error)}, status=409)
    return JsonResponse({"id": order.pk}, status=201)


@login_required
@at_the_desk
@require_POST
def move_order(request: HttpRequest, order_id: int) -> JsonResponse:
    try:
        order = move(order_id, request.POST.get("state", ""))
    except Refused as error:
        return JsonResponse({"error": str(error)}, status=409)
    return JsonResponse({"version": order.version})


@login_required
@require_GET
@ensure_csrf_cookie
def track(request: HttpRequest, order_id: int) -> HttpResponse:
    order = own_order(request, order_id)
    return render(request, "orders/track.html", {"order": order, "socket": pusher_js_options(settings.SOCKET_URL)})


@login_required
@require_GET
def order_state(request: HttpRequest, order_id: int) -> JsonResponse:
    return JsonResponse(own_order(request, order_id).as_event())


def own_order(request: HttpRequest, order_id: int) -> Order:
    return get_object_or_404(Order.objects.select_related("customer", "product"), pk=order_id, customer=request.user)
