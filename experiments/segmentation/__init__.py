"""Segmentation: cleaner label maps from class scores and the image."""
