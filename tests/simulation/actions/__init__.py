"""What the members of a simulated consortium do: mostly what is pending, now and then what they may not."""
