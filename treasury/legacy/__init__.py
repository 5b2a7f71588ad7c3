"""Treasury as the staging database of the story has it: the revision before `payment_id`."""
