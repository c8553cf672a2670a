"""A network for minutes: the cheapest known recipe for CIFAR-10 (Jordan 2024), spectral pooling.

    W24 (C M SP C)x3 of 64, 256, 256 GM FC; BN and QuickGELU after each C

Command: python -m models.quick_spectral --dataset cifar10 --precision bfloat16
Recipe:  sgd, learning rate 1.05 (triangle), momentum 0.85 (Nesterov), biases at 64 times the rate,
         weight decay 0.00636, 10 epochs, batches of 512, augmentation
         reflect_crop,alternating_flip, Lookahead every 5 steps, label smoothing 0.2, test-time
         views: mirror_translate
Reaches: 93.85 % of CIFAR-10 in 43 minutes of two busy cores, 94.28 % with the views: 11 epochs,
         --sizes 18,9,4 --validation-fraction 0.0 (results/quick_spectral-cifar10); three seeds:
         93.74 % and 94.33 %, standard deviations 0.13 and 0.07, 0.59 PFLOP each;
         1.5 times as wide, 14 epochs, three seeds: 94.70 % and 95.17 %, 1.64 PFLOP each
"""

if __name__ == "__main__":
    from models import command

    command("spectral_keras.experiments.train.command", "quick_spectral")

from spectral_keras.models.quick_spectral import RECIPE, build

__all__ = ["RECIPE", "build"]
