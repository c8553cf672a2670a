"""ResNet-18 for CIFAR (He et al. 2015), of the auxiliary Fourier task.

    C64 (C C +)x2 each of 64, 128, 256, 512; GA FC

Command: python -m models.resnet18 --dataset cifar10 --precision bfloat16
Recipe:  sgd, learning rate 0.1 (plateau), momentum 0.9, weight decay 0.0004, 200 epochs, batches of
         128, augmentation mirror_crop_flip, stops after 10 epochs without progress
Reaches: 89.28 % of CIFAR-10 in 104 minutes of two busy cores: 20 epochs, --pooling spectral
         --width 0.25 --schedule onecycle --learning-rate 0.2
         (results/resnet18_spectral_w25-cifar10)
"""

if __name__ == "__main__":
    from models import command

    command("spectral_keras.experiments.train.command", "resnet18")

from spectral_keras.models.resnet18 import RECIPE, build

__all__ = ["RECIPE", "build"]
