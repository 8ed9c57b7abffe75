"""Networks of the benchmarks: small ones for MNIST, and the ResNet-18 for CIFAR-10."""

from torch import nn


class Perceptron(nn.Sequential):
    """One hidden layer of 100 units."""

    def __init__(self, n_channels=1, size=28, n_classes=10):
        super().__init__(
            nn.Flatten(),
            nn.Linear(n_channels * size**2, 100),
            nn.ReLU(),
            nn.Linear(100, n_classes),
        )


class SmallCNN(nn.Sequential):
    """Two convolutions and a hidden layer of 64 units."""

    def __init__(self, n_channels=1, size=28, n_classes=10):
        super().__init__(
            nn.Conv2d(n_channels, 16, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * (size // 4) ** 2, 64),
            nn.ReLU(),
            nn.Linear(64, n_classes),
        )


class Block(nn.Module):
    """Two convolutions, and a way around them (He et al. 2016, figure 2)."""

    def __init__(self, n_in, n_out, stride):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(),
            nn.Conv2d(n_out, n_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
        )
        same = stride == 1 and n_in == n_out
        self.around = (
            nn.Identity()
            if same
            else nn.Sequential(
                nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out)
            )
        )

    def forward(self, images):
        """Add what goes around."""
        return nn.functional.relu(self.body(images) + self.around(images))


class ResNet18(nn.Sequential):
    """The ResNet-18 with a first convolution of 3 x 3, as it is used for CIFAR-10."""

    def __init__(self, n_channels=3, size=32, n_classes=10, width=64):
        blocks, n_in = [], width
        for stage in range(4):
            n_out = width * 2**stage
            blocks += [Block(n_in, n_out, 1 if stage == 0 else 2)]
            blocks += [Block(n_out, n_out, 1)]
            n_in = n_out
        super().__init__(
            nn.Conv2d(n_channels, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            *blocks,
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(n_in, n_classes),
        )


NETS = {"perceptron": Perceptron, "cnn": SmallCNN, "resnet18": ResNet18}
