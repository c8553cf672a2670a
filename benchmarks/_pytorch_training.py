"""Training steps of the zoo's networks in plain PyTorch, for `benchmarks.training`.

A program of its own, without anything of this library, so that another environment can run it.
Networks and optimizer do what those of the zoo do, float32 or autocast to bfloat16, maps in
channels_last, the C allocator set as there.
"""

import ctypes

import torch
from torch import nn

from benchmarks._training_process import serve

CLASSES = 10


def conv_bn(inputs, filters, kernel=3, stride=1, relu=True):
    layers = [
        nn.Conv2d(inputs, filters, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(filters),
    ]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if relu else []))


class Block(nn.Module):
    """Two convolutions and a shortcut."""

    def __init__(self, inputs, filters, stride):
        super().__init__()
        self.first = conv_bn(inputs, filters, 3, stride)
        self.second = conv_bn(filters, filters, relu=False)
        same = stride == 1 and inputs == filters
        self.shortcut = nn.Identity() if same else conv_bn(inputs, filters, 1, stride, False)

    def forward(self, x):
        return torch.relu_(self.second(self.first(x)) + self.shortcut(x))


def resnet18(width):
    filters = [max(1, round(width * size)) for size in (64, 128, 256, 512)]
    blocks, inputs = [conv_bn(3, filters[0])], filters[0]
    for stage, size in enumerate(filters):
        blocks += [Block(inputs, size, 2 if stage else 1), Block(size, size, 1)]
        inputs = size
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, CLASSES))


def vgg16_bn(width):
    layers, inputs = [], 3
    for count, size in ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)):
        size = max(1, round(width * size))
        for _ in range(count):
            layers += [nn.Conv2d(inputs, size, 3, padding=1), nn.BatchNorm2d(size)]
            layers.append(nn.ReLU(inplace=True))
            inputs = size
        layers.append(nn.MaxPool2d(2))
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    for _ in range(2):
        size = max(1, round(width * 512))
        layers += [nn.Dropout(0.5), nn.Linear(inputs, size), nn.ReLU(inplace=True)]
        inputs = size
    return nn.Sequential(*layers, nn.Linear(inputs, CLASSES))


def deep_spectral(width):
    narrow, wide = (max(1, round(width * size)) for size in (96, 192))
    layers, inputs = [], 3
    for size in (narrow, narrow, None, wide, wide, wide, None):
        if size is None:
            layers.append(nn.MaxPool2d(3, 2, padding=1))
        else:
            layers += [nn.Conv2d(inputs, size, 3, padding=1), nn.ReLU(inplace=True)]
            inputs = size
    layers += [nn.Conv2d(inputs, wide, 1), nn.ReLU(inplace=True), nn.Conv2d(wide, CLASSES, 1)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


NETWORKS = {"resnet18": resnet18, "vgg16_bn": vgg16_bn, "deep_spectral": deep_spectral}


def training_step(network, width, precision, batch):
    """A function without arguments that runs a training step and returns the loss."""
    torch.manual_seed(0)
    model = NETWORKS[network](width).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=5e-4)
    images = torch.rand(batch, 3, 32, 32).to(memory_format=torch.channels_last)
    labels = torch.randint(0, CLASSES, (batch,))
    loss_of = nn.CrossEntropyLoss()

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            logits = model((images - 0.5) * 4)
        loss = loss_of(logits.float(), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def main():
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # glibc's: freed memory is kept, as spectral_keras.memory does
        libc.mallopt(-4, 0)
        libc.mallopt(-1, 2**31 - 1)
    about = {"framework": f"PyTorch {torch.__version__}", "threads": torch.get_num_threads()}
    serve(about, training_step)


if __name__ == "__main__":
    main()
