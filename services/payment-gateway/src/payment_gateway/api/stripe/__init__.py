"""The Stripe-shaped facade: parse, call the same operations as the native API, render. It holds no logic of its own."""
