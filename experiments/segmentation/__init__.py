"""Segmentation: backbones, PAC-CRF on top, convolutions swapped for pixel-adaptive ones."""
