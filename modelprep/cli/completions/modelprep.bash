# bash completion for modelprep. The command itself knows what can stand where; this asks it.
_modelprep() {
    # bash takes words apart at = : @; the command wants them whole, up to the cursor and without quotes.
    local rest=${COMP_LINE:0:COMP_POINT} words=() n=-1 i token kept fixed="" kind="" value
    for ((i = 0; i <= COMP_CWORD; i++)); do
        kept=${rest#"${rest%%[![:space:]]*}"}
        token=${COMP_WORDS[i]}
        if ((i == COMP_CWORD)); then token=$kept; fi
        if ((n < 0)) || [[ $kept != "$rest" ]]; then
            words[++n]=$token fixed=""
        else
            fixed=${words[n]} words[n]+=$token
        fi
        rest=${kept#"$token"}
    done
    # What bash leaves standing: all before the last of its own words. An @ is part of what it replaces, = and : are not.
    if [[ $token == [=:]* ]]; then fixed=${words[n]}; fi
    fixed=${fixed%@}
    local quote=""
    if [[ ${words[n]} == [\"\']* ]]; then quote=${words[n]:0:1}; fi
    for ((i = 0; i <= n; i++)); do
        words[i]=${words[i]//[\"\'\\]/}
    done
    COMPREPLY=()
    {
        IFS= read -r kind
        while IFS=$'\t' read -r value _; do
            value=${value#"$fixed"}
            if [[ -n $quote ]]; then
                :
            elif [[ $value == "~/"* ]]; then
                printf -v value '~/%q' "${value:2}"
            else
                printf -v value '%q' "$value"
            fi
            COMPREPLY+=("$value")
        done
    } < <("$1" __complete "${words[@]:1}" 2>/dev/null)
    if ((${#COMPREPLY[@]} == 1)) && [[ ${COMPREPLY[0]} == */ || ${COMPREPLY[0]} == *= ]]; then
        compopt -o nospace 2>/dev/null
    fi
    case $kind in
        files) compopt -o default 2>/dev/null ;;
        dirs) compopt -o dirnames 2>/dev/null ;;
    esac
}
complete -F _modelprep modelprep
