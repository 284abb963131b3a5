"""The constant POSIX sh scripts that `deploy` runs on a board.

Data is passed as arguments and on standard input, never in the text of a script.
"""

from __future__ import annotations

from modelprep.tree.manifest import MANIFEST

STAGING = ".modelprep-incoming"
#: Names of the lists until they are put in place, in the target folder.
LISTS = ".modelprep-lists"
TOOLS = ("sha256sum", "rsync", "tar", "df")

#: Lists a folder. Argument: the folder. Standard input: paths in it, one a line.
PROBE = f"""
target=$1
case $target in /*) ;; *) target=$(pwd)/$target ;; esac
echo "folder=$target"
near=$target
while [ ! -d "$near" ] && [ "$near" != / ]; do near=${{near%/*}}; near=${{near:-/}}; done
try=$near/.modelprep-$$
if mkdir "$try" 2>/dev/null; then echo writable=yes; rmdir "$try"; else echo writable=no; fi
for tool in {" ".join(TOOLS)}; do
    if command -v "$tool" >/dev/null 2>&1; then echo "$tool=yes"; else echo "$tool=no"; fi
done
df -Pk "$near" 2>/dev/null | awk 'NR==2 {{print "free=" $4; $1 = $2 = $3 = $4 = $5 = ""; print "disk=" $0}}'
echo --files--
while IFS= read -r path; do
    for place in here staged; do
        file=$target/$path
        [ "$place" = here ] || file=$target/{STAGING}/$path
        [ -f "$file" ] || continue
        [ "$place" = here ] || echo "size $(wc -c <"$file" | tr -d ' ') $path"
        sum=$(sha256sum <"$file" 2>/dev/null) && echo "$place ${{sum%% *}} $path"
    done
done
echo --manifest--
cat "$target/{MANIFEST}" 2>/dev/null
exit 0
"""
#: Makes folders. Argument: the staging folder. Standard input: folders in it, one a line.
FOLDERS = """
set -e
mkdir -p "$1"
cd "$1"
while IFS= read -r folder; do mkdir -p "./$folder"; done
"""
#: Writes a file from standard input. Arguments: the folder, which is made, and the name.
WRITE = """
set -e
mkdir -p "$1"
cat >"$1/$2"
"""
#: Checks what is staged and renames it, then the lists. Arguments: the tree, the folder with the lists, their names.
FINISH = f"""
set -e
folder=$1
lists=$2
shift 2
mkdir -p "$folder/{STAGING}"
cd "$folder/{STAGING}"
if [ -s "$lists/sums" ] && ! sha256sum -c "$lists/sums" >"$lists/said" 2>&1; then
    echo damaged
    grep -v ': OK$' "$lists/said" || true
    rm -rf "$lists"
    exit 0
fi
sync
while IFS= read -r path; do
    case $path in */*) mkdir -p "$folder/${{path%/*}}" ;; esac
    chmod 644 "./$path"
    mv -f "./$path" "$folder/$path"
done <"$lists/moves"
for name in "$@"; do mv -f "$lists/$name" "$folder/$name"; done
sync
cd /
rm -rf "$folder/{STAGING}" "$lists"
echo finished
"""
