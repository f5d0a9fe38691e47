"""``manage.py demo``: products and users to try the desk with, and orders that come by themselves."""

import random
import time

from django.contrib.auth.models import Permission, User
from django.core.management.base import BaseCommand

from orders.models import Product
from orders.services import Refused, place

PRODUCTS = {"tea": ("Green tea", 120), "cup": ("Blue cup", 60), "pot": ("Cast-iron pot", 25), "tin": ("Tea tin", 80)}
CUSTOMERS = ("ada", "grace", "linus")


class Command(BaseCommand):
    help = "Makes products, customers (ada, grace, linus) and the desk's user (desk); each password is the name."

    def add_arguments(self, parser):
        parser.add_argument("--orders", type=int, default=0, metavar="N", help="then place N orders, one a second")

    def handle(self, *, orders, **options):
        for sku, (name, stock) in PRODUCTS.items():
            Product.objects.get_or_create(sku=sku, defaults={"name": name, "stock": stock})
        for name in CUSTOMERS:
            self.user(name)
        permissions = ["work_desk", "view_order", "change_order", "view_deadletter", "view_outboxrow"]
        self.user("desk", is_staff=True).user_permissions.set(Permission.objects.filter(codename__in=permissions))
        for number in range(orders):
            if number:
                time.sleep(1)
            self.place_one()

    def user(self, name, **fields):
        user, made = User.objects.get_or_create(username=name, defaults=fields)
        if made:
            user.set_password(name)
            user.save()
        return user

    def place_one(self):
        customer = User.objects.get(username=random.choice(CUSTOMERS))
        try:
            self.stdout.write(str(place(customer, random.choice(list(PRODUCTS)), random.randint(1, 4))))
        except Refused as error:
            self.stdout.write(str(error))
