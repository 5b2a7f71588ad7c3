"""A shop."""

from django.db import models


class Customer(models.Model):
    """Who buys."""

    email = models.CharField(max_length=100)
    note = models.CharField(max_length=100, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["email"], name="shop_customer_email")]

    def __str__(self) -> str:
        return self.email


class Order(models.Model):
    """What is bought."""

    amount = models.DecimalField(max_digits=12, decimal_places=2)
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE)

    def __str__(self) -> str:
        return str(self.amount)
