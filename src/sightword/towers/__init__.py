"""Networks: image and text towers, the space where they meet, heads, decoder, momentum copies."""
