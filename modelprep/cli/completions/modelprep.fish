# fish completion for modelprep. The command itself knows what can stand where; this asks it.
function __modelprep_complete
    set -l words (commandline -opc)
    set -l program $words[1]
    set -e words[1]
    set -l current (commandline -ct)
    # The word under the cursor comes as typed; the command wants it without quotes.
    set -l plain (string unescape -- $current; or string replace -ra '["\'\\\\]' '' -- $current)
    set -l lines ($program __complete $words "$plain" 2>/dev/null)
    printf '%s\n' $lines[2..-1]
    switch "$lines[1]"
        case files
            __fish_complete_path (string replace -r '^--[^=]*=' '' -- $current)
        case dirs
            __fish_complete_directories (string replace -r '^--[^=]*=' '' -- $current) ''
    end
end
complete -c modelprep -f -a '(__modelprep_complete)'
