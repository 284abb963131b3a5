"""The recipe that ``modelprep recipe new`` writes: small, valid, with comments."""

from __future__ import annotations

from modelprep.recipe.jsonschema import FILE_NAME

_STARTER = """\
# yaml-language-server: $schema={schema}
# A recipe of your own. `modelprep recipe lint {file}` checks it, `modelprep fetch {file}` prepares it.
# Every key is explained in docs/recipes.md; `modelprep steps` lists the steps. Your editor knows the keys by the file
# {schema} beside this one (`modelprep recipe schema` writes it).
schema: 1
demo: {demo}
summary: What the demo does, in one line
status: ready # or bring-your-own, with `why:`

# The folder below --out, and where it belongs on the board (without `board:` the ssh user's home directory).
tree: {stem}
# board: /usr/share/{stem}

assets:
  model:
    # Tried in order; each is used only if its checksum is right.
    urls:
      - https://example.com/models/{stem}.tflite
      # A file inside an archive is a source too:
      # - {{url: https://example.com/{stem}.zip, member: models/{stem}.tflite}}
    # Somebody publishes a digest? Then write it (sha256, sha384, sha512, git, sha1, md5) and where:
    # sha256: 64 hexadecimal digits
    # pinned_by: https://example.com/models/SHA256SUMS
    # Nobody does? Then the first fetch writes what it saw to modelprep.lock:
    pin: first-use
    licence: {{name: Apache-2.0, source: https://example.com/LICENSE}}
  # A slot that the user fills: modelprep fetch ... --set picture=~/my.jpg
  picture:
    provide: true
    filename: picture.jpg
  # Shared with the recipes that come with modelprep:
  # dog: {{use: picture-dog}}

# What is done to the files; `$name` is an asset or a step, `$name/inner/path` a file in the folder a step made.
# steps:
#   - id: unpacked
#     uses: gunzip
#     with: {{file: $model}}

# Place in the tree -> what is installed there.
install:
  models/{stem}.tflite: $model
  data/picture.jpg: $picture

# The command for the board, run inside the tree.
run: ./{stem} --model models/{stem}.tflite data/picture.jpg

# What `modelprep check` compares with.
expect:
  parser: tflite
  model: models/{stem}.tflite
"""


def starter(name: str, file: str) -> str:
    """Write the text of a new recipe ``group/stem`` or ``stem``; `file` is named in the comment at its head."""
    stem = name.rpartition("/")[2]
    demo = stem if not stem.replace(".", "").replace("-", "").isdigit() else f'"{stem}"'
    return _STARTER.format(schema=FILE_NAME, file=file, stem=stem, demo=demo)
