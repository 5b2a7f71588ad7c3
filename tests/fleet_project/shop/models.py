"""Customers and their orders."""

from django.db import models


class Customer(models.Model):
    """Somebody who buys."""

    name = models.TextField()
    email = models.TextField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["email"], name="shop_customer_email_once")]

    def __str__(self) -> str:
        return self.name


class Order(models.Model):
    """What was bought."""

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE)
    cents = models.IntegerField()

    def __str__(self) -> str:
        return f"{self.cents} cents"
