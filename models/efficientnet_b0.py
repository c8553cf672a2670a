"""EfficientNet-B0 for CIFAR (Tan and Le 2019), of the auxiliary Fourier task.

    C32, 16 inverted bottlenecks of 16 to 320 filters with channel gates, GA FC

Command: python -m models.efficientnet_b0 --dataset cifar10 --precision bfloat16
Recipe:  sgd, learning rate 0.1 (plateau), momentum 0.9, weight decay 0.0004, 200 epochs, batches of
         128, augmentation mirror_crop_flip, stops after 10 epochs without progress
Reaches: not trained in full here.
"""

if __name__ == "__main__":
    from models import command

    command("spectral_keras.experiments.train.command", "efficientnet_b0")

from spectral_keras.models.efficientnet_b0 import RECIPE, build

__all__ = ["RECIPE", "build"]
