"""The papers whose tables can be computed here: a TOML file for each, with what it published.

`jpegrt evaluate --paper NAME` measures our baselines and models as the paper says, and prints both.
"""

from jpegrt.runtime.papers.published import PAPERS, load_paper

__all__ = ["PAPERS", "load_paper"]
