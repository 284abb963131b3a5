"""Sphinx: how the pages of this folder become a site (``make docs``); it opens no socket."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from modelprep.version import __version__

project = "modelprep"
author = "the modelprep developers"
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["examples/**", "man/**"]
html_theme = "furo"
html_title = f"modelprep {__version__}"
html_show_copyright = False
# A copied block of commands leaves out the prompt and what the command prints.
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"show-inheritance": False}
napoleon_google_docstring = False
