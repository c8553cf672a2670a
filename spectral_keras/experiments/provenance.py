"""Where a result comes from: versions, commit, backend, kind of device."""

import hashlib
import pathlib
import platform
import subprocess
from importlib import metadata
from typing import Any

import numpy as np

import spectral_keras

__all__ = ["commit", "conditions", "data_hash", "device_kind", "processor", "versions"]

_PACKAGES = ("keras", "tensorflow", "jax", "torch", "numpy")


def versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    # The code that runs; the metadata of an installed checkout may be of an older one.
    found = {"python": platform.python_version(), "spectral_keras": spectral_keras.__version__}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def conditions() -> dict[str, Any]:
    """What a run may be continued under with another result: backend, device, versions."""
    import keras

    return {"backend": keras.backend.backend(), "device": device_kind(), "versions": versions()}


def device_kind() -> str:
    """The accelerator that the backend uses, else the processor: "GPU NVIDIA H100", "CPU ..."."""
    import keras

    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        for gpu in tf.config.list_physical_devices("GPU"):
            details = tf.config.experimental.get_device_details(gpu)
            return f"GPU {details.get('device_name', gpu.name)}"
    elif backend == "jax":
        import jax

        device = jax.devices()[0]
        if device.platform != "cpu":
            return f"{device.platform.upper()} {device.device_kind}"
    elif backend == "torch":
        import torch

        if torch.cuda.is_available():
            return f"GPU {torch.cuda.get_device_name()}"
    return f"CPU {processor()}"


def data_hash(x: np.ndarray, y: np.ndarray) -> str:
    """SHA-256 of images and their classes."""
    digest = hashlib.sha256(np.ascontiguousarray(x).data)
    digest.update(np.ascontiguousarray(y, np.int64).data)
    return digest.hexdigest()


def processor() -> str:
    """The processor's name and the vector instructions that decide how sums are rounded."""
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    lines = (line.partition(":") for line in text.splitlines())
    fields = {name.strip(): value.strip() for name, _, value in lines}
    known = {"avx2": "AVX2", "avx512f": "AVX-512", "avx512_bf16": "bfloat16", "amx_bf16": "AMX"}
    flags = fields.get("flags", "").split()
    found = [shown for name, shown in known.items() if name in flags]
    name = fields.get("model name", platform.machine())
    return f"{name} ({', '.join(found)})" if found else name


def commit() -> str | None:
    """The commit of the checkout that holds this file, "+changes" if files differ; else None."""
    root = pathlib.Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None

    def git(*arguments):
        command = ["git", "-C", str(root), *arguments]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=20)
        except (OSError, subprocess.TimeoutExpired):
            return ""
        return done.stdout.strip() if done.returncode == 0 else ""

    head = git("rev-parse", "HEAD")
    changed = git("status", "--porcelain", "--untracked-files=no")
    return (head + ("+changes" if changed else "")) or None
