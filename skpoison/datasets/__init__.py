"""Loaders of public data sets of images, from the files that they are published as."""

from skpoison.datasets._images import load_cifar10, load_mnist
from skpoison.datasets._tiny_imagenet import load_tiny_imagenet

__all__ = ["load_cifar10", "load_mnist", "load_tiny_imagenet"]
