"""Networks: the networks, and the devices that they run on. Nothing that trains or judges."""
