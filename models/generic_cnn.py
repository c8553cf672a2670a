"""The generic network: eq. (6) of Rippel, Snoek and Adams (2015), the report's first.

    C96 MP C192 MP FC1024 FC512

Command: python -m models.generic_cnn --dataset cifar10 --precision bfloat16
Recipe:  adam, learning rate 0.001 (onecycle), 20 epochs, batches of 128, augmentation crop_flip
Reaches: not trained in full here.
"""

if __name__ == "__main__":
    from models import command

    command("spectral_keras.experiments.train.command", "generic_cnn")

from spectral_keras.models.generic_cnn import RECIPE, build

__all__ = ["RECIPE", "build"]
