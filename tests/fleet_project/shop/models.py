"""What each tenant has."""

from django.db import models


class Customer(models.Model):
    """Whose email is unique with the second migration."""

    email = models.CharField(max_length=100)
    note = models.CharField(max_length=100, db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["email"], name="shop_customer_email_unique"),
        ]

    def __str__(self) -> str:
        return self.email


class Order(models.Model):
    """Of a customer."""

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE)
    amount = models.DecimalField(max_digits=12, decimal_places=2)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(amount__gte=0), name="shop_order_amount"),
        ]

    def __str__(self) -> str:
        return f"{self.amount}"
