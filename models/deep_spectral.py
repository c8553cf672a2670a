"""The deep network: eq. (7) of Rippel, Snoek and Adams (2015), the report's second.

    C96 C96 MP C192x3 MP C192(1x1) C10(1x1) GA

Command: python -m models.deep_spectral --dataset cifar10 --precision bfloat16
Recipe:  adam, learning rate 0.001 (onecycle), 20 epochs, batches of 128, augmentation crop_flip
Reaches: 82.99 % of CIFAR-10 in 51 minutes of two cores: 15 epochs, --padding valid
         (results/deep_spectral-cifar10)
"""

if __name__ == "__main__":
    from models import command

    command("spectral_keras.experiments.train.command", "deep_spectral")

from spectral_keras.models.deep_spectral import RECIPE, build

__all__ = ["RECIPE", "build"]
