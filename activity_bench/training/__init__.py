"""Training: what the models share. The loop is `loop.py`; a method is a network and a few lines (`method.py`)."""
