"""The app's addresses."""

from django.urls import path

from . import views

urlpatterns = [
    path("", views.home, name="home"),
    path("desk/", views.desk, name="desk"),
    path("desk/board/", views.board, name="board"),
    path("orders/", views.place_order, name="place"),
    path("orders/<int:order_id>/", views.track, name="track"),
    path("orders/<int:order_id>/state/", views.order_state, name="state"),
    path("orders/<int:order_id>/move/", views.move_order, name="move"),
]
