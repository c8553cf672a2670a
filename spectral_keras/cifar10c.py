"""Names and severities of CIFAR-10-C, which made images and published files share.

Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations" (2019), https://arxiv.org/abs/1903.12261.
"""

__all__ = ["BENCHMARK", "EXTRA", "SEVERITIES"]


def __dir__():
    return __all__


SEVERITIES = (1, 2, 3, 4, 5)

# In the order of the papers' tables.
BENCHMARK = (
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "defocus_blur",
    "glass_blur",
    "motion_blur",
    "zoom_blur",
    "snow",
    "frost",
    "fog",
    "brightness",
    "contrast",
    "elastic_transform",
    "pixelate",
    "jpeg_compression",
)
# Held out by the authors for tuning; no part of mean accuracies or mCE.
EXTRA = ("speckle_noise", "gaussian_blur", "spatter", "saturate")
