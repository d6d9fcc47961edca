"""What several networks are made of: attention, recurrence, losses, decoding, proposals. Tensors in, tensors out."""
