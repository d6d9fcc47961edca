"""Methods that learn by gradient (torch), one file each, readable from top to bottom."""
