"""An overlay's manifests with a released image in them."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Final

from delivery.failures import StepFailed
from delivery.images import Image
from delivery.programs import output

OVERLAYS: Final = Path("k8s/overlays")

_NAME: Final = "smp"
"""What the image is called in the base, and in an overlay that gives it no other name."""

_NEW_NAME: Final = re.compile(r"^    newName: (\S+)$", re.MULTILINE)


def render(root: Path, overlay: str, image: Image) -> str:
    """What `kubectl apply` takes, with the image by its digest.

    Raises:
        StepFailed: there is no such overlay, kubectl cannot render it, or nothing in it uses the image.
    """
    folder = root / OVERLAYS / overlay
    if not (folder / "kustomization.yaml").is_file():
        raise StepFailed(f"there is no overlay {overlay} in {OVERLAYS}")
    named = _NEW_NAME.search((folder / "kustomization.yaml").read_text(encoding="utf-8"))
    # Beside the overlay: kustomize takes no folder by a name from the root.
    with tempfile.TemporaryDirectory(prefix=".release.", dir=folder.parent) as above:
        (Path(above) / "kustomization.yaml").write_text(
            f"resources: [../{overlay}]\n"
            f"images:\n  - name: {named[1] if named else _NAME}\n"
            f"    newName: {image.name}\n    digest: {image.digest}\n",
            encoding="utf-8",
        )
        rendered = output("kubectl", "kustomize", above)
    if f"image: {image}" not in rendered:
        raise StepFailed(f"nothing in {overlay} uses {image}")
    return rendered + "\n"
