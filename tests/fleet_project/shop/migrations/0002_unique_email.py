"""What a tenant with two customers of one email does not allow."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Make the email unique."""

    dependencies = [("shop", "0001_initial")]
    operations = [
        migrations.AddConstraint(
            "customer",
            models.UniqueConstraint(fields=["email"], name="shop_customer_email_unique"),
        ),
    ]
