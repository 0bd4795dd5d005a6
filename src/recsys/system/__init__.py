"""The process a run lives in: what it says, what interrupts it, which cores it has, and what its steps cost."""
