"""``python -m delivery STEP``: the steps that ``make`` calls. Exit code 0: done; 1: it could not be, and says why."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from delivery import images, manifests, publication, release, smoke
from delivery.failures import StepFailed

ROOT: Final = Path(__file__).parents[1]


def main(arguments: list[str] | None = None) -> int:
    """Do the step that the arguments name."""
    asked = _parser().parse_args(arguments)
    try:
        asked.step(asked)
    except StepFailed as failure:
        print(f"delivery: {failure}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m delivery", description=__doc__)
    steps = parser.add_subparsers(required=True, metavar="STEP")

    check = steps.add_parser("check-tag", help="is the tag this version's, and the changelog written?")
    check.add_argument("tag")
    check.set_defaults(step=_check_tag)

    notes = steps.add_parser("notes", help="what the changelog says about this version")
    notes.set_defaults(step=_notes)

    promote = steps.add_parser("promote", help="give a commit's image the version for a tag; answers NAME@sha256:…")
    promote.add_argument("name", help="the registry's host and the path, with no tag")
    promote.add_argument("repository", help="owner/name")
    promote.add_argument("commit")
    promote.set_defaults(step=_promote)

    render = steps.add_parser("render", help="an overlay's manifests with this image")
    render.add_argument("overlay")
    render.add_argument("image", help="NAME@sha256:…")
    render.set_defaults(step=_render)

    ask = steps.add_parser("smoke", help="does the service run this version, and answer as it has to?")
    ask.add_argument("url")
    ask.set_defaults(step=_smoke)

    publish = steps.add_parser("publish", help="make the tag's release with all files of dist/")
    publish.add_argument("repository", help="owner/name")
    publish.add_argument("tag")
    publish.set_defaults(step=_publish)
    return parser


def _check_tag(asked: argparse.Namespace) -> None:
    print(release.check(ROOT, asked.tag))


def _notes(_: argparse.Namespace) -> None:
    print(release.notes(ROOT, release.version(ROOT)))


def _promote(asked: argparse.Namespace) -> None:
    print(images.promote(asked.name, asked.repository, asked.commit, release.version(ROOT)))


def _render(asked: argparse.Namespace) -> None:
    print(manifests.render(ROOT, asked.overlay, images.Image.parse(asked.image)), end="")


def _smoke(asked: argparse.Namespace) -> None:
    for found in smoke.smoke(asked.url, release.version(ROOT)):
        print(found, flush=True)


def _publish(asked: argparse.Namespace) -> None:
    print(publication.publish(ROOT, asked.repository, asked.tag))


if __name__ == "__main__":
    sys.exit(main())
