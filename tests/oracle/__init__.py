"""An independent float64 NumPy judge of the library: loops written from the mathematics."""
