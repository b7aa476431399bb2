"""The papers whose tables can be computed here: a TOML file for each, with what it published.

`jpegrt evaluate --paper NAME` measures our baselines and models as the paper says, and prints both;
`published.load_paper` reads a file.
"""

CODECS = ("JPEG", "WebP")
PAPERS = ("jscnn", "carsr", "cjpgsr", "cisr", "hrcnn")
