"""The folder of a search."""

from typing import Any

from spectral_keras.experiments.command import CommandError
from spectral_keras.experiments.folder import WorkFolder
from spectral_keras.experiments.search.options import SearchOptions
from spectral_keras.experiments.train.options import TrainOptions, values_before

__all__ = ["SearchFolder"]


class SearchFolder(WorkFolder):
    """A search folder: "options" of config.json are the trials', "search" the search's own."""

    noun = "a search"

    def check_manifest(self, content: dict[str, Any]) -> None:
        if not all(isinstance(content.get(part), dict) for part in ("options", "search")):
            raise CommandError(
                f"{self.path} holds something else than a search: name another folder with --output"
            )

    def check_continued(self, config: dict[str, Any]) -> None:
        """Refuse to continue the search with a config.json that would change it."""
        stored = self.manifest()
        before, now = (part.get("model") or part.get("build") for part in (stored, config))
        if before != now:
            raise CommandError(
                f"{self.path} holds a search of {before}, not of {now or 'a function'}: name "
                "another folder with --output"
            )
        free = SearchOptions.free() | TrainOptions.free()
        earlier = values_before(config["model"]) if config.get("model") else None
        self.check_same(config["options"], free, before=earlier)
        self.check_same(config["search"], free, "search")
